# SPDX-License-Identifier: GPL-2.0-only
"""Keeps so many connections open that say nothing, as fast as it can, opens those again that
are closed, and tells in the end how often it was told what: crowd.py SOCKET COUNT, until
stdin ends."""

import json
import select
import socket
import sys

REASONS = [b"connections already", b"no hello within"]


def open_one(path, crowd, poll):
    """False: the listener has no room now."""
    silent = socket.socket(socket.AF_UNIX)
    silent.setblocking(False)
    try:
        silent.connect(path)
    except BlockingIOError:
        silent.close()
        return False
    poll.register(silent.fileno(), select.EPOLLRDHUP)
    crowd[silent.fileno()] = silent
    return True


def reason_of(silent):
    try:
        said = silent.recv(4096)
    except OSError:
        return "none"
    return next((reason.decode() for reason in REASONS if reason in said), repr(said))


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    crowd, told, poll = {}, {}, select.epoll()
    poll.register(0, select.EPOLLIN)
    going_on = True
    while going_on:
        while len(crowd) < count and open_one(path, crowd, poll):
            pass
        for fd, _ in poll.poll(0, count):
            if fd == 0:
                going_on = False
                continue
            silent = crowd.pop(fd, None)
            if not silent:
                continue
            reason = reason_of(silent)
            told[reason] = told.get(reason, 0) + 1
            silent.close()
    print(json.dumps(told))


main()
