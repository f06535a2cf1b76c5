#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# In a Debian that has booted with the package installed, as a service behind all others: what its
# units do under a systemd that is process 1. What it says goes to ttyS1, the exit code to ttyS2.

set -u
SERVICE=netwatch-collector.service
SOCKET=/run/netwatch.sock
DEADLINE_S=60
CAP_NET_ADMIN=0000000000001000
cd /root || exit

finish() {
	echo "rc=$1" >/dev/ttyS2
	systemctl --force poweroff
	exit
}

fail() {
	echo "FAILED: $*"
	systemctl status --no-pager --full $SERVICE netwatch.socket
	journalctl --no-pager -u $SERVICE -n 20
	finish 1
}

step() {
	printf '%3d s  %s\n' "$(cut -d. -f1 /proc/uptime)" "$*"
}

wait_until() {
	end=$(($(date +%s) + DEADLINE_S))
	until eval "$1"; do
		[ "$(date +%s)" -lt "$end" ] || fail "waited in vain for: $1"
		sleep 0.2
	done
}

of() {
	systemctl show --value -p "$1" "${2:-$SERVICE}"
}

running() {
	[ "$(of ActiveState)" = active ] && [ "$(of SubState)" = running ]
}

# Whoever is told so by systemd may connect.
check_running() {
	running || fail "$1: $SERVICE is $(of ActiveState), $(of SubState)"
	[ "$(of ActiveState netwatch.socket)" = active ] || fail "$1: netwatch.socket"
	netwatch status >/dev/null || fail "$1: netwatch status: $?"
	systemctl is-failed --quiet '*' && fail "$1: a unit failed"
}

connect() {
	setpriv --reuid alice --regid alice --clear-groups perl -MIO::Socket::INET -e '
		my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
		my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1:" . $server->sockport) or die;
		my $accepted = $server->accept or die;
		print $client "x"; close $client; sysread $accepted, my $x, 2; close $accepted;'
}

# What a user, with groups or without, sees of a connection of alice's.
watch_as() {
	setpriv --reuid "$1" --regid "$1" "$2" \
		netwatch subscribe -v -a --events conn -o json >events 2>events.err &
	client=$!
	wait_until 'grep -q ^subscribed events.err'
	connect || fail "no connection: $?"
	kill $client
	wait $client || fail "netwatch subscribe of $1: exit code $?: $(cat events.err)"
}

check_events() {
	watch_as alice --clear-groups
	for event in OPEN ESTABLISHED CLOSE; do
		grep -q "\"uid\":$(id -u alice),.*\"event\":\"$event\"" events ||
			fail "$1: no $event of alice: $(cat events)"
	done
}

# What the kernel says of the process.
check_process() {
	pid=$(of MainPID)
	status=/proc/$pid/status
	uid=$(id -u netwatch)
	grep -q "^Uid:	$uid	$uid	$uid	$uid\$" "$status" || fail "it is not user netwatch"
	grep -q "^CapPrm:	$CAP_NET_ADMIN\$" "$status" || fail "$(grep ^Cap "$status")"
	grep -q "^NoNewPrivs:	1\$" "$status" && grep -q "^Seccomp:	2\$" "$status" ||
		fail "it may get privileges, or make any system call"
	[ "$(readlink "/proc/$pid/exe")" = /usr/sbin/netwatch-collector ] || fail "another program"
	[ "$(of StatusText)" = "serving $SOCKET" ] || fail "its status is '$(of StatusText)'"
}

[ "$(cat /proc/1/comm)" = systemd ] || fail "process 1 is $(cat /proc/1/comm)"
useradd --user-group alice
useradd --user-group bob
step "booted: $(systemctl --version | head -n 1), Linux $(uname -r)"
check_running "after the boot"
check_process
systemctl status --no-pager $SERVICE | grep -q 'Active: active (running)' || fail "systemctl status"
check_events "after the boot"

step "users: each sees their own, a member of group netwatch all"
watch_as bob --clear-groups
[ ! -s events ] || fail "bob sees $(cat events)"
usermod -a -G netwatch bob
watch_as bob --init-groups
grep -q '"event":"CLOSE"' events || fail "the operator does not see alice's connection"

step "restarted: the socket stays, and a client goes on"
inode=$(stat -c %i $SOCKET)
pid=$(of MainPID)
netwatch subscribe -v --events conn -o json --reconnect --sport 1 >out 2>err &
client=$!
wait_until '[ "$(grep -c ^subscribed err)" -eq 1 ]'
systemctl restart $SERVICE || fail "systemctl restart: $?"
check_running "restarted"
[ "$(of MainPID)" != "$pid" ] || fail "it is the same process"
[ "$(stat -c %i $SOCKET)" = "$inode" ] || fail "the socket is another one"
wait_until '[ "$(grep -c ^subscribed err)" -eq 2 ]'
kill $client
wait $client || fail "the client that went on: $?"
grep -q '"cause":"RESTART"' out || fail "it was not told of the gap: $(cat out)"

step "stopped, and started by the first client, who waits"
systemctl --quiet stop $SERVICE || fail "systemctl stop: $?"
[ "$(of ActiveState)" = inactive ] && [ -S $SOCKET ] || fail "$(of ActiveState), or no socket"
setpriv --reuid alice --regid alice --clear-groups netwatch status >/dev/null ||
	fail "who connected: exit code $?"
check_running "started by a client"

step "killed: systemd starts it again"
kill -KILL "$(of MainPID)"
wait_until '[ "$(of NRestarts)" -eq 1 ] && running'
check_running "killed"

step "with an option from a drop-in: a history"
mkdir -p /etc/systemd/system/$SERVICE.d
printf '[Service]\nExecStart=\nExecStart=/usr/sbin/netwatch-collector --history 1000\n' \
	>/etc/systemd/system/$SERVICE.d/override.conf
systemctl daemon-reload && systemctl restart $SERVICE || fail "systemctl restart: $?"
check_events "with a history"
netwatch list -a -H -o csv --fields conn.event,uid | grep -q "^CLOSE,$(id -u alice)\$" ||
	fail "nothing is remembered"

step "upgraded while it runs"
pid=$(of MainPID)
apt-get -q -y install ./next.deb >apt.log 2>&1 || fail "apt-get: $(cat apt.log)"
check_running "upgraded"
[ "$(of MainPID)" != "$pid" ] || fail "the old one still runs"
[ "$(stat -c %i $SOCKET)" = "$inode" ] || fail "the socket is another one"

step "stopped with its socket, and started by hand"
systemctl stop $SERVICE netwatch.socket || fail "systemctl stop: $?"
[ ! -e $SOCKET ] || fail "the socket is left"
netwatch status 2>/dev/null
[ $? -eq 3 ] || fail "there is still a collector"
systemctl start $SERVICE || fail "systemctl start: $?"
check_running "started by hand"

step "removed: it ends, and nothing of it is left"
rm -r /etc/systemd/system/$SERVICE.d
pid=$(of MainPID)
apt-get -q -y purge netwatch >apt.log 2>&1 || fail "apt-get: $(cat apt.log)"
[ ! -e "/proc/$pid" ] || fail "it still runs"
[ ! -e $SOCKET ] || fail "the socket is left"
[ "$(of LoadState)" = not-found ] && [ "$(of LoadState netwatch.socket)" = not-found ] ||
	fail "units are left"
systemctl is-failed --quiet '*' && fail "a unit failed"

step "installed on a running system: it runs at once, and after the next boot"
apt-get -q -y install ./netwatch.deb >apt.log 2>&1 || fail "apt-get: $(cat apt.log)"
check_running "installed"
systemctl is-enabled --quiet $SERVICE netwatch.socket || fail "it is not enabled"
check_events "installed"

said=$(journalctl --no-pager -q -o cat -p warning -u $SERVICE -u netwatch.socket |
	grep -v 'Main process exited, code=killed, status=9/KILL\|Failed with result .signal.')
[ -z "$said" ] || fail "the journal has warnings: $said"
step "the journal has no warning but of the kill"
finish 0
