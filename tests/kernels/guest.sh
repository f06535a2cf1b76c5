#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
#
# /init of a guest. Console on ttyS0; what the tests say on ttyS1; on ttyS2 the exit code, and
# nothing when there was none; on ttyS3 what is for the host's eyes: results as files.
# On the kernel's command line: files= of the tests with commas between, marked= so that of some
# only those with that marker run, seconds= for all.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
# Of what a test does many times, so much: emulated, all takes some twenty times as long.
export NETWATCH_SCALE=0.1
export NETWATCH_GUEST=1 # nobody else is here, and one collector is for all
export NETWATCH_CHECK=/tmp/check.json # what it can do, in its own words; the tests judge

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs securityfs /sys/kernel/security
ln -sf /proc/self/fd /dev/fd
chmod 1777 /tmp

for port in 1 2 3; do
	stty -F /dev/ttyS$port raw -echo
done
for module in /modules/*.ko; do
	insmod "$module" || echo "insmod $module failed"
done
ip link set lo up

for word in $(cat /proc/cmdline); do
	case $word in
	files=*) files=$(echo "${word#files=}" | tr , ' ') ;;
	marked=*) export NETWATCH_MARKED="${word#marked=}" ;;
	seconds=*) seconds=${word#seconds=} ;;
	esac
done

cd /mnt || exit
(
	if [ -z "$files" ]; then # it is to refuse this kernel
		timeout 60 build/netwatch-collector --check -o json >/tmp/check.json 2>/tmp/check.err
		echo $? >/tmp/check.rc
		timeout 30 build/netwatch-collector --socket /tmp/sock 2>/tmp/start.err
		echo $? >/tmp/start.rc
		[ ! -e /tmp/sock ] || echo "/tmp/sock is left" >>/tmp/start.err
		exit 0
	fi
	cd tests/e2e || exit
	# Words of files= are names of files.
	options="-q -ra --color=no -o cache_dir=/tmp/pytest"
	# shellcheck disable=SC2086
	timeout "$seconds" python3 -m pytest $options --durations=5 --junit-xml=/tmp/junit.xml $files
	rc=$?
	[ "$rc" -eq 1 ] || exit "$rc"
	echo "ONCE MORE: what failed may have met the slowness of an emulated machine"
	# shellcheck disable=SC2086
	timeout "$seconds" python3 -m pytest $options --last-failed --junit-xml=/tmp/again.xml $files
) >/dev/ttyS1 2>&1
rc=$?

for file in check.rc check.err check.json start.rc start.err junit.xml again.xml; do
	[ -e /tmp/$file ] || continue
	printf '=== %s %s\n' "$file" "$(stat -c %s /tmp/$file)"
	cat /tmp/$file
done >/dev/ttyS3
echo "rc=$rc" >/dev/ttyS2
sync
echo o >/proc/sysrq-trigger
sleep 60
