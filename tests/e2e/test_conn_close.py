# SPDX-License-Identifier: GPL-2.0-only
"""Who ended a connection, and its totals."""

import subprocess
import time

import pytest

from harness import ALICE, wait_until
from test_conn import by_id

pytestmark = pytest.mark.kernels


def only(events, stage):
    """The one event of a stage."""
    found = [event for event in events if event["conn"]["event"] == stage]
    assert len(found) == 1, (stage, events)
    return found[0]


CLOSES = {
    "local": ("LOCAL", "REMOTE"),
    "remote": ("REMOTE", "LOCAL"),
    "linger": ("RESET_SENT", "RESET_RECEIVED"),
    "unread": ("RESET_SENT", "RESET_RECEIVED"),
}


def close_local(client, server, ours, theirs):
    client.close(fd=ours)
    server.receive_end(fd=theirs)
    server.close(fd=theirs)


def close_remote(client, server, ours, theirs):
    server.close(fd=theirs)
    client.receive_end(fd=ours)
    client.close(fd=ours)


def close_linger(client, server, ours, theirs):
    client.reset(fd=ours)
    server.receive_end(fd=theirs)
    server.close(fd=theirs)


def close_unread(client, server, ours, theirs):
    """Data that nobody read makes the close a reset."""
    server.send(fd=theirs, count=100)
    client.receive(fd=ours, count=1)
    client.close(fd=ours)
    server.receive_end(fd=theirs)
    server.close(fd=theirs)


@pytest.mark.parametrize("how", CLOSES)
def test_closed_by(subscribe, actor, how):
    client, server = actor(), actor()
    listener = server.listen()
    port = listener["port"]
    watch = subscribe("-a", "--port", port, "--no-existing", uid=ALICE)
    begin = time.monotonic()
    ours = client.connect(address="127.0.0.1", port=port)
    theirs = server.accept(fd=listener["fd"])
    client.send(fd=ours["fd"], count=100_000)
    server.receive(fd=theirs["fd"], count=100_000)
    server.send(fd=theirs["fd"], count=5_000)
    client.receive(fd=ours["fd"], count=5_000)
    # All is acknowledged before a reset, which would leave the count open.
    wait_until(lambda: all_acknowledged(port), "everything is acknowledged")
    globals()[f"close_{how}"](client, server, ours["fd"], theirs["fd"])
    watch.wait_events(5)
    wall_us = 1e6 * (time.monotonic() - begin)
    found = by_id(watch.stopped_events())
    closed = only(found[ours["id"]], "CLOSE")["conn"]
    closed_server = only(found[theirs["id"]], "CLOSE")["conn"]
    assert (closed["closed_by"], closed_server["closed_by"]) == CLOSES[how]
    unread = 100 if how == "unread" else 0
    assert 100_000 <= closed["bytes_acked"] <= 100_002, closed
    assert 5_000 + unread <= closed["bytes_received"] <= 5_001 + unread, closed
    assert 100_000 <= closed_server["bytes_received"] <= 100_001, closed_server
    assert 5_000 <= closed_server["bytes_acked"] <= 5_002 + unread, closed_server
    assert 0 < closed["duration_us"] < wall_us
    assert 0 < closed_server["duration_us"] < wall_us


def all_acknowledged(port):
    lines = subprocess.run(
        ["ss", "-Htn", f"( sport = :{port} or dport = :{port} )"],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    return len(lines) == 2 and all(line.split()[1:3] == ["0", "0"] for line in lines)
