/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks over the sockets of the host, by BPF iterators. Each takes some ms and blocks. */
#ifndef NETWATCH_WALK_H
#define NETWATCH_WALK_H

struct nw_row;
struct probe;

/*
 * Calls row for each TCP socket that a process holds open, in all network namespaces, then
 * for the others that are being watched; each once. While programs are attached it keeps
 * the owners that it finds, and tells events that have been parked for too long. row may be
 * NULL. 0 or -errno.
 */
int walk_sockets(struct probe *probe, void (*row)(const struct nw_row *row, void *arg), void *arg);

/* Deletes what is kept about sockets. 0 or -errno. */
int walk_forget(struct probe *probe);

#endif
