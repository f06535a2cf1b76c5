#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make test-deb`: packages, the .deb, lintian's word on it, and its life in a fresh Debian 12, without
# a running systemd: installed by apt, used, upgraded, removed, purged (tests/deb/life.sh), and with
# one, booted under qemu: what its units do (tests/deb/guest.sh). Needs root and Debian's mirror
# (NETWATCH_MIRROR); the fresh Debian is kept in NETWATCH_CACHE for a week.

set -eu
cd "$(dirname "$0")/.."
. tests/common.sh

MIRROR=${NETWATCH_MIRROR:-http://deb.debian.org/debian}
CACHE=${NETWATCH_CACHE:-/var/cache/netwatch-tests}/deb
BASE=$CACHE/bookworm
BASE_DAYS=7

is_root || die "NOT RUN: the package. Its test needs root: sudo make test-deb"

sh tests/packages.sh build package deb
rm -f build/netwatch_*.deb
build deb
deb=$(ls build/netwatch_*.deb)

# apt's own directories, so that nothing of this host's sources is asked.
make_base() {
	say "making a fresh Debian 12 from $MIRROR"
	rm -rf "$BASE" "$BASE.partial"
	mkdir -p "$CACHE"
	mmdebstrap --quiet --variant=minbase --mode=root bookworm "$BASE.partial" "$MIRROR" &&
		rm -f "$BASE.partial"/var/cache/apt/archives/*.deb &&
		mv "$BASE.partial" "$BASE"
}
if [ -z "$(find "$BASE" -maxdepth 0 -mtime -$BASE_DAYS 2>/dev/null)" ]; then
	make_base >&2 || die "NOT RUN: the package. No Debian 12 can be had from $MIRROR"
	touch "$BASE"
fi
mkdir -p "$CACHE/archives/partial"

say "lintian"
lintian --allow-root --fail-on error,warning "$deb"

# The same content, as the next version.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dpkg-deb -R "$deb" "$work/next"
sed -i 's/^Version: .*/&+next/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/next" "$work/next.deb" >/dev/null
cp "$deb" "$work/netwatch.deb"

say "its life in a Debian 12 of its own"
unshare --mount sh tests/deb/life.sh "$BASE" "$CACHE/archives" "$work" \
	"$(dpkg-deb -f "$deb" Version)"
say "its units, under a systemd that is process 1"
unshare --mount sh tests/deb/system.sh "$BASE" "$CACHE/archives" "$work"
PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-/usr/bin/python3}" tests/deb/boot.py "$work"
say "the package passed"
