#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs those Debian packages of the named groups that are missing: packages.sh GROUP...
# Says nothing when nothing is missing. With --list before GROUP: prints its packages.

set -eu

packages_of() {
	case $1 in
	build) echo gcc make pkg-config clang bpftool libbpf-dev libevent-dev libprotobuf-c-dev \
		protobuf-c-compiler protobuf-compiler libprotobuf-dev libcap-dev libseccomp-dev ;;
	run) echo util-linux passwd perl-base ;;
	test) echo libcmocka-dev libhttp-parser-dev python3 python3-pytest python3-pytest-xdist \
		python3-protobuf curl jq \
		iproute2 nftables bash bash-completion zsh fish mandoc groff-base systemd ;;
	kernels) echo qemu-system-x86 cpio kmod nftables xz-utils zstd dash mount procps findutils \
		debian-archive-keyring ;;
	bench) echo bpftrace libbpf-tools tcpdump ;;
	package) echo debhelper dpkg-dev ;;
	deb) echo lintian mmdebstrap debian-archive-keyring util-linux mount passwd \
		qemu-system-x86 cpio kmod python3 ;;
	format) echo clang-format ;;
	fuzz) echo libclang-rt-14-dev libhttp-parser-dev ;;
	*) echo "packages.sh: no group '$1'; there are build run test kernels bench package deb format fuzz" >&2
		return 2 ;;
	esac
}

installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if [ "${1:-}" = --list ]; then
	packages_of "$2"
	exit
fi

wanted=
for group; do
	list=$(packages_of "$group")
	wanted="$wanted $list"
done

if ! command -v dpkg-query >/dev/null; then
	echo "packages.sh: not Debian, so nothing is checked; needed is what Debian calls$wanted" >&2
	exit 0
fi

missing=
for package in $wanted; do
	installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "packages.sh: missing packages; as root: apt-get install$missing" >&2
	exit 1
fi

echo "installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
{
	apt-get -q update
	# One word per package.
	# shellcheck disable=SC2086
	apt-get -q -y --no-install-recommends install $missing
} >&2
