/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NETWATCH_JIFFIES_H
#define NETWATCH_JIFFIES_H

struct probe;

/*
 * Finds out how long the kernel's jiffy is, for rto_us: from a socket of our own, whose
 * retransmission timeout a program reads in jiffies and TCP_INFO tells in microseconds. So
 * neither the kernel's configuration nor time is needed. Nothing may be reported yet. 0 or -errno.
 */
int jiffies_measure(const struct probe *probe);

#endif
