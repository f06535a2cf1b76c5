// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../category.h"
#include "../hooks.h"
#include "kernel_side.h"
#include "../wire.h"
#include "error.h"
#include "error.skel.h"

#define DROP_PREFIX   "SKB_DROP_REASON_"
#define RESET_PREFIX  "SK_RST_REASON_"
#define RESET_REASONS 64
#define NOT_SPECIFIED "NOT_SPECIFIED"

/* Numbers of the fields of netwatch.TcpError. */
enum { KIND = 1, REASON, SEQ, ACK, LENGTH, STATE };

/*
 * Reasons of drops (include/net/dropreason-core.h of the kernel) that a user would call an error.
 * Not among them: what the end of a connection brings along, duplicates that arrive in the
 * window (TCP_OLD_DATA, TCP_OFOMERGE, TCP_OLD_ACK), and queues that are full because senders are
 * to be slowed down (QDISC_...). TcpError in the protocol lists them too.
 */
static const struct {
	const char *name;
	uint8_t kind; /* both as in struct nw_reason */
	uint8_t what;
} reasons[] = {
	{.name = "TCP_INVALID_SEQUENCE", .kind = NW_ERROR_SEQUENCE, .what = NW_REASON_PROBES},
	{.name = "TCP_INVALID_END_SEQUENCE", .kind = NW_ERROR_SEQUENCE, .what = NW_REASON_PROBES},
	{.name = "TCP_OLD_SEQUENCE", .kind = NW_ERROR_SEQUENCE, .what = NW_REASON_PROBES},
	{.name = "TCP_OVERWINDOW", .kind = NW_ERROR_SEQUENCE, .what = NW_REASON_PROBES},
	{.name = "TCP_ACK_UNSENT_DATA", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_TOO_OLD_ACK", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_INVALID_ACK_SEQUENCE", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_RFC7323_PAWS", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_RFC7323_TW_PAWS", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_RFC7323_TSECR", .kind = NW_ERROR_SEQUENCE},
	{.name = "TCP_CSUM", .kind = NW_ERROR_CHECKSUM},
	{.name = "IP_CSUM", .kind = NW_ERROR_CHECKSUM},
	{.name = "NO_SOCKET", .kind = NW_ERROR_DROP, .what = NW_REASON_NOBODY},
	{.name = "PKT_TOO_SMALL", .kind = NW_ERROR_DROP},
	{.name = "TCP_FLAGS", .kind = NW_ERROR_DROP},
	{.name = "TCP_RESET", .kind = NW_ERROR_DROP},
	{.name = "TCP_INVALID_SYN", .kind = NW_ERROR_DROP},
	{.name = "TCP_FASTOPEN", .kind = NW_ERROR_DROP},
	{.name = "TCP_MINTTL", .kind = NW_ERROR_DROP},
	{.name = "TCP_AUTH_HDR", .kind = NW_ERROR_DROP},
	{.name = "TCP_MD5NOTFOUND", .kind = NW_ERROR_DROP},
	{.name = "TCP_MD5UNEXPECTED", .kind = NW_ERROR_DROP},
	{.name = "TCP_MD5FAILURE", .kind = NW_ERROR_DROP},
	{.name = "TCP_AONOTFOUND", .kind = NW_ERROR_DROP},
	{.name = "TCP_AOUNEXPECTED", .kind = NW_ERROR_DROP},
	{.name = "TCP_AOKEYNOTFOUND", .kind = NW_ERROR_DROP},
	{.name = "TCP_AOFAILURE", .kind = NW_ERROR_DROP},
	{.name = "TCP_LISTEN_OVERFLOW", .kind = NW_ERROR_DROP},
	{.name = "TCP_ZEROWINDOW", .kind = NW_ERROR_DROP, .what = NW_REASON_PROBES},
	{.name = "TCP_OFO_QUEUE_PRUNE", .kind = NW_ERROR_DROP},
	{.name = "SOCKET_BACKLOG", .kind = NW_ERROR_DROP},
	{.name = "PROTO_MEM", .kind = NW_ERROR_DROP, .what = NW_REASON_NAMED},
	{.name = "NOMEM", .kind = NW_ERROR_DROP},
	{.name = "NETFILTER_DROP", .kind = NW_ERROR_DROP},
	{.name = "SOCKET_FILTER", .kind = NW_ERROR_DROP, .what = NW_REASON_NAMED},
	{.name = "BPF_CGROUP_EGRESS", .kind = NW_ERROR_DROP},
	{.name = "TC_INGRESS", .kind = NW_ERROR_DROP},
	{.name = "TC_EGRESS", .kind = NW_ERROR_DROP},
	{.name = "XFRM_POLICY", .kind = NW_ERROR_DROP},
	{.name = "SECURITY_HOOK", .kind = NW_ERROR_DROP},
	{.name = "IP_RPFILTER", .kind = NW_ERROR_DROP},
	{.name = "IP_OUTNOROUTES", .kind = NW_ERROR_DROP},
	{.name = "NEIGH_FAILED", .kind = NW_ERROR_DROP},
	{.name = "NEIGH_QUEUEFULL", .kind = NW_ERROR_DROP},
};

#define N_REASONS (sizeof(reasons) / sizeof(reasons[0]))

/* Names of this kernel's enum sk_rst_reason (Linux 6.10 and newer), as long as we run. */
static char *reset_reasons[RESET_REASONS];

const char *error_reason(size_t i, unsigned *kind)
{
	if (i >= N_REASONS)
		return NULL;
	*kind = reasons[i].kind;
	return reasons[i].name;
}

/* ------------------------------------------------------------ before loading */

static void on_drop_reason(const char *name, uint32_t value, void *arg)
{
	struct nw_reason *by_number = arg;

	if (strncmp(name, DROP_PREFIX, strlen(DROP_PREFIX)) || value >= NW_REASONS)
		return;
	for (size_t i = 0; i < N_REASONS; i++) {
		if (strcmp(name + strlen(DROP_PREFIX), reasons[i].name))
			continue;
		by_number[value] = (struct nw_reason){.kind = reasons[i].kind,
						      .row = (__u8)i,
						      .what = reasons[i].what};
	}
}

static void on_reset_reason(const char *name, uint32_t value, void *arg)
{
	(void)arg;
	if (strncmp(name, RESET_PREFIX, strlen(RESET_PREFIX)) || value >= RESET_REASONS)
		return;
	name += strlen(RESET_PREFIX);
	free(reset_reasons[value]);
	reset_reasons[value] = strcmp(name, NOT_SPECIFIED) ? strdup(name) : NULL;
}

static int prepare(const struct btf *btf, struct bpf_object *object)
{
	struct nw_reason *by_number =
		hooks_constant(object, "reasons", NW_REASONS * sizeof(*by_number));

	if (!by_number)
		return -ENOENT;
	hooks_enumerate(btf, "skb_drop_reason", on_drop_reason, by_number);
	hooks_enumerate(btf, "sk_rst_reason", on_reset_reason, NULL);
	return 0;
}

/* -------------------------------------------------------------------- events */

/* NULL: the kernel does not say. */
static const char *reason_of(const struct nw_error_record *r)
{
	if (r->kind == NW_ERROR_RESET_RECEIVED)
		return NULL;
	if (r->kind == NW_ERROR_RESET_SENT)
		return r->reason < RESET_REASONS ? reset_reasons[r->reason] : NULL;
	return r->reason < N_REASONS ? reasons[r->reason].name : NULL;
}

static bool write_error(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_error_record *r = (const void *)record;
	const char *reason;

	if (size < sizeof(*r))
		return false;
	wire_uint(w, KIND, r->kind);
	reason = reason_of(r);
	if (reason)
		wire_string(w, REASON, reason);
	if (r->parts & NW_ERROR_HEADER) {
		wire_uint(w, SEQ, r->seq);
		if (r->parts & NW_ERROR_ACK)
			wire_uint(w, ACK, r->ack);
		wire_uint(w, LENGTH, r->length);
	}
	if (record->connection.state)
		wire_uint(w, STATE, record->connection.state);
	return true;
}

static const struct category_hook hooks[] = {
	{.name = "tp_btf/kfree_skb"},
	{.name = "tp_btf/tcp_send_reset", .without = "resets that this side sends are missing"},
	{.name = "tp_btf/tcp_receive_reset", .without = "resets that come are missing"},
	{.name = NULL},
};

const struct category category_error = {
	.name = "error",
	.field = 7,
	.wants = 1ULL << NW_WANT_ERROR,
	.hooks = hooks,
	.elf = error_bpf__elf_bytes,
	.prepare = prepare,
	.write = write_error,
};
