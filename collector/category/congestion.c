// SPDX-License-Identifier: GPL-2.0-only
#include "../category.h"
#include "kernel_side.h"
#include "../wire.h"
#include "congestion.h"
#include "congestion.skel.h"

#include "../../bpf/congestion.h"

#define INFINITE_SSTHRESH 0x7fffffff /* TCP_INFINITE_SSTHRESH */

/* Numbers of the fields of netwatch.Congestion. */
enum {
	FROM = 1,
	TO,
	SND_CWND,
	SND_SSTHRESH,
	SRTT_US,
	MDEV_US,
};

/* Of the kernel's enum tcp_ca_state the first is 0, of netwatch.Ca.State 1. */
static unsigned ca_state(__u32 state)
{
	return state + 1;
}

static bool write_congestion(struct wire *w, const struct nw_record *record, size_t size)
{
	const struct nw_congestion_record *r = (const void *)record;

	if (size < sizeof(*r))
		return false;
	wire_uint(w, FROM, ca_state(r->from));
	wire_uint(w, TO, ca_state(r->to));
	wire_uint(w, SND_CWND, r->snd_cwnd);
	if (r->snd_ssthresh < INFINITE_SSTHRESH)
		wire_uint(w, SND_SSTHRESH, r->snd_ssthresh);
	if (r->srtt_us) {
		wire_uint(w, SRTT_US, r->srtt_us);
		wire_uint(w, MDEV_US, r->mdev_us);
	}
	return true;
}

static const struct category_hook hooks[] = {
	{.name = "tp_btf/tcp_cong_state_set"},
	{.name = NULL},
};

const struct category category_congestion = {
	.name = "congestion",
	.field = 9,
	.wants = 1ULL << NW_WANT_CONGESTION,
	.hooks = hooks,
	.elf = congestion_bpf__elf_bytes,
	.write = write_congestion,
};
