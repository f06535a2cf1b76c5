#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make run`: installs, builds, starts the collector and shows live events as the user who
# typed it, until Ctrl-C ends both. ARGS are options of `netwatch subscribe`. So that a quiet
# host shows something, that user also makes a few loopback connections (TRAFFIC=no: none).

set -eu
cd "$(dirname "$0")/.."
. tests/common.sh

SOCKET=${SOCKET:-/run/netwatch.sock}
READY_S=30
collector=
traffic=
client=

# The process has ended, or never was.
finish() {
	[ -n "$1" ] || return 0
	kill -TERM "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

clean_up() {
	trap - EXIT
	trap '' INT TERM HUP
	finish "$client"
	finish "$traffic"
	finish "$collector"
}

# The collector serves clients, ours or one that ran already.
wait_until_served() {
	end=$(($(date +%s) + READY_S))
	until "$B/netwatch" --socket "$SOCKET" status >/dev/null 2>&1; do
		if ! kill -0 "$collector" 2>/dev/null; then
			code=0
			wait "$collector" || code=$?
			collector=
			# With 3 it has told that another one is running.
			[ "$code" -eq 3 ] || die "netwatch-collector ended with exit code $code"
			return
		fi
		[ "$(date +%s)" -lt "$end" ] || die "netwatch-collector does not answer at $SOCKET"
		sleep 0.1
	done
}

# In a session of its own, so that Ctrl-C reaches only the client and this script.
start_collector() {
	if "$B/netwatch" --socket "$SOCKET" status >/dev/null 2>&1; then
		say "using the collector that already serves $SOCKET"
		return
	fi
	setsid "$B/netwatch-collector" --socket "$SOCKET" --log-level warn >&2 </dev/null &
	collector=$!
	wait_until_served
}

# One connection a second with a request and its response, from that user to itself.
# Perl's base is part of every Debian.
start_traffic() {
	[ "${TRAFFIC:-yes}" != no ] || return 0
	say "making loopback traffic as $typist, one connection a second"
	(exec_as_typist perl -MIO::Socket::INET -e '
		$SIG{ALRM} = sub { exit 1 };
		my $server = IO::Socket::INET->new(Listen => 8, LocalAddr => "127.0.0.1")
			or die "loopback traffic: $!\n";
		my $to = "127.0.0.1:" . $server->sockport;
		while (getppid() == $ARGV[0]) {
			alarm 10;
			my $client = IO::Socket::INET->new(PeerAddr => $to) or die "$!\n";
			my $accepted = $server->accept or die "$!\n";
			print $client "GET /hello HTTP/1.1\r\nHost: $to\r\n\r\n";
			$client->flush;
			while (<$accepted>) { last if $_ eq "\r\n" }
			print $accepted "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
			close $accepted;
			1 while <$client>;
			close $client;
			sleep 1;
		}' $$) </dev/null >&2 &
	traffic=$!
}

# In the background: a trap waits for the end of a command in the foreground.
show_events() {
	(exec_as_typist "$B/netwatch" --socket "$SOCKET" subscribe "$@") &
	client=$!
	code=0
	wait "$client" || code=$?
	client=
	return "$code"
}

# Ctrl-C: the client ends as asked, and its exit code is ours.
interrupt() {
	trap '' INT TERM HUP
	[ -n "$client" ] || exit 130
	kill -TERM "$client" 2>/dev/null || true
	code=0
	wait "$client" || code=$?
	client=
	exit "$code"
}

is_root || die "make run needs root, which the collector starts as: sudo make run"
eval "set -- ${ARGS:-}"

sh tests/packages.sh build run
build all
make_service_user
trap clean_up EXIT
trap interrupt INT TERM HUP
start_collector
start_traffic
code=0
show_events "$@" || code=$?
exit "$code"
