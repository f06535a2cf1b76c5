// SPDX-License-Identifier: GPL-2.0-only
// libevent's HTTP server, with what it lacks: a bound on connections, and on their time.
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "export_address.h"
#include "export_http.h"
#include "output.h"

#define SLOTS	(2 * EXPORT_CONNECTIONS_MAX) /* with those that are just being closed */
#define BACKLOG 128
#define ANY_METHOD                                                                                 \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | \
	 EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* A page has scripts and styles of its own, in files, and talks to nobody else. */
#define POLICY                                                                          \
	"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* A connection, of which we hold a reference. evhttp has let it go when it has no callbacks. */
struct slot {
	struct bufferevent *connection; /* or NULL */
	time_t since;			/* monotonic */
	uint64_t order;			/* of arrival, from 1; 0: it was told to end */
};

struct export_http {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct event *stopping, *second;
	struct slot slots[SLOTS];
	export_page_fn *page;
	uint64_t accepted;
	int stop; /* eventfd */
	bool paused, ended, running;
	pthread_t thread;
	struct export_address address; /* as bound */
};

bool export_http_is_local(const struct export_http *http)
{
	return export_address_is_loopback(&http->address);
}

const struct export_address *export_http_address(const struct export_http *http)
{
	return &http->address;
}

/* ------------------------------------------------------------------ requests */

static void refuse(struct evhttp_request *request, int code, const char *reason)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();

	evhttp_add_header(headers, "Content-Type", "text/plain; charset=utf-8");
	if (body && evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		evbuffer_add_printf(body, "%d %s\n", code, reason);
	evhttp_send_reply(request, code, reason, body);
	if (body)
		evbuffer_free(body);
}

/*
 * A web page may have a name of its own point to this host, and then read what we serve. But its
 * name is in Host, and no address. Who binds to more than the loopback gives it to all anyway.
 */
static bool host_is_good(const struct export_http *http, struct evhttp_request *request)
{
	const char *host = evhttp_request_get_host(request);
	char name[INET6_ADDRSTRLEN + 2];
	struct in6_addr address;
	size_t length;

	if (!export_http_is_local(http) || !host || !strcasecmp(host, "localhost"))
		return true;
	length = strlen(host);
	if (length >= sizeof(name))
		return false;
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &address) == 1;
	memcpy(name, host + 1, length);
	if (length > 1 && name[length - 2] == ']')
		name[length - 2] = '\0';
	return inet_pton(AF_INET6, name, &address) == 1;
}

static void send_page(struct export_http *http, struct evhttp_request *request, const char *path)
{
	const char *type = NULL,
		   *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	struct output output;
	char length[24];
	int err = !body || output_init(&output, -1);

	if (!err) {
		type = http->page(&output, path, query);
		err = output.err || evbuffer_add(body, output.data, output.used);
		snprintf(length, sizeof(length), "%zu", output.used);
		output_deinit(&output);
	}
	if (err) {
		refuse(request, HTTP_INTERNAL, "Internal Server Error");
	} else if (!type) {
		refuse(request, HTTP_NOTFOUND, "Not Found");
	} else {
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Content-Length", length);
		if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
			evbuffer_drain(body, evbuffer_get_length(body));
		evhttp_send_reply(request, HTTP_OK, "OK", body);
	}
	if (body)
		evbuffer_free(body);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	enum evhttp_cmd_type command = evhttp_request_get_command(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	struct export_http *http = arg;

	/* one request for each connection, so that the bound on its time is one for a request */
	evhttp_add_header(headers, "Connection", "close");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
	evhttp_add_header(headers, "Content-Security-Policy", POLICY);
	if (!host_is_good(http, request)) {
		refuse(request, 403, "Forbidden: Host is no address of this host");
	} else if (!path) {
		refuse(request, HTTP_NOTFOUND, "Not Found");
	} else if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
		evhttp_add_header(headers, "Allow", "GET, HEAD");
		refuse(request, HTTP_BADMETHOD, "Method Not Allowed");
	} else {
		send_page(http, request, path);
	}
}

/* --------------------------------------------------------------- connections */

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void close_slot(struct slot *slot)
{
	slot->order = 0;
	shutdown(bufferevent_getfd(slot->connection), SHUT_RDWR); /* evhttp sees its end */
}

static bool was_let_go(struct bufferevent *connection)
{
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
	void *arg;

	bufferevent_getcb(connection, &read, &write, &event, &arg);
	return !event;
}

/* Frees slots, and ends those that take too long. Returns how many are in use. */
static unsigned sweep(struct export_http *http)
{
	time_t now = now_s();
	unsigned count = 0;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &http->slots[i];

		if (!slot->connection)
			continue;
		if (was_let_go(slot->connection)) {
			bufferevent_decref(slot->connection);
			slot->connection = NULL;
			continue;
		}
		count++;
		if (now - slot->since >= EXPORT_REQUEST_S)
			close_slot(slot);
	}
	if (http->paused && count < SLOTS) {
		http->paused = false;
		evconnlistener_enable(http->listener);
	}
	return count;
}

static void pause_listener(struct export_http *http)
{
	http->paused = true;
	evconnlistener_disable(http->listener);
}

/* No file descriptors left, for one: try again in a second. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	(void)listener;
	pause_listener(arg);
}

static void close_oldest(struct export_http *http)
{
	struct slot *oldest = NULL;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &http->slots[i];

		if (slot->connection && slot->order && (!oldest || slot->order < oldest->order))
			oldest = slot;
	}
	if (oldest)
		close_slot(oldest);
}

/* What evhttp is to use for a connection that was just accepted. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	struct export_http *http = arg;
	unsigned count = sweep(http), i = 0;
	struct bufferevent *connection = bufferevent_socket_new(base, -1, 0);

	if (!connection)
		return NULL;
	while (i < SLOTS && http->slots[i].connection)
		i++;
	if (i < SLOTS) {
		bufferevent_incref(connection);
		http->slots[i] = (struct slot){connection, now_s(), ++http->accepted};
	}
	if (count >= EXPORT_CONNECTIONS_MAX)
		close_oldest(http);
	if (count + 1 >= SLOTS)
		pause_listener(http);
	return connection;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct export_http *http = arg;

	(void)fd;
	(void)what;
	http->ended = true;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* the loop sweeps */
}

static void *serve(void *arg)
{
	const struct timeval second = {.tv_sec = 1};
	struct export_http *http = arg;

	while (!http->ended) {
		if (sweep(http) || http->paused)
			event_add(http->second, &second);
		if (event_base_loop(http->base, EVLOOP_ONCE) < 0)
			break;
	}
	return NULL;
}

/* --------------------------------------------------------- beginning and end */

static int listen_at(struct export_http *http, const struct export_address *address)
{
	errno = ENOMEM;
	http->listener =
		evconnlistener_new_bind(http->base, NULL, NULL,
					LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
						LEV_OPT_REUSEABLE,
					BACKLOG, (const struct sockaddr *)&address->address,
					(int)address->length);
	if (!http->listener)
		return -errno;
	export_address_of(evconnlistener_get_fd(http->listener), &http->address);
	if (!evhttp_bind_listener(http->http, http->listener)) {
		evconnlistener_free(http->listener);
		http->listener = NULL;
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(http->listener, on_accept_error);
	return 0;
}

static int set_up(struct export_http *http, const struct export_address *address)
{
	http->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (http->stop < 0)
		return -errno;
	http->base = event_base_new();
	http->http = http->base ? evhttp_new(http->base) : NULL;
	if (!http->http)
		return -ENOMEM;
	http->second = event_new(http->base, -1, 0, on_second, http);
	http->stopping = event_new(http->base, http->stop, EV_READ, on_stop, http);
	if (!http->second || !http->stopping || event_add(http->stopping, NULL))
		return -ENOMEM;
	evhttp_set_allowed_methods(http->http, ANY_METHOD); /* the others get 501 */
	evhttp_set_max_headers_size(http->http, EXPORT_HEADERS_MAX);
	evhttp_set_max_body_size(http->http, EXPORT_BODY_MAX);
	evhttp_set_timeout(http->http, EXPORT_WAIT_S);
	evhttp_set_bevcb(http->http, on_accept, http);
	evhttp_set_gencb(http->http, on_request, http);
	return listen_at(http, address);
}

int export_http_start(struct export_http **made, const struct export_address *address,
		      export_page_fn *page)
{
	struct export_http *http = calloc(1, sizeof(*http));
	int err;

	if (!http)
		return -ENOMEM;
	http->page = page;
	http->stop = -1;
	err = set_up(http, address);
	if (!err)
		err = -pthread_create(&http->thread, NULL, serve, http);
	http->running = !err;
	if (err) {
		export_http_stop(http);
		return err;
	}
	*made = http;
	return 0;
}

void export_http_stop(struct export_http *http)
{
	const uint64_t one = 1;

	if (!http)
		return;
	if (http->running && write(http->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(http->thread, NULL);
	if (http->http)
		evhttp_free(http->http); /* the listener and the connections with it */
	for (unsigned i = 0; i < SLOTS; i++) {
		if (http->slots[i].connection)
			bufferevent_decref(http->slots[i].connection);
	}
	if (http->second)
		event_free(http->second);
	if (http->stopping)
		event_free(http->stopping);
	if (http->base)
		event_base_free(http->base);
	if (http->stop >= 0)
		close(http->stop);
	free(http);
}
