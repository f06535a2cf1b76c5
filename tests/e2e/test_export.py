# SPDX-License-Identifier: GPL-2.0-only
"""netwatch export: what it serves, held against the traffic's own count and read by Prometheus
itself.

NETWATCH_PROMETHEUS_S: for how many seconds Prometheus scrapes, if not a few."""

import os
import re
import signal
import time

import pytest

import netns
import netwatch_pb2 as pb
import prometheus
from exporter import SCRAPED_S, Export, Traffic, export
from harness import ALICE, BOB, wait_until
from prometheus import value
from test_export_dashboard import dashboard_queries, rule_queries

assert export


def check_counts(counts, total):
    """total(name, **labels) agrees with the traffic's own count."""
    n = counts["connections"]
    for role in "client", "server":
        assert total("netwatch_tcp_connects_total", role=role, result="ok") == n
        name = "netwatch_tcp_connection_duration_seconds_count"
        assert total(name, role=role) == n
        assert total("netwatch_tcp_handshake_duration_seconds_count", role=role) == n
        assert total("netwatch_tcp_closes_total", role=role) == n
    refused = total("netwatch_tcp_connects_total", role="client", result="refused")
    assert refused == counts["refused"] > 0
    # As the kernel counts: a FIN is a byte received, SYN and FIN are bytes acknowledged.
    for direction, more in ("receive", 2 * n), ("transmit", 4 * n):
        told = total("netwatch_tcp_io_bytes_total", direction=direction)
        assert counts["bytes"] <= told <= counts["bytes"] + more, direction
    assert total("netwatch_tcp_rtt_seconds_count") >= 2 * n
    for key, count in counts["plain"].items():
        method, status = key.split()
        for side in "client", "server":
            assert count == total(
                f"http_{side}_request_duration_seconds_count", http_request_method=method,
                http_response_status_code=status,
            ), (side, key)
    assert total("netwatch_events_lost_total") == 0


def test_counts(place, export):
    """Of a user's own traffic, and nobody else's."""
    traffic = Traffic(place)
    mine, others = (export(*traffic.ports(), "-t", uid=uid) for uid in (ALICE, BOB))
    traffic.start()
    counts = traffic.finish()
    mine.wait_value(counts["connections"], "netwatch_tcp_connection_duration_seconds_count",
                    role="server")
    wait_until(lambda: not mine.value("netwatch_tcp_connections"), "all have closed")
    text = mine.scrape()
    samples, types = prometheus.read(text)
    check_counts(counts, lambda name, **labels: value(samples, name, **labels))
    assert value(samples, "netwatch_layer_latency_seconds_count", direction="transmit") > 0
    assert value(samples, "netwatch_layer_latency_seconds_count", layer="app") > 0
    assert value(samples, "netwatch_up") == 1 and value(samples, "netwatch_subscribers") == 1
    assert value(samples, "netwatch_collector_cpu_seconds_total") > 0
    assert value(samples, "netwatch_collector_info", kernel=os.uname().release) == 1
    # Not without a history, nor for who sees only what is their own.
    assert value(samples, "netwatch_history_events") is None
    assert value(samples, "netwatch_subscriber_disconnects_total") is None
    methods = {labels["http_request_method"] for name, labels, _ in samples if "http_" in name
               and "http_request_method" in labels}
    assert methods <= {"GET", "POST", "DELETE", "PUT", "_OTHER"}, methods
    # Nothing of a connection is a label.
    keys = {key for _, labels, _ in samples for key in labels}
    assert keys <= {
        "version", "role", "result", "le", "direction", "type", "kind", "reason", "layer", "where",
        "cause", "state", "lport", "closed_by", "prog", "kernel", "http_request_method", "http_response_status_code", "url_scheme",
    }
    assert value(others.samples(), "netwatch_tcp_connects_total") == 0
    assert not value(others.samples(), "netwatch_events_total")
    prometheus.check_metrics(text)
    assert set(types.values()) == {"counter", "gauge", "histogram"}
    assert mine.client.stop() == 0 and others.client.stop(signal.SIGINT) == 0
    assert not mine.client.out.lines


def test_prometheus(place, export):
    """It takes every line, its totals are those of the traffic; each scrape is well formed."""
    traffic = Traffic(place, SCRAPED_S)
    exporter = export(*traffic.ports(), "-t", "--interval", "500ms")
    server = prometheus.Server(place, f"127.0.0.1:{exporter.port}")
    try:
        traffic.start()
        begin = time.monotonic()
        checked = 0
        while traffic.process.poll() is None:
            prometheus.check_metrics(exporter.scrape())
            checked += 1
            time.sleep(0.2)
        counts = traffic.finish()
        spent = time.monotonic() - begin
        last = 'netwatch_tcp_connection_duration_seconds_count{role="server"}'
        wait_until(lambda: server.query(last) == [counts["connections"]], "it was scraped")

        def total(name, **labels):
            wanted = ",".join(f'{key}="{text}"' for key, text in labels.items())
            return sum(server.query(f"{name}{{{wanted}}}"))

        check_counts(counts, total)
        window = f"{round(spent) + 5}s"
        growth, = server.query(
            f'sum(max_over_time({{__name__="netwatch_tcp_connects_total",result="ok"}}[{window}])'
            f' - min_over_time({{__name__="netwatch_tcp_connects_total",result="ok"}}[{window}]))'
        )
        assert growth == 2 * counts["connections"]
        assert server.query(f"min_over_time(up[{window}])") == [1]
        assert server.query("scrape_samples_scraped")[0] > 100
        assert server.query("scrape_samples_scraped - scrape_samples_post_metric_relabeling") == [0]
        assert checked >= 2
        for expression in dashboard_queries() + rule_queries():
            server.query(expression)
        assert server.rejected() == (0, [])
        print(f"scraped for {spent:.0f} s, {checked} scrapes checked: {counts}")
    finally:
        server.stop()


# --------------------------------------------------------------- what is there


def test_connections_and_backlog(export, actor):
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    listener = server.listen(backlog=7)
    port = listener["port"]
    exporter = export("--port", port, "--interval", "100ms", uid=ALICE)
    name = "netwatch_tcp_connections"
    exporter.wait_value(1, name, state="listen", role="server")
    exporter.wait_value(7, "netwatch_listen_backlog_limit", lport=str(port))
    told = [client.connect(address="127.0.0.1", port=port) for _ in range(3)]
    exporter.wait_value(3, "netwatch_listen_backlog", lport=str(port))
    exporter.wait_value(3, name, state="established", role="client")
    accepted = server.accept(fd=listener["fd"])
    exporter.wait_value(2, "netwatch_listen_backlog", lport=str(port))
    client.shutdown(fd=told[0]["fd"])
    exporter.wait_value(1, name, state="fin_wait2", role="client")
    exporter.wait_value(1, name, state="close_wait", role="server")
    server.close(fd=accepted["fd"])
    exporter.wait_value(None, name, state="close_wait")
    exporter.wait_value(2, name, state="established", role="client")


def test_older_connections(export, actor):
    """Bytes of before are not counted, nor is the handshake."""
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    listener = server.listen()
    told = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    client.send(fd=told["fd"], count=5000)
    server.receive(fd=accepted["fd"], count=5000)
    exporter = export("--port", listener["port"], "--interval", "100ms", uid=ALICE)
    exporter.wait_value(2, "netwatch_tcp_connections", state="established", role="unknown")
    wait_until(lambda: exporter.value("netwatch_tcp_rtt_seconds_count") >= 2, "both are reported")
    client.send(fd=told["fd"], count=70)
    server.receive(fd=accepted["fd"], count=70)
    exporter.wait_value(70, "netwatch_tcp_io_bytes_total", direction="receive")
    exporter.wait_value(70, "netwatch_tcp_io_bytes_total", direction="transmit")
    assert exporter.value("netwatch_tcp_connects_total") == 0


def test_listen_drops(export, actor, namespace):
    """Of listeners older and newer than the exporter: what came since it began, as the namespace
    counts it. A port where nobody listens any more has no series."""
    name = "netwatch_listen_drops_total"

    def dropped():
        return netns.counters(namespace)["ListenDrops"]

    def fill(client, port):
        client.hold(count=2, address="127.0.0.1", port=port)
        client.attempt(address="127.0.0.1", port=port)

    server, client = actor(namespace=namespace), actor(namespace=namespace)
    older = server.listen(backlog=1)
    fill(client, older["port"])
    client.end()  # nothing is sent again
    before = dropped()
    exporter = export("--netns", f"/run/netns/{namespace}", "--interval", "100ms")
    exporter.wait_value(0, name, lport=str(older["port"]))
    assert before >= 1
    client = actor(namespace=namespace)
    newer = server.listen(backlog=1)
    fill(client, newer["port"])
    client.attempt(address="127.0.0.1", port=older["port"])
    wait_until(lambda: exporter.value(name) == dropped() - before >= 2, "all are counted")
    assert exporter.value(name, lport=str(older["port"])) >= 1
    server.close(fd=older["fd"])
    exporter.wait_value(None, name, lport=str(older["port"]))
    assert exporter.value(name, lport=str(newer["port"])) >= 1


def test_time_wait(export, actor, namespace):
    """Whoever ends a connection has it in TIME_WAIT for a minute: as many as sockstat says."""
    server, client = actor(namespace=namespace), actor(namespace=namespace)
    port = server.server(workers=2)
    server.drop_served()
    exporter = export("--netns", f"/run/netns/{namespace}", "--events", "conn")
    client.connects(count=20, address="127.0.0.1", port=port)
    name = "netwatch_tcp_closes_total"
    wait_until(lambda: exporter.value(name) == 40, "all have closed")
    sockstat = netns.read(namespace, "/proc/thread-self/net/sockstat")
    waiting = int(re.search(r"^TCP: .*\btw (\d+)", sockstat, re.M)[1])
    assert exporter.value(name, closed_by="local") == waiting > 0
    assert exporter.value(name, closed_by="remote") == waiting


@pytest.mark.parametrize("ports", [0, 1])
def test_backlog_ports(export, actor, ports):
    """Beyond them there is one series."""
    server = actor(uid=ALICE)
    listeners = [server.listen(backlog=5)["port"] for _ in range(3)]
    exporter = export("--port", ",".join(map(str, listeners)), "--backlog-ports", ports, uid=ALICE)
    exporter.wait_value(5 * (3 - ports), "netwatch_listen_backlog_limit", lport="other")
    assert exporter.value("netwatch_listen_backlog_limit") == 15


def test_events(export, traffic):
    """Fewer categories: what they do not tell is not there, or stays zero."""
    exporter = export("--events", "conn", "--port", 1)
    samples, _ = prometheus.read(exporter.scrape())
    assert value(samples, "netwatch_up") == 1
    assert value(samples, "netwatch_tcp_io_bytes_total") == 0


# ------------------------------------------------------- losses, and their end


def live(stub, epoch=1, events=(), **status):
    """A subscription, and the status that is asked for at once."""
    peer = stub.accept()
    peer.say_hello(epoch)
    request = peer.take("subscribe")
    for event in events:
        peer.event(**event)
    peer.say(subscribed=pb.Subscribed())
    answer_status(stub, epoch, **status)
    return peer, request.subscribe


def answer_status(stub, epoch=1, **fields):
    with stub.accept() as peer:
        peer.say_hello(epoch)
        peer.take("status")
        told = {"uptime_s": 7, "unseen": 3, "cpu_us": 1500000} | fields
        peer.say(status=pb.Status(**told))
        peer.say(bye=pb.Bye(reason=pb.Bye.DONE))


def test_losses_and_restart(netwatch, stub):
    """What was lost is counted where; a time without a collector is a gap; nothing is reset."""
    client = netwatch("export", "--listen", "127.0.0.1:0", "--interval", "1h", socket=stub.path)
    peer, subscribe = live(stub, events=[{"connection": 1, "event": pb.Conn.EXISTING},
                                         {"connection": 2, "event": pb.Conn.EXISTING}])
    assert subscribe.closed and subscribe.existing and subscribe.category == ["conn"]
    exporter = Export(client)
    exporter.wait_value(2, "netwatch_tcp_connections")
    peer.event(connection=3, event=pb.Conn.ESTABLISHED)
    peer.lost(5)
    peer.say(event=pb.Event(lost=pb.Lost(cause=pb.Lost.SUBSCRIBER_QUEUE, count=2)))
    exporter.wait_value(2, "netwatch_events_lost_total", where="queue")
    assert exporter.value("netwatch_events_lost_total", where="kernel") == 5
    assert exporter.value("netwatch_events_unseen_total") == 3
    assert exporter.value("netwatch_collector_cpu_seconds_total") == 1.5
    assert exporter.value("netwatch_collector_uptime_seconds") == 7
    # What a collector told once stays on the page, and what it did not tell is not there.
    assert exporter.value("netwatch_storage_failures_total") is None
    assert exporter.value("netwatch_bpf_missed_total") is None
    peer.close()
    exporter.wait_value(0, "netwatch_up")
    peer, _ = live(stub, epoch=2, events=[{"connection": 2, "event": pb.Conn.EXISTING}])
    exporter.wait_value(1, "netwatch_up")
    assert exporter.value("netwatch_stream_gaps_total", cause="restart") == 1
    assert exporter.value("netwatch_events_lost_total") == 7
    assert exporter.value("netwatch_tcp_connections") == 1
    assert exporter.value("netwatch_tcp_connects_total", result="ok") == 1
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0


def test_status_of_the_collector(netwatch, stub):
    """Each number that it tells; of programs that were never measured, nothing of measuring. What
    the next collector does not tell is gone."""
    client = netwatch("export", "--listen", "127.0.0.1:0", "--interval", "1h", socket=stub.path)
    fields = dict(
        version="9.9", kernel="6.1.0", unseen=1, no_storage=2, no_place=3, http_missed=4,
        program=[pb.ProgramStatus(name="a", runs=10, run_ns=2500000000, missed=5),
                 pb.ProgramStatus(name="b", missed=6)],
        ended=pb.EndedSubscriptions(done=7, slow_reader=8, broken=9),
        history=pb.HistoryStatus(events_max=100, events=50, bytes=4000, oldest={"seconds": 1000}),
    )
    peer, _ = live(stub, **fields)
    exporter = Export(client)
    exporter.wait_value(1, "netwatch_collector_info", version="9.9", kernel="6.1.0")
    samples = exporter.samples()
    told = {
        "events_unseen": 1, "storage_failures": 2, "place_failures": 3, "http_missed": 4,
    }
    for name, count in told.items():
        assert value(samples, f"netwatch_{name}_total") == count, name
    for cause, count in ("done", 7), ("slow_reader", 8), ("broken", 9):
        assert value(samples, "netwatch_subscriber_disconnects_total", cause=cause) == count
    assert value(samples, "netwatch_bpf_run_seconds_total", prog="a") == 2.5
    assert value(samples, "netwatch_bpf_runs_total") == 10
    assert value(samples, "netwatch_bpf_run_seconds_total", prog="b") is None
    assert value(samples, "netwatch_bpf_missed_total", prog="b") == 6
    for name, count in ("events", 50), ("events_limit", 100), ("bytes", 4000), (
        "oldest_timestamp_seconds", 1000
    ):
        assert value(samples, f"netwatch_history_{name}") == count, name
    prometheus.check_metrics(exporter.scrape())
    peer.close()
    peer, _ = live(stub, epoch=2, version="9.10", kernel="6.1.0")
    exporter.wait_value(1, "netwatch_collector_info", version="9.10")
    samples = exporter.samples()
    assert value(samples, "netwatch_collector_info") == 1
    for name in "bpf_runs_total", "bpf_missed_total", "history_events", "history_bytes":
        assert value(samples, f"netwatch_{name}") is None, name
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0


def test_lost_end(netwatch, stub):
    """A connection of which no report comes any more is gone, though nobody told its end."""
    client = netwatch("export", "--listen", "127.0.0.1:0", "--interval", "100ms", socket=stub.path)
    peer = stub.accept()
    peer.take("hello")
    peer.say(hello=pb.Hello(major=1, epoch=1, scope=pb.ALL, category=["conn", "tcpinfo"]))
    assert peer.take("subscribe").subscribe.interval_ms == 100
    peer.event(connection=1, event=pb.Conn.EXISTING)
    peer.say(subscribed=pb.Subscribed())
    stub.close()  # status is asked for in vain from here on
    exporter = Export(client)
    exporter.wait_value(1, "netwatch_tcp_connections")
    exporter.wait_value(None, "netwatch_tcp_connections")
    assert exporter.value("netwatch_up") == 1
    client.process.terminate()
    peer.finish()
    assert client.wait() == 0
    stub.open()


@pytest.mark.own_collector
def test_collector_restarts(collector, start_collector, export, actor):
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    port = server.server()
    exporter = export("--port", port, uid=ALICE)
    client.connects(count=3, address="127.0.0.1", port=port)
    name, labels = "netwatch_tcp_connects_total", {"role": "client", "result": "ok"}
    exporter.wait_value(3, name, **labels)
    collector.stop()
    exporter.wait_value(0, "netwatch_up")
    assert exporter.value(name, **labels) == 3
    start_collector(socket=collector.socket)
    exporter.wait_value(1, "netwatch_up")
    client.connects(count=2, address="127.0.0.1", port=port)
    exporter.wait_value(5, name, **labels)
    exporter.wait_value(1, "netwatch_stream_gaps_total", cause="restart")
    assert exporter.client.stop() == 0


def test_no_collector(netwatch):
    client = netwatch("export", "--listen", "127.0.0.1:0", socket="/nowhere")
    assert client.wait() == 3
