/* SPDX-License-Identifier: GPL-2.0-only */
/* What the .proto says about each member of an event, as it was when this program was built. */
#ifndef NETWATCH_FIELDS_H
#define NETWATCH_FIELDS_H

struct comment {
	const char *type;   /* full name of the message or enum */
	const char *member; /* field or oneof of the message, value of the enum */
	const char *text;
	const char *unit; /* or NULL */
};

/* That of a member; NULL: it is not part of an event. */
const struct comment *fields_comment(const char *type, const char *member);

#endif
