/* SPDX-License-Identifier: GPL-2.0-only */
/* The one mechanism of the kernel side, which every object includes. */
#ifndef NETWATCH_BPF_H
#define NETWATCH_BPF_H

#include "classify.bpf.h"
#include "emit.bpf.h"

#endif
