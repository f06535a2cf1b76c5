// SPDX-License-Identifier: GPL-2.0-only
/* Values that must not be shown: in no event, and nowhere in memory that outlives the piece. */

#include "collector/http/target.h"
#include "http_fixture.h"

#define CANARY "c4nAry" /* in every secret, in no name */

static const char *const names[] = {
	"Authorization",
	"authorization",
	"AUTHORIZATION",
	"aUtHoRiZaTiOn",
	"Cookie",
	"cOOkie",
	"Set-Cookie",
	"SET-cookie",
	"Proxy-Authorization",
	"proxy-authenticate",
	"X-Api-Key",
	"x-API-key",
	"X-Amz-Security-Token",
	"X-Auth-Token",
	"X-Hostname",
	"Hos",
	"Hostt",
	"User-Agentt",
	"Content-Type-Options",
	"X",
};

/* %1$s is the name; each stands where a header may. */
static const char *const forms[] = {
	"%s: Bearer " CANARY "\r\n", "%s:" CANARY "\r\n",
	"%s: a\r\n " CANARY "\r\n",			    /* folded */
	"%s: a\r\n\t" CANARY "\r\n", "%s : " CANARY "\r\n", /* a space before the colon */
	"%s\t: " CANARY "\r\n",	     " %s: " CANARY "\r\n",
	"%s: x\r" CANARY "\r\n",     "%s: " CANARY "\n",
	"%s " CANARY "\r\n",	     "Host: h\r\n%s: User-Agent: " CANARY "\r\n",
};

static void assert_no_canary(const char *what)
{
	f.told.text[f.told.used] = '\0';
	if (strstr(f.told.text, CANARY))
		fail_msg("%s shows %s", what, f.told.text);
}

/* A fresh connection each time, with more of the head after the secret. */
static void exchange(const char *header, size_t split)
{
	char text[256];
	struct http_piece p;
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%sHost: h\r\nUser-Agent: u\r\n\r\n",
			 header);

	assert_true(n > 0 && (size_t)n < sizeof(text));
	split = split < (size_t)n ? split : (size_t)n;
	send_cut(HTTP_TX, text, split, 0);
	send_cut(HTTP_TX, text + split, (size_t)n - split, 0);
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n", header);
	rx(text);
	p = piece(HTTP_TX, NULL, 0);
	p.closed = true;
	http_take(f.http, &p);
}

static void test_headers(void **state)
{
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (size_t k = 0; k < sizeof(forms) / sizeof(forms[0]); k++, n++) {
			char header[128];

			snprintf(header, sizeof(header), forms[k], names[i]);
			for (size_t split = 1; split < 100; split++)
				exchange(header, split);
			assert_true(f.told.events >= 2);
			assert_no_canary(header);
			told_reset(&f.told);
		}
	}
	assert_true(n >= 200);
}

/* Cookies in front, as much as a head may have and more: parsed or truncated at every split. */
static void test_cookies_in_front(void **state)
{
	static char text[HTTP_HEAD_MAX + 200];
	static const char first[] = "GET /x HTTP/1.1\r\nCookie: ", last[] = "\r\nHost: h\r\n\r\n";
	static const size_t totals[] = {HTTP_HEAD_MAX - 1, HTTP_HEAD_MAX, HTTP_HEAD_MAX + 100};

	(void)state;
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		size_t n = totals[i], at = sizeof(first) - 1, end = n - (sizeof(last) - 1);
		const char *want = n <= HTTP_HEAD_MAX ? "> GET /x h" : "> GET /x truncated";

		memcpy(text, first, at);
		for (; at < end; at++)
			text[at] = CANARY[at % strlen(CANARY)];
		memcpy(text + end, last, sizeof(last) - 1);
		for (size_t split = 0; split < n; split++) { /* 0: one byte per segment */
			struct http_piece p;

			for (at = 0; at < n && (at < split || !split); at += split ? split : 1)
				send_cut(HTTP_TX, text + at, split ? split : 1, 0);
			send_cut(HTTP_TX, text + at, n - at, 0);
			assert_told(want);
			p = piece(HTTP_TX, NULL, 0);
			p.closed = true;
			http_take(f.http, &p);
		}
	}
}

/* Half a head waits for the rest: what is kept of it has no secret. */
static void test_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct http_head *head = calloc(1, sizeof(*head));
		char text[256];
		size_t used;
		int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s: Basic " CANARY "\r\nX",
				 names[i]);

		assert_non_null(head);
		http_head_begin(head);
		assert_int_equal(http_head_feed(head, text, (size_t)n, &used), HTTP_MORE);
		assert_null(memmem(head, sizeof(*head), CANARY, strlen(CANARY)));
		free(head);
	}
}

static void test_userinfo(void **state)
{
	static const char *const targets[] = {
		"http://" CANARY ":" CANARY "@h/",
		"http://" CANARY "@h/",
		"http://u:" CANARY "/x@h/",
		"//u:" CANARY "@h/",
		"/to?u=http://u:" CANARY "@h/",
		"/to/http://u:" CANARY "@h/",
		"http:u:" CANARY "@h/",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		size_t n = (size_t)snprintf(text, sizeof(text),
					    "GET %s HTTP/1.1\r\nHost: u:" CANARY "@h\r\n\r\n",
					    targets[i]);

		for (size_t cut = 1; cut <= n; cut++) { /* the rest is never seen */
			send_cut(HTTP_TX, text, cut, 5000);
			f.seq[HTTP_TX] += 1000;
			rx("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
			assert_no_canary(targets[i]);
			told_reset(&f.told);
		}
	}
	assert_true(http_counters(f.http)->resynchronised || http_counters(f.http)->malformed);
}

static void test_query(void **state)
{
	static const char from[] =
		"/a/b?key=" CANARY "&" CANARY "&x=" CANARY ";y=" CANARY "&z=?" CANARY "#" CANARY;
	char out[256];

	(void)state;
	for (size_t size = 1; size < sizeof(out); size++) {
		http_target_redact(out, size, from, sizeof(from) - 1);
		assert_null(strstr(out, "c4"));
	}
	assert_string_equal(out, "/a/b?key=REDACTED&REDACTED&x=REDACTED;y=REDACTED&z=REDACTED"
				 "#REDACTED");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(test_headers), CASE(test_cookies_in_front),
		CASE(test_memory),  CASE(test_userinfo),
		CASE(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
