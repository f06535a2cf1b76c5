#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# The life of the package, without a running systemd, in a mount namespace of its own: life.sh BASE
# ARCHIVES WORK VERSION. The kernel and the network are this host's. WORK has netwatch.deb and next.deb.

set -eu
BASE=$1 ARCHIVES=$2 WORK=$3 VERSION=$4
. "$(dirname "$0")/root.sh"
DEADLINE_S=60
USER_ID=${NETWATCH_FIRST_UID:-61001}
collector=

clean_up() {
	[ -z "$collector" ] || kill "$collector" 2>/dev/null || true
}
trap clean_up EXIT

# What is there: all files, users and groups. Not logs, caches, backups of passwd and dpkg's own.
list_all() {
	(cd "$ROOT" && find . -xdev \( -path ./var/log -o -path ./var/cache -o -path ./var/lib/dpkg \
		-o -path ./var/lib/apt -o -path ./tmp -o -path ./run \) -prune \
		-o ! -name '*-' -print | sort)
	cut -d: -f1 "$ROOT/etc/passwd" "$ROOT/etc/group" | sort
}

start_collector() {
	chroot "$ROOT" netwatch-collector --log-level warn &
	collector=$!
	end=$(($(date +%s) + DEADLINE_S))
	until inside netwatch status >/dev/null 2>&1; do
		kill -0 "$collector" 2>/dev/null || fail "netwatch-collector ended"
		[ "$(date +%s)" -lt "$end" ] || fail "netwatch-collector does not answer"
		sleep 0.1
	done
}

stop_collector() {
	kill "$collector"
	wait "$collector" || fail "netwatch-collector: exit code $?"
	collector=
}

# A user without any privilege sees the connection that a command of theirs makes.
check_events() {
	chroot --userspec="$USER_ID:$USER_ID" --groups= "$ROOT" netwatch subscribe -a --events conn \
		-o json -- perl -MIO::Socket::INET -e '
		my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die;
		my $client = IO::Socket::INET->new(PeerAddr => "127.0.0.1:" . $server->sockport) or die;
		my $accepted = $server->accept or die;
		print $client "x"; close $client; sysread $accepted, my $x, 2; close $accepted;' \
		>"$WORK/events" || fail "netwatch subscribe: exit code $?"
	for event in OPEN ESTABLISHED CLOSE; do
		grep -q "\"uid\":$USER_ID,.*\"event\":\"$event\"" "$WORK/events" ||
			fail "no $event of uid $USER_ID: $(cat "$WORK/events")"
	done
}

check_version() {
	for program in netwatch netwatch-collector; do
		[ "$(inside $program --version)" = "$program $VERSION" ] || fail "$program --version"
	done
}

enabled() {
	[ -L "$ROOT/etc/systemd/system/multi-user.target.wants/netwatch-collector.service" ] &&
		[ -L "$ROOT/etc/systemd/system/sockets.target.wants/netwatch.socket" ]
}

mount_root
apt_get update
# What it needs, first: so all that comes later is its own.
apt_get satisfy "$(dpkg-deb -f "$WORK/netwatch.deb" Depends)"
list_all >"$WORK/before"

echo "installed" >&2
apt_get install /tmp/netwatch.deb
check_version
enabled || fail "the units are not enabled"
for file in man/man1/netwatch.1.gz man/man5/netwatch.proto.5.gz man/man8/netwatch-collector.8.gz \
	doc/netwatch/changelog.gz doc/netwatch/copyright bash-completion/completions/netwatch \
	zsh/vendor-completions/_netwatch fish/vendor_completions.d/netwatch.fish \
	netwatch/netwatch.proto netwatch/netwatch-dashboard.json netwatch/netwatch.rules.yml; do
	grep -q "^/usr/share/$file\$" "$ROOT/var/lib/dpkg/info/netwatch.list" || fail "no $file"
done
for name in netwatch netwatch-http; do
	inside getent group $name >/dev/null || fail "no group $name"
done
inside getent passwd netwatch | grep -q ':/usr/sbin/nologin$' || fail "no user netwatch"
start_collector
check_events
inside apt-get -s install netdiag 2>&1 | grep -q '^Remv netwatch ' ||
	fail "netdiag, which has a program of the same name, can be installed beside it"

echo "upgraded, while it runs and is disabled" >&2
inside systemctl disable netwatch-collector.service netwatch.socket 2>/dev/null
apt_get install /tmp/next.deb
inside dpkg-query -W -f '${Version}' netwatch | grep -q '+next$' || fail "not upgraded"
check_version
enabled && fail "an upgrade enables what was disabled"
check_events # by the one that runs
stop_collector
start_collector
check_events
stop_collector

echo "removed" >&2
apt_get remove netwatch
! inside which netwatch netwatch-collector || fail "programs are left"
inside getent passwd netwatch >/dev/null || fail "the user is gone before purge"

echo "purged" >&2
apt_get purge netwatch
list_all >"$WORK/after"
diff "$WORK/before" "$WORK/after" >&2 || fail "something is left, or something is missing"

echo "removed by hand and installed again" >&2
apt_get install /tmp/netwatch.deb
enabled || fail "the units are not enabled after a purge"
apt_get purge netwatch
