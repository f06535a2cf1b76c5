// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of netwatch-collector in C: prints connections as they open, fail and close.
 *
 *     protoc-c -I /usr/local/share/netwatch -I /usr/include --c_out=. netwatch.proto \
 *         google/protobuf/timestamp.proto
 *     cc -I. -o client client.c netwatch.pb-c.c google/protobuf/timestamp.pb-c.c -lprotobuf-c
 *     ./client /run/netwatch.sock          # all that this user may see
 *     ./client /run/netwatch.sock 443 10   # ten events of connections to or from port 443
 *
 * It needs protobuf-c, and knows of the protocol what netwatch.proto(5) says: both sides say
 * hello first; a message is preceded by its length, as a varint.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "netwatch.pb-c.h"

#define MAJOR	  1 /* version of the protocol; another one says other things */
#define REPLY_MAX (64 * 1024)

static void fail(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static FILE *connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *stream;

	if (strlen(path) >= sizeof(address.sun_path))
		fail("the socket's path is too long");
	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		fail("there is no collector");
	stream = fdopen(fd, "r");
	if (!stream)
		fail("out of memory");
	return stream;
}

/* Writes one message. */
static void send_request(FILE *stream, const Netwatch__Request *request)
{
	size_t size = netwatch__request__get_packed_size(request), used = 0;
	uint8_t *data = malloc(10 + size);

	if (!data)
		fail("out of memory");
	for (size_t rest = size; used == 0 || rest; rest >>= 7)
		data[used++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
	used += netwatch__request__pack(request, data + used);
	for (size_t done = 0; done < used;) {
		ssize_t n = send(fileno(stream), data + done, used - done, MSG_NOSIGNAL);

		if (n < 0)
			fail("the collector went away");
		done += (size_t)n;
	}
	free(data);
}

/* Reads one message, which the caller frees. */
static Netwatch__Reply *receive(FILE *stream)
{
	static uint8_t data[REPLY_MAX];
	size_t length = 0;
	Netwatch__Reply *reply;

	for (int shift = 0, byte = 0x80; byte & 0x80; shift += 7) {
		byte = getc(stream);
		if (byte == EOF)
			fail("the collector went away");
		length |= (size_t)(byte & 0x7f) << shift;
		if (length > sizeof(data) || shift > 21)
			fail("the collector sent what is no message");
	}
	if (fread(data, 1, length, stream) != length)
		fail("the collector went away");
	reply = netwatch__reply__unpack(NULL, length, data);
	if (!reply)
		fail("the collector sent what is no message");
	return reply;
}

/* What processes call themselves is not to be trusted with a terminal. */
static void put_safe(const char *text)
{
	for (; *text; text++) {
		if (isprint((unsigned char)*text))
			putchar(*text);
		else
			printf("\\x%02x", (unsigned char)*text);
	}
}

/* A field that is not known is absent: has_ tells, or NULL. */
static void show(const Netwatch__Event *event)
{
	const Netwatch__Connection *of = event->connection;
	const Netwatch__Conn *conn = event->conn;
	const ProtobufCEnumValue *stage;

	if (event->lost) { /* the place where something is missing */
		printf("LOST %" PRIu64 "\n", event->lost->count);
		return;
	}
	if (!of || !conn) /* of a newer collector */
		return;
	stage = protobuf_c_enum_descriptor_get_value(&netwatch__conn__stage__descriptor,
						     (int)conn->event);
	printf("%s %s:%" PRIu32, stage ? stage->name : "?", of->laddr, of->lport);
	if (of->has_rport)
		printf(" %s:%" PRIu32, of->raddr, of->rport);
	if (of->has_pid) {
		putchar(' ');
		put_safe(of->comm ? of->comm : "");
		printf("[%" PRIu32 "]", of->pid);
	}
	if (conn->error)
		printf(" %s", conn->error);
	if (conn->event == NETWATCH__CONN__STAGE__CLOSE)
		printf(" received=%" PRIu64 " sent=%" PRIu64, conn->bytes_received,
		       conn->bytes_acked);
	putchar('\n');
}

static void say_hello(FILE *stream)
{
	Netwatch__Hello hello = NETWATCH__HELLO__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;
	Netwatch__Reply *reply;

	hello.has_major = hello.has_minor = 1;
	hello.major = MAJOR;
	hello.program = (char *)"example";
	request.request_case = NETWATCH__REQUEST__REQUEST_HELLO;
	request.hello = &hello;
	send_request(stream, &request);
	reply = receive(stream);
	if (reply->reply_case != NETWATCH__REPLY__REPLY_HELLO || reply->hello->major != MAJOR)
		fail("the collector speaks another version of the protocol");
	netwatch__reply__free_unpacked(reply, NULL);
}

static void subscribe(FILE *stream, uint32_t port)
{
	char *categories[] = {(char *)"conn"};
	Netwatch__PortRange range = NETWATCH__PORT_RANGE__INIT, *ranges[] = {&range};
	Netwatch__PortSet ports = NETWATCH__PORT_SET__INIT;
	Netwatch__Filter filter = NETWATCH__FILTER__INIT;
	Netwatch__Subscribe subscribe = NETWATCH__SUBSCRIBE__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;

	range.has_first = 1;
	range.first = port;
	ports.any = ranges;
	ports.n_any = 1;
	filter.port = port ? &ports : NULL;
	subscribe.category = categories;
	subscribe.n_category = 1;
	subscribe.has_closed = subscribe.closed = 1;
	subscribe.filter = &filter;
	request.request_case = NETWATCH__REQUEST__REQUEST_SUBSCRIBE;
	request.subscribe = &subscribe;
	send_request(stream, &request);
}

/* What is still under way comes, then the account in bye. */
static void unsubscribe(FILE *stream)
{
	Netwatch__Unsubscribe unsubscribe = NETWATCH__UNSUBSCRIBE__INIT;
	Netwatch__Request request = NETWATCH__REQUEST__INIT;

	request.request_case = NETWATCH__REQUEST__REQUEST_UNSUBSCRIBE;
	request.unsubscribe = &unsubscribe;
	send_request(stream, &request);
}

static void tell_account(const Netwatch__Totals *totals)
{
	if (totals)
		printf("matched %" PRIu64 ", lost %" PRIu64 "\n", totals->matched,
		       totals->lost_kernel + totals->lost_queue);
}

/* Prints so many events; 0: all. */
static void follow(FILE *stream, uint64_t count)
{
	uint64_t seen = 0;

	for (bool ended = false; !ended;) {
		Netwatch__Reply *reply = receive(stream);

		if (reply->reply_case == NETWATCH__REPLY__REPLY_EVENT && (!count || seen < count)) {
			show(reply->event);
			if (++seen == count)
				unsubscribe(stream);
		} else if (reply->reply_case == NETWATCH__REPLY__REPLY_SUBSCRIBED) {
			printf("subscribed\n");
		} else if (reply->reply_case == NETWATCH__REPLY__REPLY_ERROR) {
			fail(reply->error->message ? reply->error->message : "refused");
		} else if (reply->reply_case == NETWATCH__REPLY__REPLY_BYE) {
			tell_account(reply->bye->totals);
			ended = true;
		} /* another kind is of a newer collector: skip it */
		fflush(stdout);
		netwatch__reply__free_unpacked(reply, NULL);
	}
}

int main(int argc, char **argv)
{
	FILE *stream;

	if (argc < 2)
		fail("usage: client SOCKET [PORT [COUNT]]");
	stream = connect_to(argv[1]);
	say_hello(stream);
	subscribe(stream, argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0);
	follow(stream, argc > 3 ? strtoull(argv[3], NULL, 10) : 0);
	fclose(stream);
	return 0;
}
