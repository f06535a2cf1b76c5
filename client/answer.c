// SPDX-License-Identifier: GPL-2.0-only
#include "answer.h"
#include "exit.h"
#include "log.h"
#include "session.h"

int answer_run(const struct options *options, const struct session_ops *ops)
{
	struct session session;
	int status;

	if (options->writer != &writer_table && options->writer != &writer_json) {
		log_error("%s comes out as table or json, not as %s", options->command->name,
			  options->writer->name);
		return EXIT_USAGE;
	}
	status = session_run(&session, options, ops);
	session_deinit(&session);
	return status;
}

int answer_ask_status(struct session *session, const Netwatch__Hello *hello)
{
	Netwatch__StatusRequest status = NETWATCH__STATUS_REQUEST__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;

	(void)hello;
	request.request_case = NETWATCH__REQUEST__REQUEST_STATUS;
	request.status = &status;
	return session_send(session, &request);
}
