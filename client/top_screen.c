// SPDX-License-Identifier: GPL-2.0-only
// termios(3), ECMA-48 as far as every terminal emulator has it, and signals by descriptor.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "stop.h"
#include "top_screen.h"

#define IN  STDIN_FILENO
#define OUT STDOUT_FILENO

#define KEYS_MAX 256 /* bytes read at once */
#define ESC	 '\033'

/* The alternate screen, no cursor, no wrapping of what is too wide; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct {
	int epoll, signals; /* or -1 */
	bool keys;	    /* stdin is a terminal */
	bool ours;
	bool modes_set;
	struct termios before;
} screen = {.epoll = -1, .signals = -1};

static const struct {
	const char *text;
	enum top_key key;
} keys[] = {
	{"q", TOP_KEY_QUIT},
	{"Q", TOP_KEY_QUIT},
	{"<", TOP_KEY_LEFT},
	{"\033[D", TOP_KEY_LEFT},
	{"\033OD", TOP_KEY_LEFT},
	{">", TOP_KEY_RIGHT},
	{"\033[C", TOP_KEY_RIGHT},
	{"\033OC", TOP_KEY_RIGHT},
	{"\033[A", TOP_KEY_UP},
	{"\033OA", TOP_KEY_UP},
	{"k", TOP_KEY_UP},
	{"\033[B", TOP_KEY_DOWN},
	{"\033OB", TOP_KEY_DOWN},
	{"j", TOP_KEY_DOWN},
	{"\033[5~", TOP_KEY_PAGE_UP},
	{"\033[6~", TOP_KEY_PAGE_DOWN},
	{"\033[H", TOP_KEY_HOME},
	{"\033OH", TOP_KEY_HOME},
	{"\033[1~", TOP_KEY_HOME},
	{"g", TOP_KEY_HOME},
	{"r", TOP_KEY_REVERSE},
	{"R", TOP_KEY_REVERSE},
	{" ", TOP_KEY_PAUSE},
	{"p", TOP_KEY_PAUSE},
	{"P", TOP_KEY_PAUSE},
	{"?", TOP_KEY_HELP},
	{"h", TOP_KEY_HELP},
	{"\f", TOP_KEY_REDRAW},
};

static int add(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(screen.epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* They come by descriptor only, so that nothing happens in the middle of something. */
static int open_signals(void)
{
	static const int numbers[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGHUP, SIGQUIT};
	sigset_t set;

	sigemptyset(&set);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&set, numbers[i]);
	screen.signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (screen.signals < 0)
		return -errno;
	stop_keep_blocked(&set);
	return add(screen.signals);
}

int top_screen_open(void)
{
	int err;

	screen.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (screen.epoll < 0)
		return -errno;
	screen.keys = isatty(IN);
	err = open_signals();
	if (!err && screen.keys)
		err = add(IN);
	if (err) {
		top_screen_close();
		return err;
	}
	log_before(top_screen_leave);
	return screen.epoll;
}

void top_screen_close(void)
{
	top_screen_leave();
	log_before(NULL);
	if (screen.signals >= 0)
		close(screen.signals);
	if (screen.epoll >= 0)
		close(screen.epoll);
	screen.signals = screen.epoll = -1;
}

/* A terminal that nobody reads must not stop us. */
static void put(const char *text)
{
	struct pollfd out = {.fd = OUT, .events = POLLOUT};
	ssize_t n = 0;

	if (poll(&out, 1, 0) > 0 && out.revents & POLLOUT)
		n = write(OUT, text, strlen(text));
	(void)n; /* a terminal that is gone needs nothing */
}

void top_screen_enter(void)
{
	struct termios modes;

	if (screen.ours)
		return;
	screen.ours = true;
	screen.modes_set = screen.keys && !tcgetattr(IN, &screen.before);
	if (screen.modes_set) {
		modes = screen.before;
		modes.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		modes.c_iflag &= ~(tcflag_t)IXON; /* after Ctrl-S nothing could be given back */
		modes.c_cc[VMIN] = 1;
		modes.c_cc[VTIME] = 0;
		tcsetattr(IN, TCSANOW, &modes);
	}
	put(ENTER);
}

void top_screen_leave(void)
{
	if (!screen.ours)
		return;
	screen.ours = false;
	if (screen.modes_set)
		tcsetattr(IN, TCSANOW, &screen.before);
	put(LEAVE);
}

void top_screen_size(unsigned *lines, unsigned *columns)
{
	struct winsize size;
	bool known = !ioctl(OUT, TIOCGWINSZ, &size) && size.ws_row && size.ws_col;

	*lines = known ? size.ws_row : 24;
	*columns = known ? size.ws_col : 80;
}

/* What the signal does by itself, with the terminal as it was. */
static void obey(int number)
{
	sigset_t set;

	top_screen_leave();
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* it happens here */
	sigprocmask(SIG_BLOCK, &set, NULL);
	top_screen_enter();
}

static bool take_signals(void)
{
	struct signalfd_siginfo info;
	bool any = false;

	while (read(screen.signals, &info, sizeof(info)) == sizeof(info)) {
		any = true;
		if (info.ssi_signo == SIGCONT) { /* whoever had the terminal meanwhile */
			top_screen_leave();
			top_screen_enter();
		} else if (info.ssi_signo != SIGWINCH) {
			obey((int)info.ssi_signo);
		}
	}
	return any;
}

/* Bytes of the key that text begins with. One that means nothing here is passed over. */
static size_t take_key(const char *text, size_t size, void (*key)(enum top_key key))
{
	size_t length = 1;

	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		length = strlen(keys[i].text);
		if (length <= size && !memcmp(keys[i].text, text, length)) {
			key(keys[i].key);
			return length;
		}
	}
	if (size < 2 || text[0] != ESC || text[1] != '[')
		return 1;
	for (length = 2; length < size && (text[length] < 0x40 || text[length] > 0x7e); length++)
		;
	return length < size ? length + 1 : size;
}

static bool has_key(void)
{
	struct pollfd in = {.fd = IN, .events = POLLIN};

	return poll(&in, 1, 0) > 0;
}

bool top_screen_ready(void (*key)(enum top_key key))
{
	bool any = take_signals();
	char text[KEYS_MAX];
	ssize_t n;

	if (!screen.keys || !has_key())
		return any;
	n = read(IN, text, sizeof(text));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return any;
	if (n <= 0) { /* the terminal is gone, or its other side */
		epoll_ctl(screen.epoll, EPOLL_CTL_DEL, IN, NULL);
		screen.keys = false;
		return any;
	}
	for (size_t at = 0; at < (size_t)n;)
		at += take_key(text + at, (size_t)n - at, key);
	return true;
}
