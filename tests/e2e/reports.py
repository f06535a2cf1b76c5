# SPDX-License-Identifier: GPL-2.0-only
"""What tests of category tcpinfo share. Its fixtures are imported by those tests."""

import pytest

from harness import wait_until

COUNTERS = ["bytes_acked", "bytes_received", "segs_in", "segs_out", "total_retransmits"]


@pytest.fixture
def collector(shared_collector):
    """Starting one for each test would take most of the time."""
    wait_until(lambda: not shared_collector.links(), "what is older than a test is not known")
    return shared_collector


@pytest.fixture
def watch_both(netwatch):
    """A live subscription to reports, and with -a to ends of conn."""

    def run(*options, events="conn,tcpinfo", **more):
        words = ["subscribe", "-v", "--events", events, "-o", "json", "--no-existing"]
        return netwatch(*words, *options, **more).wait_subscribed()

    return run


@pytest.fixture
def reports(watch_both):
    """Reports alone, ten a second."""

    def run(*options, **more):
        interval = [] if "--interval" in options else ["--interval", "100ms"]
        return watch_both(*interval, *options, events="tcpinfo", **more)

    return run


def pair_of(server, client, listener, **options):
    """The client's end and the server's."""
    ours = client.connect(port=listener["port"], **{"address": "127.0.0.1"} | options)
    return ours, server.accept(fd=listener["fd"])


def talk(client, server, ours, theirs):
    client.send(fd=ours["fd"], count=100_000)
    server.receive(fd=theirs["fd"], count=100_000)
    server.send(fd=theirs["fd"], count=7_000)
    client.receive(fd=ours["fd"], count=7_000)


def ends(client, server, listener, how):
    """Conversations that end in that way; the id of the client's end, or None."""
    ours, theirs = pair_of(server, client, listener)
    talk(client, server, ours, theirs)
    if how == "reset":
        client.reset(fd=ours["fd"])
        server.receive_end(fd=theirs["fd"])
        server.close(fd=theirs["fd"])
        return
    server.shutdown(fd=theirs["fd"])
    client.receive_end(fd=ours["fd"])
    client.close(fd=ours["fd"])
    server.close(fd=theirs["fd"])
