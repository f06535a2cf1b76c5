/* SPDX-License-Identifier: GPL-2.0-only */
/* What is shared with the kernel side, in the types that it expects. */
#ifndef NETWATCH_KERNEL_SIDE_H
#define NETWATCH_KERNEL_SIDE_H

#include <linux/types.h>

#include "record.h"
#include "packet.h"
#include "classify.h"

#endif
