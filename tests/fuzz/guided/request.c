// SPDX-License-Identifier: GPL-2.0-only
/* What a client sends, as the collector reads it: frames, requests, filters. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter.h"
#include "common/frame.h"
#include "netwatch.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_filter(const Netwatch__Filter *message)
{
	static struct filter filter;
	struct filter_error error = {.message = ""};
	int err = filter_parse(&filter, message, &error);

	/* A refusal says why, and its text ends. */
	if (err && (!*error.message || !memchr(error.message, '\0', sizeof(error.message))))
		abort();
}

static void take(const uint8_t *data, size_t size)
{
	Netwatch__Request *request = netwatch__request__unpack(NULL, size, data);

	if (!request)
		return;
	if (request->request_case == NETWATCH__REQUEST__REQUEST_SUBSCRIBE)
		check_filter(request->subscribe->filter);
	if (request->request_case == NETWATCH__REQUEST__REQUEST_LIST)
		check_filter(request->list->filter);
	netwatch__request__free_unpacked(request, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *body;
	size_t length;
	ssize_t n;

	for (; (n = frame_get(data, size, FRAME_REQUEST_MAX, &body, &length)) > 0;
	     data += n, size -= (size_t)n)
		take(body, length);
	return 0;
}
