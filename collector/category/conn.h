/* SPDX-License-Identifier: GPL-2.0-only */
/* Category conn: the life of a connection. */
#ifndef NETWATCH_CATEGORY_CONN_H
#define NETWATCH_CATEGORY_CONN_H

extern const struct category category_conn;

#endif
