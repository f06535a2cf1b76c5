#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What `make fuzz` runs when all is built: FUZZ_RUNS conversations, and FUZZ_SECONDS of each that is
# guided by coverage. What such a one found worth keeping stands in build/fuzz/corpus/; what it says
# in build/fuzz/NAME.log; an input that breaks something in build/fuzz/.

set -eu
cd "$(dirname "$0")/.."

RUNS=${FUZZ_RUNS:-1000000}
SECONDS_EACH=${FUZZ_SECONDS:-60}
D=tests/data

# guided NAME SEED... -- OPTION...
guided() {
	name=$1
	corpus=build/fuzz/corpus/$name
	shift
	mkdir -p "$corpus"
	while [ "$1" != -- ]; do
		cp "$1" "$corpus/"
		shift
	done
	shift
	echo "== $name"
	if ! "build/fuzz/guided/$name" -max_total_time="$SECONDS_EACH" -artifact_prefix=build/fuzz/ \
		"$@" "$corpus" > "build/fuzz/$name.log" 2>&1; then
		tail -n 40 "build/fuzz/$name.log"
		exit 1
	fi
	tail -n 1 "build/fuzz/$name.log"
}

echo "== http"
build/fuzz/http "$RUNS"
guided head -- -dict=tests/fuzz/http.dict -max_len=2048
guided request $D/*.client -- -max_len=4096
guided event $D/*.collector $D/events.netwatch -- -max_len=1024
