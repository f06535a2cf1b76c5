# SPDX-License-Identifier: GPL-2.0-only
"""Programs started with less than root has, and what they may not leave behind."""

import copy
import ctypes
import os
import platform
import shlex
import struct
import subprocess

from harness import CAROL, DEADLINE_S, wait_until

SERVICE = CAROL  # no other test loads programs as this user
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
GET_NEXT_ID, GET_FD_BY_ID, GET_INFO = 11, 13, 15
CREATED_BY_UID = 48  # where it is in struct bpf_prog_info

# For a shell in a mount namespace of its own.
NO_BTF = """for dir in /sys/kernel/btf /boot /lib/modules; do
	[ ! -d $dir ] || mount -t tmpfs none $dir || exit 99
done"""
NO_CGROUPS = """mounts=$(cat /proc/self/mounts)
echo "$mounts" | while read -r _ dir type _; do [ $type != cgroup2 ] || umount -l $dir; done
! grep -q ' cgroup2 ' /proc/self/mounts || exit 99"""


def started_by(place, *command):
    """A place whose programs are started by a command, which becomes them."""
    other = copy.copy(place)
    other.popen = subprocess.Popen
    for name in "collector", "client":
        script = place.new_path(name)
        program = getattr(place, name)
        script.write_text(f'#!/bin/sh\nexec {shlex.join([*map(str, command), program])} "$@"\n')
        script.chmod(0o755)
        setattr(other, name, str(script))
    return other


def as_service(place, capabilities, groups=()):
    """As an ordinary user with exactly these capabilities."""
    words = ",".join(["-all", *("+" + name for name in capabilities)])
    return started_by(
        place, "setpriv", f"--reuid={SERVICE}", f"--regid={SERVICE}",
        "--groups=" + ",".join(map(str, groups)) if groups else "--clear-groups",
        f"--inh-caps={words}", f"--ambient-caps={words}",
    )


def without_capabilities(place):
    """Root, as in a container that took them away."""
    return started_by(place, "setpriv", "--bounding-set=-all", "--inh-caps=-all")


def mounted(place, script):
    """In a mount namespace of its own, after a shell's script there."""
    return started_by(place, "unshare", "-m", "sh", "-c", f'{script}\nexec "$@"', "sh")


def run_collector(place, *options):
    """One that is expected to end by itself."""
    return subprocess.run(
        [place.collector, *map(str, options)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S,
        env=place.environment,
    )


def bpf(command, attributes):
    call = ctypes.CDLL(None, use_errno=True).syscall
    return call(SYS_BPF, command, attributes, len(attributes))


def programs_of(uid):
    """Ids of the BPF programs that a user has loaded."""
    found, ident = [], 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack("IIII", ident, 0, 0, 0), 16)
        if bpf(GET_NEXT_ID, attributes):
            return found
        ident = struct.unpack_from("I", attributes, 4)[0]
        attributes = ctypes.create_string_buffer(struct.pack("IIII", ident, 0, 0, 0), 16)
        fd = bpf(GET_FD_BY_ID, attributes)
        if fd < 0:
            continue  # gone meanwhile
        info = ctypes.create_string_buffer(128)
        attributes = struct.pack("IIQ", fd, len(info), ctypes.addressof(info))
        assert bpf(GET_INFO, ctypes.create_string_buffer(attributes, 16)) == 0
        os.close(fd)
        if struct.unpack_from("I", info, CREATED_BY_UID)[0] == uid:
            found.append(ident)


def check_nothing_left(home):
    """No socket, and no program of the service user's. A lock stays, by its contract."""
    assert {path.name for path in home.iterdir()} <= {"sock.lock"}
    wait_until(lambda: not programs_of(SERVICE), "the programs are gone")
