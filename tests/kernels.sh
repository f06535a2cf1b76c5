#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# `make test-kernels`: packages, build, and the categories' end-to-end tests on every supported
# kernel, of each file those that are marked `kernels`, if any are; FULL=1: all of them.
# K=6.1 runs one kernel (or K=6.1,newest), T=conn one row of the table.

set -eu
cd "$(dirname "$0")/.."
. tests/common.sh

sh tests/packages.sh build test kernels
build all
is_root || die "NOT RUN: the kernels. They need root: sudo make test-kernels"

make_service_user
exec env B="$B" PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-/usr/bin/python3}" tests/kernels/run.py \
	${K:+--kernel "$K"} ${T:+--row "$T"} ${FULL:+--full} --write doc/kernels.md
