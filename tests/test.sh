#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make test`: packages, build, unit tests, end-to-end tests. T=name runs only the unit
# test test_name and the end-to-end tests in test_name.py, SAN=1 all with sanitizers.
#
# Of the end-to-end tests, files run side by side: each process of pytest has its own users,
# collectors and ports, and watches only these. Those marked `alone` follow by themselves.
# NETWATCH_WORKERS: how many side by side, if not 2; 1: all one after the other.

set -eu
cd "$(dirname "$0")/.."
. tests/common.sh

T=${T:-}
WORKERS=${NETWATCH_WORKERS:-2}
unit=yes
e2e=tests/e2e
if [ -n "$T" ]; then
	[ -e "tests/unit/test_$T.c" ] || unit=
	e2e=tests/e2e/test_$T.py
	[ -e "$e2e" ] || e2e=
	[ -n "$unit$e2e" ] || die "no test '$T': neither tests/unit/test_$T.c nor tests/e2e/test_$T.py"
fi

sh tests/packages.sh build test
build all
if [ -n "$unit" ]; then
	say "unit tests"
	build unit T="$T"
fi
[ -n "$e2e" ] || exit 0
is_root || die "NOT RUN: the end-to-end tests. They need root: sudo make test"

make_service_user
run_pytest() {
	B=$B PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-/usr/bin/python3}" -m pytest -q -ra \
		-p no:cacheprovider --durations=5 "$@" "$e2e"
}

say "end-to-end tests"
if [ -n "$T" ] || [ "$WORKERS" -eq 1 ]; then
	run_pytest
	exit
fi
code=0
run_pytest -n "$WORKERS" --dist loadfile -m "not alone" || code=$?
say "end-to-end tests that run alone"
run_pytest -m alone || code=$?
exit "$code"
