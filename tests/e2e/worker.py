# SPDX-License-Identifier: GPL-2.0-only
"""What a process of tests has for itself on this machine, beside others (pytest -n, or another
checkout's with a NETWATCH_FIRST_UID of its own): users and ports. A collector sees all of the
machine, whatever network namespace or address it is in, so a filter by these keeps the test's own
traffic and nobody else's."""

import itertools
import os
import socket

FIRST_UID = int(os.environ.get("NETWATCH_FIRST_UID", "61001"))
# Users that no password file knows.
ALICE, BOB, CAROL = (
    FIRST_UID + 100 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + user
    for user in range(3)
)
# Below those that a kernel gives to whom asks for any: 32768 and more in each new namespace.
FIRST_PORT, LAST_PORT, PORTS = 10000, 32767, 500
BLOCKS = (LAST_PORT + 1 - FIRST_PORT) // PORTS
BLOCK = FIRST_PORT + ALICE // 100 % BLOCKS * PORTS
numbers = itertools.count()


def is_free(port):
    """On every address, of TIME_WAIT as well."""
    with socket.socket(socket.AF_INET6) as probe:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind(("::", port))
        except OSError:
            return False
        return True


def free_port():
    """One of ours, which was not given away for long."""
    for _ in range(PORTS):
        port = BLOCK + next(numbers) % PORTS
        if is_free(port):
            return port
    raise AssertionError(f"none of {PORTS} ports from {BLOCK} is free")
