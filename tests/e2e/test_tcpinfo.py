# SPDX-License-Identifier: GPL-2.0-only
"""The category tcpinfo: each number against what the kernel tells of the same socket by another
way (`ss` and TCP_INFO), until its end."""

import json
import re
import struct

import pytest

import netns
from harness import ALICE, free_port, scaled, wait_until
from reports import COUNTERS, ends, pair_of, talk
from reports import collector, reports, watch_both  # noqa: F401, fixtures
from test_conn import by_id

INFINITE = 0x7FFFFFFF
CA_STATES = ["OPEN", "DISORDER", "CWR", "RECOVERY", "LOSS"]

# ------------------------------------------------------------------ witnesses


def ss(cookie, namespace=None):
    """The line of a socket, without what says how long ago something was."""
    lines = netns.run(namespace, "ss", "-OHtaneim").splitlines()
    line, = [line for line in lines if re.search(rf"\bsk:{cookie:x}\b", line)]
    return re.sub(r"\b(last(snd|rcv|ack)|busy|rwnd_limited|timer):\S+", "", line)


def of_ss(line):
    """The same as tcpinfo, as far as ss shows it; what it leaves out is 0 or absent."""
    number = dict(re.findall(r"\b([a-z_]+):([\d.]+)", line))
    waiting, queued = map(int, line.split()[1:3])
    if line.startswith("LISTEN"):
        drops = int(re.search(r"skmem:\(.*?d(\d+)\)", line)[1])
        return {"state": "LISTEN", "backlog": waiting, "max_backlog": queued, "drops": drops}
    rtt = re.search(r"\brtt:([\d.]+)/([\d.]+)", line)
    memory = re.search(r"skmem:\(.*?tb(\d+),.*?w(\d+),", line)
    shown = {name: int(number.get(name, 0)) for name in COUNTERS[:4]}
    retrans = re.search(r"\bretrans:\d+/(\d+)", line)
    return shown | {
        "total_retransmits": int(retrans[1]) if retrans else 0,
        "snd_cwnd": int(number["cwnd"]),
        "snd_wnd": int(number["snd_wnd"]),
        "sndbuf_bytes": int(memory[1]),
        "wmem_queued_bytes": int(memory[2]),
        "srtt_us": round(1000 * float(rtt[1])),
        "mdev_us": round(1000 * float(rtt[2])),
        "min_rtt_us": round(1000 * float(number["minrtt"])),
        "rto_us": round(1000 * float(number["rto"])),
        "packets_out": int(number.get("unacked", 0)),
        "bytes_inflight": queued - int(number.get("notsent", 0)),
    }


def of_tcp_info(data):
    """The same by include/uapi/linux/tcp.h."""
    data = bytes.fromhex(data)
    words = struct.unpack_from("=24I", data, 8)
    wide = struct.unpack_from("=2Q", data, 120)
    segs = struct.unpack_from("=2I", data, 136)
    told = {
        "bytes_acked": wide[0],
        "bytes_received": wide[1],
        "snd_cwnd": words[18],
        "srtt_us": words[15],
        "mdev_us": words[16],
        "min_rtt_us": struct.unpack_from("=I", data, 148)[0],
        "rto_us": words[0],
        "packets_out": words[4],
        "segs_out": segs[0],
        "segs_in": segs[1],
        "total_retransmits": words[23],
        "congestion_state": CA_STATES[data[1]],
        "snd_wnd": struct.unpack_from("=I", data, 228)[0],
    }
    if words[17] < INFINITE:
        told["snd_ssthresh"] = words[17]
    if len(data) >= 236:  # since Linux 6.2
        told["rcv_wnd"] = struct.unpack_from("=I", data, 232)[0]
    return told


class Witness:
    """A socket of an actor: its connection, and what others than netwatch say of it."""

    def __init__(self, actor, told, namespace=None):
        self.actor = actor
        self.told = told
        self.namespace = namespace

    def reads(self):
        info = of_tcp_info(self.actor.tcp_info(fd=self.told["fd"]))
        return info, of_ss(ss(self.told["id"], self.namespace))


def latest(watch, cookie):
    found = by_id(watch.events()).get(cookie)
    return found[-1]["tcpinfo"] if found else None


def check_agrees(watch, witness):
    """A report that came while both witnesses said the same all the time says it too."""

    def agrees():
        before = witness.reads()
        count = len(by_id(watch.events()).get(witness.told["id"], []))
        wait_until(
            lambda: len(by_id(watch.events()).get(witness.told["id"], [])) >= count + 2,
            f"reports of {witness.told}",
        )
        report = latest(watch, witness.told["id"])
        return witness.reads() == before and (report, *before)

    report, info, shown = wait_until(agrees, f"nothing changes at {witness.told}")
    assert {name: report.get(name) for name in info} == info
    assert {name: report[name] for name in shown} == shown
    assert ("snd_ssthresh" in report) == ("snd_ssthresh" in info)
    return report


# -------------------------------------------------------------------- numbers


@pytest.mark.kernels
@pytest.mark.parametrize("kind", ["v4", "v6", "mapped", "netns"])
def test_idle(request, reports, actor, kind):
    """Connections that are older than the subscription and have nothing to do."""
    namespace = request.getfixturevalue("namespace") if kind == "netns" else None
    server, client = actor(namespace=namespace), actor(namespace=namespace)
    address = "::1" if kind == "v6" else "127.0.0.1"
    listener = server.listen(address=address)
    ours, theirs = pair_of(server, client, listener, address=address, mapped=kind == "mapped")
    talk(client, server, ours, theirs)
    watch = reports("--port", listener["port"], uid=ALICE)
    for maker, told in (client, ours), (server, theirs):
        report = check_agrees(watch, Witness(maker, told, namespace))
        assert report["state"] == "ESTABLISHED" and report["rcv_wnd"] > 0
        assert report["bytes_acked_delta"] == report["bytes_received_delta"] == 0
        assert not {"backlog", "max_backlog", "duration_us"} & set(report)
    listening, = [events[-1] for events in by_id(watch.stopped_events()).values()
                  if events[-1]["tcpinfo"]["state"] == "LISTEN"]
    assert "raddr" not in listening["connection"]
    assert listening["tcpinfo"] == {
        "state": "LISTEN", "backlog": 0, "max_backlog": 1024, "drops": 0}


def test_busy(reports, actor):
    """Counters lie between readings of before and after."""
    server, client = actor(), actor()
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    watch = reports("--port", listener["port"])
    client.chatter(fd=ours["fd"], count=3000)
    server.chatter(fd=theirs["fd"], count=500)
    ends = {ours["id"]: Witness(client, ours), theirs["id"]: Witness(server, theirs)}
    for cookie, witness in ends.items():
        for _ in range(2):
            before = witness.reads()
            count = len(watch.out.lines)
            wait_until(
                lambda: cookie in by_id(watch.events()[count + 2 :]), "one report of it more"
            )
            report = latest(watch, cookie)
            after = witness.reads()
            for low, high in zip(before, after, strict=True):
                for name in COUNTERS:
                    assert low[name] <= report[name] <= high[name], (name, low, report, high)
            assert before[0]["bytes_acked"] < after[0]["bytes_acked"]


def drop_everything(namespace):
    rule = "table inet t { chain c { type filter hook input priority 0; policy drop; }; }"
    netns.run(namespace, "nft", "-f", "-", input=rule)


@pytest.mark.kernels
def test_unacknowledged(reports, actor, namespace):
    """What is on its way and never arrives: in flight, sent again, and the state is LOSS."""
    reno = "net.ipv4.tcp_congestion_control=reno"  # which has a threshold
    netns.run(namespace, "sysctl", "-qw", reno)
    server, client = actor(namespace=namespace), actor(namespace=namespace)
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    talk(client, server, ours, theirs)
    watch = reports("-d", listener["port"])
    drop_everything(namespace)
    client.send(fd=ours["fd"], count=5_000)
    wait_until(lambda: (latest(watch, ours["id"]) or {}).get("congestion_state") == "LOSS",
               "the retransmission timer expires")
    report = check_agrees(watch, Witness(client, ours, namespace))
    assert report["bytes_inflight"] == 5_000 and report["packets_out"] >= 1
    assert report["wmem_queued_bytes"] > 5_000 and report["total_retransmits"] >= 1
    assert report["snd_ssthresh"] < INFINITE and report["rto_us"] > 200_000
    # All of it was seen: a probe of the tail, perhaps, and what the timer sent.
    probes = report["total_retransmits"] - report["timeout_retransmits"]
    assert 0 <= probes <= 1 and report["timeout_retransmits"] >= 1
    assert report["fast_retransmits"] == 0


def test_not_sent(reports, actor):
    """A window that is full: the send buffer is, too, and nothing is in flight."""
    server, client = actor(), actor()
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    watch = reports("-d", listener["port"])
    client.tell("send", fd=ours["fd"], count=30_000_000)  # does not end
    wait_until(lambda: (latest(watch, ours["id"]) or {}).get("snd_wnd") == 0, "it is full")
    report = latest(watch, ours["id"])
    assert report["wmem_queued_bytes"] > 100_000
    server.close(fd=theirs["fd"])


@pytest.mark.kernels
def test_syn_sent(reports, actor, namespace):
    """Nothing is known of the path, so nothing is said of it."""
    client = actor(namespace=namespace)
    drop_everything(namespace)
    port = free_port()
    watch = reports("-d", port, "--role", "client")
    client.tell("connect", address="127.0.0.1", port=port)
    report = watch.wait_events(1)[0]
    assert report["tcpinfo"]["state"] == "SYN_SENT"
    assert not {"srtt_us", "mdev_us", "min_rtt_us", "snd_ssthresh"} & set(report["tcpinfo"])
    assert report["tcpinfo"]["packets_out"] == report["tcpinfo"]["bytes_inflight"] == 1
    assert report["tcpinfo"]["duration_us"] > 0 and report["connection"]["pid"] == client.pid


@pytest.mark.kernels
def test_backlog(reports, actor):
    """Of a listener that nobody accepts from: as ss has it, full too."""
    server, client = actor(), actor()
    listener = server.listen(backlog=3)
    watch = reports("-s", listener["port"], "--netns", "/proc/self/ns/net")
    for waiting in range(1, 5):  # one more than its limit
        client.connect(address="127.0.0.1", port=listener["port"])
        found = wait_until(
            lambda: [event for event in watch.events()
                     if event["tcpinfo"].get("backlog") == waiting],
            f"{waiting} wait",
        )
        listening = found[0]
        shown = of_ss(ss(int(listening["connection"]["id"])))
        assert listening["tcpinfo"] == shown | {"backlog": waiting, "max_backlog": 3}
        assert shown["backlog"] == waiting and not shown["drops"]


@pytest.mark.kernels
def test_listen_drops(reports, actor, namespace):
    """What a full listener drops: as ss has it, and as the namespace counts it."""
    server, client = actor(namespace=namespace), actor(namespace=namespace)
    listener = server.listen(backlog=1)
    watch = reports("-s", listener["port"], "--netns", f"/run/netns/{namespace}")
    before = netns.counters(namespace)["ListenDrops"]
    client.hold(count=2, address="127.0.0.1", port=listener["port"])
    for _ in range(3):
        client.attempt(address="127.0.0.1", port=listener["port"])

    def agree():
        """Each is sent again, at first after a second. In a tick sockets come in any order."""
        told = [one for one in watch.events() if one["tcpinfo"]["state"] == "LISTEN"][-1]
        counted = netns.counters(namespace)["ListenDrops"] - before
        shown = of_ss(ss(int(told["connection"]["id"]), namespace))
        return told["tcpinfo"] == shown and shown["drops"] == counted >= 3

    watch.wait_events(3)
    wait_until(agree, "ss, the counters and the reports agree")


# ------------------------------------------------------------------- the end


@pytest.mark.kernels
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_end(watch_both, actor, how):
    """One report, behind CLOSE of conn, which has the same totals."""
    server, client = actor(), actor()
    listener = server.listen()
    watch = watch_both("-a", "--interval", "10s", "--port", listener["port"], uid=ALICE)
    for _ in range(scaled(50)):
        ends(client, server, listener, how)
    watch.wait_events(scaled(50) * 7)
    events = by_id(watch.stopped_events())
    assert len(events) == 2 * scaled(50)
    for of_one in events.values():
        closed = of_one[-2]["conn"]
        (report,) = [event["tcpinfo"] for event in of_one if "tcpinfo" in event]
        assert closed["event"] == "CLOSE" and of_one[-1]["tcpinfo"] is report
        assert report["state"] == "CLOSE" and "bytes_acked_delta" not in report
        for name in COUNTERS:
            assert report[name] == closed[name], (name, report, closed)
        assert 0 <= report["duration_us"] - closed["duration_us"] < 1_000_000
        first, second = (event["connection"] for event in of_one[-2:])
        assert first == second


@pytest.mark.kernels
def test_end_of_failures_and_listeners(watch_both, reports, actor):
    client = actor()
    refused = client.refused_port()
    watch = watch_both("-a", "--interval", "10s", "--port", refused)
    client.failures(count=1, address="127.0.0.1", port=refused)
    watch.wait_events(3)
    *_, failed, report = watch.stopped_events()
    assert failed["conn"]["event"] == "FAILED" and report["tcpinfo"]["state"] == "CLOSE"
    assert report["tcpinfo"]["bytes_received"] == 0

    listener = client.listen()
    watch = reports("--interval", "10s", "-s", listener["port"])
    client.close(fd=listener["fd"])
    (report,) = watch.wait_events(1)
    assert report["tcpinfo"] == {"state": "CLOSE", "backlog": 0, "max_backlog": 1024, "drops": 0}


# --------------------------------------------------------------------- list


@pytest.mark.kernels
def test_list(netwatch, actor):
    """Both members in one event, in every format."""
    server, client = actor(), actor()
    listener = server.listen()
    ours, theirs = pair_of(server, client, listener)
    talk(client, server, ours, theirs)

    def shown(*options):
        done = netwatch("list", "--port", listener["port"], *options, uid=ALICE)
        assert done.wait() == 0, done
        return [line.decode() for line in done.out.lines]

    events = {int(event["connection"]["id"]): event
              for event in map(json.loads, shown("-x", "-o", "json"))}
    assert len(events) == 3
    for maker, told in (client, ours), (server, theirs):
        event = events[told["id"]]
        assert event["conn"] == {"event": "EXISTING", "state": "ESTABLISHED"}
        info, line = Witness(maker, told).reads()
        assert {name: event["tcpinfo"].get(name) for name in info} == info
        assert {name: event["tcpinfo"][name] for name in line} == line
        assert "bytes_acked_delta" not in event["tcpinfo"]
    assert not any("tcpinfo" in line for line in shown("-o", "json"))
    for options in ["-x"], ["-x", "-o", "compact"]:
        rows = [line for line in shown(*options) if "snd_cwnd=" in line]
        assert len(rows) == 2 and all(row.count("state=ESTABLISHED") == 1 for row in rows), rows
        assert sum("max_backlog=1024" in line for line in shown(*options)) == 1
    columns = "id,conn.event,tcpinfo.bytes_acked,tcpinfo.max_backlog"
    for line in shown("-x", "-H", "-o", "csv", "--fields", columns):
        cookie, stage, acked, backlog = line.rstrip("\n").split(",")
        counters = events[int(cookie)]["tcpinfo"]
        assert stage == "EXISTING" and acked == str(counters.get("bytes_acked", ""))
        assert backlog == str(counters.get("max_backlog", ""))
    header = shown("-x", "-o", "csv")[0]
    assert "conn.state" in header and "tcpinfo.rto_us" in header


def test_not_offered(start_collector, netwatch):
    """A kernel without the iterator; and one without the hook has it, but for ends."""
    hidden = {"NETWATCH_HIDE_HOOKS": "iter/bpf_sk_storage_map"}
    collector = start_collector(environment=hidden)
    for words in ["list", "-x"], ["subscribe", "--events", "tcpinfo"]:
        done = netwatch(*words, socket=collector.socket)
        assert done.wait() == 78
        assert '"tcpinfo"' in done.err.text() and not done.out.lines
