/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One filter in a normal form, and the judge of what it accepts: what a Subscribe or List asks
 * for, within what its peer may see. Two filters that mean the same are equal byte by byte (as far
 * as their lists are the same), so that their subscribers share a slot.
 */
#ifndef NETWATCH_FILTER_H
#define NETWATCH_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel_side.h"
#include "netwatch.pb-c.h"

#define FILTER_PORTS_MAX    64 /* ports and ranges in one filter; more: LIMIT */
#define FILTER_PREFIXES_MAX 16 /* CIDRs in one filter; more: LIMIT */
#define FILTER_VALUES_MAX   64 /* values of one dimension; more: LIMIT */
#define FILTER_STRING_MAX   255
#define FILTER_VALUE_SIZE   16
#define FILTER_TEXTS_MAX    4096 /* bytes of all texts for HTTP, which a request bounds as well */

enum filter_end { FILTER_LOCAL, FILTER_REMOTE, FILTER_EITHER, FILTER_ENDS };

struct filter_range {
	uint16_t first, last;
};

struct filter_prefix {
	uint8_t family; /* 4 or 6 */
	uint8_t length; /* bits */
	uint8_t address[16];
};

/*
 * A set accepts a value if `any` is empty or has it, and `none` has not. The any come first
 * in item, then the none; both sorted. What follows is zero.
 */
struct filter_ports {
	uint32_t any, none;
	struct filter_range item[FILTER_PORTS_MAX];
};

struct filter_prefixes {
	uint32_t any, none;
	struct filter_prefix item[FILTER_PREFIXES_MAX];
};

struct filter_values {
	uint32_t any, none;
	uint8_t item[FILTER_VALUES_MAX][FILTER_VALUE_SIZE]; /* as in struct nw_value */
};

enum filter_text { FILTER_METHOD, FILTER_HOST, FILTER_PATH, FILTER_TEXTS };

/* Places of texts, in filter_http.text: first the any, then the none, each sorted. */
struct filter_texts {
	uint32_t any, none;
	uint16_t at[FILTER_VALUES_MAX];
};

/* For http events only. All zero: every one. */
struct filter_http {
	struct filter_texts texts[FILTER_TEXTS]; /* methods and hosts in lower case */
	struct filter_ports status;
	uint64_t min_latency_us, max_latency_us; /* 0: not given; max is excluded */
	uint32_t used;
	char text[FILTER_TEXTS_MAX];
};

struct filter {
	uint64_t wants;	       /* bits of enum nw_want */
	uint32_t scope;	       /* enum Netwatch__Scope */
	uint32_t owner;	       /* with scope OWN: its uid, else 0 */
	uint32_t families;     /* bit 0: IPv4, bit 1: IPv6 */
	uint32_t roles;	       /* bits of enum nw_role */
	uint32_t with_address; /* kernel addresses are shown */
	uint32_t interval_ms;  /* of reports; 0 without NW_WANT_TCPINFO */
	uint32_t viewer; /* uid that sees it, since it tells what of HTTP; 0 without NW_WANT_HTTP */
	uint32_t remembered; /* its events are for the history, not for a client */
	struct filter_ports ports[FILTER_ENDS];
	struct filter_prefixes prefixes[FILTER_ENDS];
	struct filter_values values[NW_DIMENSIONS];
	struct filter_http http;
};

/* Bytes, not terminated; absent: length 0. */
struct filter_string {
	const char *text;
	size_t length;
};

/* What a filter for HTTP may ask of a message. */
struct filter_message {
	bool response;
	struct filter_string texts[FILTER_TEXTS]; /* the host with its port, the whole target */
	unsigned status;			  /* of a response */
	bool has_latency;
	uint64_t latency_us;
};

/* Why a filter was refused. */
struct filter_error {
	Netwatch__Error__Code code;
	char message[200];
};

/*
 * Fills filter from message (NULL: everything). Neither wants nor scope, owner, with_address
 * and interval_ms are touched otherwise than zeroed. 0, or -EINVAL with *error.
 */
int filter_parse(struct filter *filter, const Netwatch__Filter *message,
		 struct filter_error *error);

/* Its part for HTTP, which is zero before: see filter_parse. */
int filter_http_parse(struct filter_http *http, const Netwatch__HttpFilter *message,
		      struct filter_error *error);

/* What a message does not have is in none of the filter's sets. */
bool filter_http_accepts(const struct filter_http *http, const struct filter_message *message);

/* -EPERM with *error if the filter names uids that its scope does not cover, else 0. */
int filter_check_scope(const struct filter *filter, struct filter_error *error);

/* Names of the dimensions, as in netwatch.Filter. */
extern const char *const filter_dimension_names[NW_DIMENSIONS];

/* The judge: does the filter, its scope included, accept the socket of this row? */
bool filter_accepts(const struct filter *filter, const struct nw_row *row);

/*
 * What messages say, of sockets of that uid: false: nothing is shown of it; *redacted: only what
 * another uid may see of it.
 */
bool filter_shows_content(const struct filter *filter, uint32_t uid, bool *redacted);

/* Its parts, which the tables are made of too. */
bool filter_values_accept(const struct filter_values *values, const uint8_t *value);
bool filter_prefix_covers(const struct filter_prefix *prefix, uint8_t family, uint8_t length,
			  const uint8_t *address);
/* True if an item of any (or, with none, of none) covers that prefix. */
bool filter_prefixes_cover(const struct filter_prefixes *prefixes, bool none, uint8_t family,
			   uint8_t length, const uint8_t *address);

#endif
