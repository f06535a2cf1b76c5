/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The live page of `export`: the latest events, for a browser that asks again and again. Events
 * are kept only while somebody looks. Not for several threads at once.
 */
#ifndef NETWATCH_LIVE_H
#define NETWATCH_LIVE_H

#include <stddef.h>
#include <stdint.h>

struct event;
struct output;

#define LIVE_EVENTS_MAX 1024	    /* kept; the page is told how many it missed */
#define LIVE_EVENT_MAX	(16 * 1024) /* bytes of one; a longer one counts as missed */
#define LIVE_ANSWER_MAX (1 << 20)   /* bytes, about, of one answer; the rest comes with the next */
#define LIVE_LOOKED_S	10	    /* since when nobody asked: nothing is kept any more */
#define LIVE_TOKEN_SIZE 33	    /* with its end */

/* Chooses a random token. 0 or -errno. */
int live_init(void);
void live_deinit(void);

/* What one has to know to ask. */
const char *live_token(void);

void live_take(const struct event *event);

/*
 * Writes what stands below /live/ at path, "TOKEN/..."; query is what is behind its ?, or NULL.
 * The content's type; NULL: there is no such thing, for who does not know the token either.
 */
const char *live_page(struct output *output, const char *path, const char *query);

#endif
