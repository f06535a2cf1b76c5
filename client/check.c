// SPDX-License-Identifier: GPL-2.0-only
// netwatch check: what the kernel of the collector can do, and why not.
#include <stdlib.h>

#include "answer.h"
#include "check.h"
#include "commands.h"
#include "exit.h"
#include "log.h"
#include "session.h"

static int start(struct session *session, const Netwatch__Hello *hello)
{
	Netwatch__CheckRequest check = NETWATCH__CHECK_REQUEST__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;

	(void)hello;
	request.request_case = NETWATCH__REQUEST__REQUEST_CHECK;
	request.check = &check;
	session->newest = "check";
	return session_send(session, &request);
}

static int show(struct session *session, const uint8_t *data, size_t size)
{
	Netwatch__Check *check = netwatch__check__unpack(NULL, size, data);
	char *text;

	if (!check) {
		log_error("the collector's check is not readable");
		return EXIT_ERROR;
	}
	text = (session->options->writer == &writer_json ? check_json : check_table)(check);
	netwatch__check__free_unpacked(check, NULL);
	if (!text) {
		log_error("out of memory");
		return EXIT_ERROR;
	}
	output_text(&session->output, text);
	free(text);
	return EXIT_OK;
}

int check_run(struct options *options)
{
	static const struct session_ops ops = {
		.start = start,
		.answer = show,
		.number = NETWATCH__REPLY__REPLY_CHECK,
	};

	return answer_run(options, &ops);
}
