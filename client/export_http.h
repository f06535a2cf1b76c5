/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves pages over HTTP, in a thread of its own, by GET and HEAD. Requests, their number and
 * their time are bounded, so that no client holds up another one for long.
 */
#ifndef NETWATCH_EXPORT_HTTP_H
#define NETWATCH_EXPORT_HTTP_H

#include <stdbool.h>
#include <stddef.h>

struct export_address;
struct output;

#define EXPORT_HEADERS_MAX     8192 /* bytes; 413 beyond, and without a body */
#define EXPORT_BODY_MAX	       4096
#define EXPORT_CONNECTIONS_MAX 64 /* beyond, the oldest is closed */
#define EXPORT_REQUEST_S       5  /* for one connection from its beginning to its end */
#define EXPORT_WAIT_S	       2  /* for its next byte */

struct export_http;

/*
 * Writes the page at path; query is what is behind its ?, or NULL. Returns its Content-Type; NULL:
 * there is none. Called in the thread.
 */
typedef const char *export_page_fn(struct output *output, const char *path, const char *query);

/*
 * Binds and starts. The signals that are blocked now are so in the thread. 0 or -errno.
 */
int export_http_start(struct export_http **http, const struct export_address *address,
		      export_page_fn *page);

/* Only this host can ask. */
bool export_http_is_local(const struct export_http *http);

/* Where it is bound. */
const struct export_address *export_http_address(const struct export_http *http);

/* Stops and frees; NULL: nothing to do. */
void export_http_stop(struct export_http *http);

#endif
