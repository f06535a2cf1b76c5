# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
#
# A fresh Debian at ROOT, for what sources this: it sets BASE, ARCHIVES and WORK. What is written goes
# to a layer above BASE that is gone with the mount namespace.

ROOT=$WORK/root

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

inside() {
	chroot "$ROOT" "$@"
}

apt_get() {
	inside env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o APT::Keep-Downloaded-Packages=true \
		-o Dpkg::Use-Pty=0 --no-install-recommends "$@" >>"$WORK/apt.log" 2>&1 || {
		tail -n 20 "$WORK/apt.log" >&2
		fail "apt-get $*"
	}
}

mount_root() {
	mkdir -p "$WORK/layer" "$ROOT"
	mount -t tmpfs tmpfs "$WORK/layer"
	mkdir "$WORK/layer/upper" "$WORK/layer/work"
	mount -t overlay overlay \
		-o "lowerdir=$BASE,upperdir=$WORK/layer/upper,workdir=$WORK/layer/work" "$ROOT"
	mount -t proc proc "$ROOT/proc"
	mount --rbind /sys "$ROOT/sys"
	mount --rbind /dev "$ROOT/dev"
	mount -t tmpfs tmpfs "$ROOT/run"
	mount --bind "$ARCHIVES" "$ROOT/var/cache/apt/archives"
	cp --remove-destination /etc/resolv.conf "$ROOT/etc/resolv.conf"
	cp "$WORK/netwatch.deb" "$WORK/next.deb" "$ROOT/tmp"
	chmod 644 "$ROOT"/tmp/*.deb
}
