/* SPDX-License-Identifier: GPL-2.0-only */
/* The version of the programs, and of the protocol that they speak. */
#ifndef NETWATCH_VERSION_H
#define NETWATCH_VERSION_H

#define VERSION	      "0.1.0"
#define VERSION_MAJOR 1U /* another one cannot be spoken with */
#define VERSION_MINOR 1U /* another one can */

#endif
