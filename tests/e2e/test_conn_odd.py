# SPDX-License-Identifier: GPL-2.0-only
"""Sockets that do not live as most do: each stage is told once all the same."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import netns
import wire
from harness import ALICE

pytestmark = pytest.mark.kernels


def stages(events):
    return [event["conn"]["event"] for event in events]


def set_in(namespace, setting):
    netns.run(namespace, "sysctl", "-qw", setting)


def test_a_socket_that_connects_again(subscribe, actor):
    """Its second OPEN has the port of the second try, not of the first."""
    client, server = actor(), actor()
    port, refused = server.server(), server.refused_port()
    watch = subscribe("-a", "--dport", f"{port},{refused}", uid=ALICE)
    told = client.reconnect(refused=refused, address="127.0.0.1", port=port)
    client.close(fd=told["fd"])
    watch.wait_events(5)
    events = watch.stopped_events()
    assert stages(events) == ["OPEN", "FAILED", "OPEN", "ESTABLISHED", "CLOSE"]
    ports = [event["connection"]["lport"] for event in events]
    assert ports[0] == ports[1] != told["lport"]
    assert ports[2:] == 3 * [told["lport"]]


def test_a_socket_connected_to_itself(subscribe, actor, namespace):
    """A simultaneous open (RFC 9293, 3.5) by way of SYN_RECV, with a port that the kernel chose."""
    set_in(namespace, "net.ipv4.ip_local_port_range=40000 40000")
    client = actor(namespace=namespace)
    watch = subscribe("-a", "--netns", f"/run/netns/{namespace}", uid=ALICE)
    told = client.connect(address="127.0.0.1", port=40000)
    assert told["lport"] == told["rport"] == 40000
    client.close(fd=told["fd"])
    watch.wait_events(3)
    events = watch.stopped_events()
    assert stages(events) == ["OPEN", "ESTABLISHED", "CLOSE"]
    for event in events:
        assert event["connection"]["lport"] == 40000 and event["connection"]["role"] == "CLIENT"
        assert event["connection"]["pid"] == client.pid


def test_a_listener_that_is_not_bound(subscribe, actor, namespace):
    """Its OPEN comes when it has a port."""
    server = actor(namespace=namespace)
    watch = subscribe("--netns", f"/run/netns/{namespace}", uid=ALICE)
    port = server.listen_unbound()
    (event,) = watch.wait_events(1)
    assert event["conn"]["event"] == "OPEN" and event["conn"]["state"] == "LISTEN"
    assert event["connection"]["lport"] == port
    assert event["connection"]["pid"] == server.pid
    assert event["connection"]["role"] == "SERVER"


@pytest.fixture
def no_storage(collector, namespace):  # the collector tries it when it starts
    """The kernel gives no socket there memory beside it. Older kernels have one limit for all
    namespaces, which only a machine of our own lets us set."""
    limit, before = Path("/proc/sys/net/core/optmem_max"), None
    try:
        set_in(namespace, "net.core.optmem_max=0")
    except subprocess.CalledProcessError:
        if "NETWATCH_GUEST" not in os.environ:
            pytest.skip("NOT RUN: this kernel has one optmem_max for all network namespaces")
        before = limit.read_text()
        limit.write_text("0")
    yield
    if before:
        limit.write_text(before)


def test_sockets_without_storage(collector, netwatch, subscribe, actor, namespace, no_storage):
    """The kernel gives a socket no memory for what is kept about it: events come all the same."""
    client, server = actor(namespace=namespace), actor(namespace=namespace)
    listener = server.listen()
    watch = subscribe("-a", "--netns", f"/run/netns/{namespace}", uid=ALICE)
    told = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    client.close(fd=told["fd"])
    server.receive_end(fd=accepted["fd"])
    server.close(fd=accepted["fd"])
    watch.wait_events(5)
    events = [event for event in watch.stopped_events() if event["conn"]["event"] != "EXISTING"]
    ours = {"client": [], "server": []}
    for event in events:
        remote = event["connection"]["rport"]
        ours["client" if remote == listener["port"] else "server"].append(event)
    assert stages(ours["client"]) == ["OPEN", "ESTABLISHED", "CLOSE"]
    assert stages(ours["server"]) == ["ESTABLISHED", "CLOSE"]
    assert wire.status(collector.socket).no_storage >= 2
    shown = netwatch("status")
    assert shown.wait() == 0 and re.search(r"^no storage +\d+ times ", shown.out.text(), re.M)
