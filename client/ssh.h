/* SPDX-License-Identifier: GPL-2.0-only */
/* The ssh connection by which a terminal is reached: each line shown there would make events. */
#ifndef NETWATCH_SSH_H
#define NETWATCH_SSH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct event;

struct ssh {
	char laddr[INET6_ADDRSTRLEN], raddr[INET6_ADDRSTRLEN];
	uint16_t lport, rport; /* lport 0: there is none */
	bool told;	       /* that it is left out */
};

/* Reads what sshd puts into SSH_CONNECTION (or NULL). */
void ssh_init(struct ssh *ssh, const char *variable);

/* True when the event is of that connection, at its end here; or at the other, if that is here too.
 */
bool ssh_is(const struct ssh *ssh, const struct event *event);

#endif
