#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# A Debian with systemd and the package, as an initramfs to boot: system.sh BASE ARCHIVES WORK. In a
# mount namespace of its own. WORK has netwatch.deb and next.deb, and gets system.cpio.

set -eu
BASE=$1 ARCHIVES=$2 WORK=$3
HERE=$(dirname "$0")
. "$HERE/root.sh"

mount_root
apt_get update
apt_get install systemd-sysv dbus /tmp/netwatch.deb

cp "$HERE/guest.sh" "$ROOT"/tmp/*.deb "$ROOT/root"
cat >"$ROOT/etc/systemd/system/witness.service" <<END
[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh /root/guest.sh
StandardOutput=file:/dev/ttyS1
StandardError=inherit
[Install]
WantedBy=default.target
END
inside systemctl --quiet enable witness.service
# Nobody logs in, and without udev nobody says that there are terminals.
inside systemctl --quiet mask getty.target
ln -s /lib/systemd/systemd "$ROOT/init"

# In memory it has to be small. The namespace's mounts are its own business.
rm -rf "$ROOT"/usr/share/doc "$ROOT"/usr/share/man "$ROOT"/usr/share/locale "$ROOT"/var/lib/apt/lists/*
(cd "$ROOT" && find . -xdev | cpio --quiet -o -H newc -R +0:+0) >"$WORK/system.cpio"
