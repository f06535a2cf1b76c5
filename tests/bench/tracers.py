# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: for each row how its tracer is started, told to be live, and stopped."""

import contextlib
import json
import re
import signal
import socket

from procs import START_S, Process, Unmeasured, wait_for


HISTORY = 10000  # events that the collector remembers
EVENTS = 5  # of a connection, at least


class Tracer:
    """Running processes whose CPU time is the tracer's."""

    def __init__(self, processes, output=None):
        self.processes = processes
        self.output = output  # the process that writes events
        self.collector = processes[0] if processes else None

    def cpu_ns(self):
        return sum(process.cpu_ns() for process in self.processes)


@contextlib.contextmanager
def nothing(_bench):
    yield Tracer([])


@contextlib.contextmanager
def stopping(process, sig=signal.SIGINT):
    """Ends process in any case; an error in the block goes first."""
    try:
        yield process
    except BaseException:
        with contextlib.suppress(Unmeasured):
            process.stop(sig)
        raise
    process.stop(sig)


def _serves(path):
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        return True
    return False


@contextlib.contextmanager
def collector(bench, *options):
    path = bench.path("netwatch.sock")
    argv = [bench.program("netwatch-collector"), "--socket", path, "--log-level", "warn", *options]
    with stopping(Process(argv, bench.path("collector")), signal.SIGTERM) as process:
        def ready():
            process.check_runs()
            return _serves(path)
        wait_for(ready, START_S, "netwatch-collector at its socket")
        yield process


@contextlib.contextmanager
def client(bench, options, name):
    """A live subscription, to conn and in JSON unless the options say otherwise."""
    argv = [bench.program("netwatch"), "--socket", bench.path("netwatch.sock"), "subscribe",
            "-v", "--stats", "--no-existing"]
    argv += [] if "--events" in options else ["--events", "conn"]
    argv += [] if "-o" in options else ["-o", "json"]
    argv += options
    with stopping(Process(argv, bench.path(name))) as process:
        yield process


@contextlib.contextmanager
def remembering(bench):
    """A collector with a history that is full, and nobody subscribed."""
    with collector(bench, "--history", str(HISTORY)) as serving:
        wait_for(serving.bpf_links, START_S, "the history to begin")
        bench.traffic.run("crr", HISTORY // EVENTS)
        yield Tracer([serving])


def wait_until_live(process):
    wait_for(lambda: process.says("subscribed"), START_S, f"'subscribed' from {process.name}")


@contextlib.contextmanager
def idle(bench):
    """A collector that had a subscriber and has none now."""
    with collector(bench) as serving:
        with client(bench, ["--dport", "9"], "former") as process:
            wait_until_live(process)
        wait_for(lambda: not serving.bpf_links(), START_S, "the collector to detach")
        yield Tracer([serving])


@contextlib.contextmanager
def subscribed(bench, *filters, name="client"):
    """One client for each list of options. What writes much has a name, thus a file, of its own."""
    with collector(bench) as serving, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client(bench, options, f"{name}{i}"))
                   for i, options in enumerate(filters)]
        for process in clients:
            wait_until_live(process)
        yield Tracer([serving, *clients], clients[0])


def no_match(bench):
    return subscribed(bench, ["--dport", "9"])


def json_lines(bench):
    return subscribed(bench, ["-a", "--port", str(bench.traffic.port)], name="json")


def events(category, *options):
    """Every event of a category that the traffic makes."""
    def start(bench):
        return subscribed(bench, ["--events", category, "--port", str(bench.traffic.port),
                                  *options], name="-".join([category, *options]).strip("-"))
    return start


def filters(count):
    """That many filters in several dimensions, which the traffic does not pass."""
    def start(bench):
        return subscribed(bench, *(
            ["--dport", f"{2000 + i},{40000 + 100 * i}-{40050 + 100 * i}",
             "--raddr", f"192.0.2.{i}", "--laddr", "127.0.0.0/8", "--role", "client",
             "--comm", f"nobody{i}", "--uid", str(3000 + i)] for i in range(count)))
    return start


def peer(*argv, ready=None):
    """Another tool; PORT in an argument is the traffic's port. ready: what it says on stderr when
    it is, if it does."""
    @contextlib.contextmanager
    def start(bench):
        places = {"PORT": str(bench.traffic.port), "NETNS": bench.traffic.netns,
                  "FILE": bench.path("capture")}
        words = [re.sub("PORT|NETNS|FILE", lambda found: places[found[0]], word)
                 for word in argv]
        with stopping(Process(words, bench.path("peer"))) as process:
            wait_for(process.has_attached if not ready else lambda: process.says(ready),
                     START_S, f"{process.name} to attach")
            yield Tracer([process], process)
    return start


# tcplife and tcpstates can select a local and a remote port, but not either: they see all.
tcplife = peer("tcplife")
tcpstates = peer("tcpstates")
bpftrace = peer("bpftrace", "-e", """tracepoint:sock:inet_sock_set_state
    /args->sport == PORT || args->dport == PORT/ {
        printf("%llu %d %s %s:%d %s:%d %d %d\\n", nsecs, pid, comm, ntop(args->saddr),
               args->sport, ntop(args->daddr), args->dport, args->oldstate, args->newstate);
    }""")


# On lo, each segment is seen once; netwatch tells it of both sockets.
tcpdump = ("nsenter", "--net=NETNS", "tcpdump", "-i", "lo", "-n", "-Z", "root")
tcpdump_file = peer(*tcpdump, "-w", "FILE", "tcp port PORT", ready="listening on")
tcpdump_text = peer(*tcpdump, "tcp port PORT", ready="listening on")
# The hooks of layer times that bpftrace can have where kprobes are missing.
bpftrace_layers = peer("bpftrace", "-e", """
    tracepoint:net:netif_receive_skb, tracepoint:net:net_dev_queue,
    tracepoint:net:net_dev_start_xmit { printf("%llu %s %llx\\n", nsecs, probe, args->skbaddr); }
    tracepoint:tcp:tcp_probe /args->sport == PORT || args->dport == PORT/ {
        printf("%llu %s %d %d %u\\n", nsecs, probe, args->sport, args->dport, args->data_len); }
    tracepoint:tcp:tcp_rcv_space_adjust /args->sport == PORT || args->dport == PORT/ {
        printf("%llu %s %d %d\\n", nsecs, probe, args->sport, args->dport); }""")


def lines_of(process, port):
    """Lines of a tracer's output that name the port, after its end."""
    return len(re.findall(rf"^.*\b{port}\b.*$", process.stdout(), re.M))


def stats_of(process):
    """What --stats of a client that has ended says."""
    for line in process.stderr().splitlines():
        if line.startswith("{"):
            return json.loads(line)
    raise Unmeasured("no line of --stats from the client")
