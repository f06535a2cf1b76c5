// SPDX-License-Identifier: GPL-2.0-only
// netwatch list: the connections that exist now, and lately closed ones.
#include <errno.h>

#include "commands.h"
#include "exit.h"
#include "log.h"
#include "session.h"

static int add_counters(struct session *session, const Netwatch__Hello *hello)
{
	const char *missing;

	categories_add(&session->asked, "tcpinfo", false);
	missing = categories_settle(&session->asked, hello->category, hello->n_category);
	if (!missing)
		return 0;
	log_error("--extra: the collector does not offer \"%s\" here; see netwatch status",
		  missing);
	return -EOPNOTSUPP;
}

static int start(struct session *session, const Netwatch__Hello *hello)
{
	Netwatch__Request request = NETWATCH__REQUEST__INIT;
	Netwatch__List list = NETWATCH__LIST__INIT;

	categories_add(&session->asked, "conn", false);
	if (session->options->extra && add_counters(session, hello))
		return EXIT_UNAVAILABLE;
	list.has_tcpinfo = list.tcpinfo = session->options->extra;
	list.has_closed = list.closed = session->options->closed;
	session->newest = session->options->closed ? "list --all" : NULL;
	list.filter = session->options->filter.message;
	request.request_case = NETWATCH__REQUEST__REQUEST_LIST;
	request.list = &list;
	return session_send(session, &request);
}

int list_run(struct options *options)
{
	static const struct session_ops ops = {.start = start, .snapshot = true};
	struct session session;
	int status = session_run(&session, options, &ops);

	session_deinit(&session);
	return status;
}
