#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make bench`: packages, build, and tests/bench/bench.py, about four minutes. Needs root.
# ARGS are its options: make bench ARGS='--rounds 9 --only tcplife'.

set -eu
cd "$(dirname "$0")/.."
. tests/common.sh

is_root || die "NOT RUN: the benchmark needs root: sudo make bench"
[ -z "${SAN:-}" ] || die "NOT RUN: figures of a build with sanitizers say nothing"
eval "set -- ${ARGS:-}"

sh tests/packages.sh build bench
build all "$B/tests/bench/traffic"
make_service_user

# The other tools want tracefs, which systemd would have mounted. Nobody else sees this mount.
B=$B PYTHONDONTWRITEBYTECODE=1 exec unshare --mount sh -c '
	[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || true
	exec "$@"' bench "${PYTHON:-/usr/bin/python3}" tests/bench/bench.py "$@"
