/* SPDX-License-Identifier: GPL-2.0-only */
/* Why the kernel side could not be loaded, for those who are to do something about it. */
#ifndef NETWATCH_REFUSAL_H
#define NETWATCH_REFUSAL_H

#define REFUSAL_DETAIL_MAX 112

struct refusal {
	const char *reason; /* a constant */
	int exit_code;	    /* 77 (not permitted), 78 (this kernel cannot) or 1 (no memory) */
	char detail[REFUSAL_DETAIL_MAX];
};

/* Of reading the kernel's types, which failed with err, a -errno. */
void refusal_of_btf(struct refusal *refusal, int err);

/*
 * Of loading that failed with err, a -errno. otherwise: the reason, when neither who we are nor
 * the kernel's lockdown nor its age accounts for it. The age is blamed of a kernel before 6.1
 * only here, after it refused: distributions put what is needed into older ones too.
 */
void refusal_of_loading(struct refusal *refusal, const char *otherwise, int err);

#endif
