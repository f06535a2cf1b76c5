// SPDX-License-Identifier: GPL-2.0-only
// Knows the ssh connection from SSH_CONNECTION: "client port server port", seen from here.
#include <stdio.h>
#include <string.h>

#include "event.h"
#include "ssh.h"

void ssh_init(struct ssh *ssh, const char *variable)
{
	*ssh = (struct ssh){.lport = 0};
	if (!variable || sscanf(variable, "%45s %hu %45s %hu", ssh->raddr, &ssh->rport, ssh->laddr,
				&ssh->lport) != 4)
		ssh->lport = 0;
	/* the interface of a link-local address is no part of it here */
	ssh->raddr[strcspn(ssh->raddr, "%")] = '\0';
	ssh->laddr[strcspn(ssh->laddr, "%")] = '\0';
}

static bool has_port(const struct message *message, const char *name, uint16_t port)
{
	int i = schema_find(message->schema, name);

	return message_has(message, i) && message->values[i].number == port;
}

static bool has_address(const struct message *message, const char *name, const char *address)
{
	int i = schema_find(message->schema, name);

	return message_has(message, i) && message->values[i].length == strlen(address) &&
	       !memcmp(message->values[i].data, address, message->values[i].length);
}

bool ssh_is(const struct ssh *ssh, const struct event *event)
{
	const struct message *connection = &event->connection;

	if (!ssh->lport)
		return false;
	if (has_port(connection, "lport", ssh->lport))
		return has_port(connection, "rport", ssh->rport) &&
		       has_address(connection, "laddr", ssh->laddr) &&
		       has_address(connection, "raddr", ssh->raddr);
	return has_port(connection, "lport", ssh->rport) &&
	       has_port(connection, "rport", ssh->lport) &&
	       has_address(connection, "laddr", ssh->raddr) &&
	       has_address(connection, "raddr", ssh->laddr);
}
