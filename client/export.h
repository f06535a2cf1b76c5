/* SPDX-License-Identifier: GPL-2.0-only */
/* What the options of export are when they are not given. */
#ifndef NETWATCH_EXPORT_H
#define NETWATCH_EXPORT_H

#define EXPORT_LISTEN	  "127.0.0.1:9477"
#define EXPORT_CATEGORIES "conn,retransmit,error,tcpinfo,http"

#endif
