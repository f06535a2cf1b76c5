# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that lacks hooks: of each category one that it needs, then all that only make it
better. What is missing says why, and the rest goes on."""

import json
import subprocess

import wire
from harness import ALICE, DEADLINE_S, wait_until

CGROUP = {"cgroup_skb/ingress", "cgroup_skb/egress"}
NEEDED = {
    "packet": CGROUP, "retransmit": {"tp_btf/tcp_retransmit_skb"}, "error": {"tp_btf/kfree_skb"},
    "tcpinfo": {"iter/bpf_sk_storage_map"}, "congestion": {"tp_btf/tcp_cong_state_set"},
    "http": CGROUP,
}
REQUEST = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def hide(hooks):
    return {"NETWATCH_HIDE_HOOKS": ",".join(sorted(hooks))}


def checked(collector):
    return {row.name: row for row in wire.check(collector.socket).category}


def better(place, collector):
    """Hooks that no category needs, by what is said of each that is hidden."""
    names = {hook.name for row in wire.check(collector.socket).category for hook in row.hook}
    done = subprocess.run(
        [place.collector, "--check", "-o", "json"], env={**place.environment, **hide(names)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=DEADLINE_S,
    )
    hooks = [hook for row in json.loads(done.stdout)["category"] for hook in row["hook"]]
    return names - {hook["name"] for hook in hooks if not hook.get("without")}


def converse(actor, watch):
    """A request and its response; the subscription that watch(port) made before."""
    server, client = actor(), actor()
    listener = server.listen()
    client_watch = watch(listener["port"])
    ours = client.connect(address="127.0.0.1", port=listener["port"])["fd"]
    theirs = server.accept(fd=listener["fd"])["fd"]
    client.say(fd=ours, data=REQUEST.hex())
    server.receive(fd=theirs, count=len(REQUEST))
    server.say(fd=theirs, data=RESPONSE.hex())
    client.receive(fd=ours, count=len(RESPONSE))
    server.close(fd=theirs)
    client.receive_end(fd=ours)
    client.close(fd=ours)
    return client_watch


def test_absent(start_collector, netwatch, actor):
    """What needs a hook is not offered, and says which one; conn is as it was."""
    collector = start_collector(environment=hide(set().union(*NEEDED.values())))
    rows = checked(collector)
    assert set(NEEDED) | {"conn"} == set(rows)
    for name, hooks in NEEDED.items():
        assert not rows[name].available and "hidden by" in rows[name].reason, rows[name]
        assert all("hidden by" in one.reason for one in rows[name].hook if one.name in hooks)
        client = netwatch("subscribe", "--events", name, socket=collector.socket, uid=ALICE)
        assert client.wait() == 78 and name in client.err.text(), client
    assert rows["conn"].available

    def watch(port):
        return netwatch("subscribe", "--events", "conn", "-a", "-v", "-o", "json", "--dport", port,
                        socket=collector.socket, uid=ALICE).wait_subscribed()

    done = converse(actor, watch)
    done.wait_events(3)
    assert [event["conn"]["event"] for event in done.stopped_events()] == [
        "OPEN", "ESTABLISHED", "CLOSE",
    ]


def test_fallback(place, collector, start_collector, netwatch, actor):
    """Every category without all hooks that only make it better: the same events, which say less."""
    hidden = better(place, collector)
    assert {"tp_btf/tcp_rcv_space_adjust", "tp_btf/tcp_send_reset"} <= hidden
    without = start_collector(environment=hide(hidden))
    usual, rows = checked(collector), checked(without)
    for name, row in rows.items():
        assert row.available == usual[name].available, row
        for hook in row.hook:
            assert hook.name not in hidden or not hook.usable and hook.without, hook

    def watch(port):
        return netwatch("subscribe", "--events", "conn,packet,http", "-t", "-a", "-v", "-o", "json",
                        "--dport", port, socket=without.socket, uid=ALICE).wait_subscribed()

    done = converse(actor, watch)
    wait_until(lambda: '"CLOSE"' in done.out.text(), "it is closed")
    wait_until(lambda: '"RESPONSE"' in done.out.text(), "it is answered")
    events = done.stopped_events()
    assert [one["conn"]["event"] for one in events if "conn" in one] == [
        "OPEN", "ESTABLISHED", "CLOSE",
    ]
    assert [one["http"]["event"] for one in events if "http" in one] == ["REQUEST", "RESPONSE"]
    packets = [one["packet"] for one in events if "packet" in one]
    lengths = {one["direction"]: one["length"] for one in packets if one["length"]}
    assert lengths == {"TX": len(REQUEST), "RX": len(RESPONSE)}
    assert not [name for one in packets for name in one if name.endswith("_ns")], packets
