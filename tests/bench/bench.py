# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: what netwatch costs the traffic that it watches, beside other tools.

Every figure is a ratio within one run. In each round the traffic program runs without any
tracer, with the first one, without, with the second one, and so on; a tracer is held against
the mean of its two neighbours. Compared is CPU time, not speed: the traffic's one thread has
nearly all costs of the traced path in its own CPU time, and the tracer's CPU time is added,
so a tool that only moves the work into its own process wins nothing. The row "nothing"
shows how much of a figure is noise.
"""

import argparse
import contextlib
import os
import sys
import tempfile
import time

import report
import tracers
from procs import CPUS, Traffic, Unmeasured, drain

MODES = {"rr": "64 bytes there and back", "crr": "connect, 64 bytes each way, close",
         "bulk": "64 KiB"}
IDLE_PAIRS = 5000  # each two sockets
WARM_UP = 300  # connections after a tracer's start, not measured
CONTROL = (0.95, 1.05)  # a round whose control row is outside is repeated
STEADY = 0.05  # a sandwich whose neighbours differ by more is repeated
REPEATS_MAX = {"sandwiches": 15, "rounds": 3}  # in one run
BIRTH_ROUNDS = 5
COUNTER_ROUNDS, COUNTER_S = 3, 3
FLOOD_S = 1.5
STREAM_BYTES = 1 << 30  # no HTTP
RING_BYTES = 4 << 20  # --ring as the collector has it by default


class Row:
    """One tracer, and the samples of all rounds that count."""

    def __init__(self, name, start, modes, lines=0):
        self.name, self.start, self.modes, self.lines = name, start, modes, lines
        self.samples = {mode: [] for mode in modes}
        self.events = []  # per connection, one figure for each round
        self.links = self.wakeups = 0
        self.interval_s = 0
        self.skipped = None  # why it is not measured


def all_rows():
    both, crr, rr = ("rr", "crr"), ("crr",), ("rr",)
    return [
        Row("nothing", tracers.nothing, tuple(MODES)),
        Row("netwatch, nobody subscribed", tracers.idle, both),
        Row("netwatch --history", tracers.remembering, tuple(MODES)),
        Row("netwatch, nothing matches", tracers.no_match, both),
        Row("netwatch, 1 filter", tracers.filters(1), crr),
        Row("netwatch, 64 filters", tracers.filters(64), crr),
        Row("netwatch -a -o json", tracers.json_lines, crr, lines=5),
        Row("tcplife", tracers.tcplife, crr, lines=2),
        Row("tcpstates", tracers.tcpstates, crr, lines=10),
        Row("bpftrace", tracers.bpftrace, crr, lines=10),
        Row("netwatch packet -o pb", tracers.events("packet", "-o", "pb"), ("rr", "bulk")),
        Row("tcpdump -w", tracers.tcpdump_file, ("rr", "bulk")),
        Row("netwatch packet -o json", tracers.events("packet"), rr),
        Row("tcpdump", tracers.tcpdump_text, rr),
        Row("netwatch packet -t -o json", tracers.events("packet", "-t"), rr),
        Row("bpftrace, 5 tracepoints", tracers.bpftrace_layers, rr),
        Row("netwatch http", tracers.events("http"), ("bulk",)),
    ]


class Bench:
    """What all rows share: where the programs are, scratch files, the traffic."""

    def __init__(self, build, scratch, slice_s):
        self._build, self._scratch, self._slice_s = build, scratch, slice_s
        self.traffic = None
        self.ops = {}

    def program(self, name):
        return os.path.join(self._build, name)

    def path(self, name):
        return os.path.join(self._scratch, name)

    @contextlib.contextmanager
    def traffic_runs(self):
        self.traffic = Traffic(self.program("tests/bench/traffic"))
        try:
            yield self.traffic
        finally:
            self.traffic.close()

    def choose_ops(self):
        """How many operations take a slice of time. The first ones are slower."""
        for mode in MODES:
            self.traffic.run(mode, 5000)
            self.ops[mode] = int(self._slice_s * 1e9 / self.traffic.run(mode, 5000)["mean"])

    def ops_for(self, mode, seconds):
        return int(self.ops[mode] * seconds / self._slice_s)

    def measure(self, mode, tracer):
        """One slice of traffic, with the tracer's CPU time per operation."""
        before = tracer.cpu_ns()
        sample = self.traffic.run(mode, self.ops[mode])
        drain(tracer.processes)
        sample["tracer"] = (tracer.cpu_ns() - before) / sample["ops"]
        return sample


def measure_row(bench, row):
    """One round's samples of a row, by mode; notes what else is told of it."""
    samples, first = {}, bench.traffic.crr_done
    with row.start(bench) as tracer:
        bench.traffic.run("crr", WARM_UP)
        drain(tracer.processes)
        if tracer.collector:
            row.links = tracer.collector.bpf_links()
            wakeups = tracer.collector.wakeups()
        for mode in row.modes:
            samples[mode] = bench.measure(mode, tracer)
            row.interval_s += samples[mode]["ops"] * samples[mode]["wall"] / 1e9
        if tracer.collector:
            row.wakeups += tracer.collector.wakeups() - wakeups
    if tracer.output and "crr" in row.modes:
        lines = tracers.lines_of(tracer.output, bench.traffic.port)
        row.events.append(lines / (bench.traffic.crr_done - first))
    return samples


def sandwich(sample, before, after):
    """A sample against the mean of its neighbours."""
    base = (before["mean"] + after["mean"]) / 2
    return {
        "p10": 2 * sample["p10"] / (before["p10"] + after["p10"]),
        "p50": 2 * sample["p50"] / (before["p50"] + after["p50"]),
        "mean": sample["mean"] / base,
        "tracer": sample["tracer"],
        "base": base,
        "added": sample["mean"] - base + sample["tracer"],
        "score": (sample["mean"] + sample["tracer"]) / base,
    }


class Noise:
    """How often a measurement was noisy, and how often it may still be repeated for that."""

    def __init__(self):
        self.repeated = {"sandwiches": 0, "rounds": 0}
        self.kept = {"sandwiches": 0, "rounds": 0}

    def again(self, what):
        """True when there is a try left."""
        left = self.repeated[what] < REPEATS_MAX[what]
        (self.repeated if left else self.kept)[what] += 1
        return left


def steady(before, after):
    """False when the machine's speed changed between the neighbours of a tracer."""
    return all(abs(after[mode]["p50"] / before[mode]["p50"] - 1) <= STEADY for mode in MODES)


def measure_round(bench, rows, noise):
    """{row: {mode: sandwich}} of all rows that can be measured, in this order."""
    def bare():
        return {mode: bench.measure(mode, tracers.Tracer([])) for mode in MODES}
    result, before, todo = {}, bare(), [row for row in rows if not row.skipped]
    while todo:
        row = todo[0]
        try:
            samples = measure_row(bench, row)
        except (Unmeasured, OSError) as reason:  # OSError: a process ended while looked at
            row.skipped = str(reason)
            report.skipped(row)
            todo.pop(0)
            continue
        between, before = before, bare()
        if steady(between, before) or not noise.again("sandwiches"):
            result[row] = {mode: sandwich(samples[mode], between[mode], before[mode])
                           for mode in row.modes}
            todo.pop(0)
    return result


def outside(control):
    """Ratios of the control row that are noise beyond what a round may have."""
    return {mode: round(sample["score"], 3) for mode, sample in control.items()
            if not CONTROL[0] <= sample["score"] <= CONTROL[1]}


def measure_rounds(bench, rows, count):
    """Fills the rows' samples; returns how noisy it was."""
    noise, done = Noise(), 0
    while done < count:
        turn = (done * 2) % len(rows)
        result = measure_round(bench, rows[turn:] + rows[:turn], noise)
        bad = outside(result[rows[0]])
        if bad and noise.again("rounds"):
            report.progress(f"round {done + 1}: the control row is {bad}: once more")
            continue
        for row, by_mode in result.items():
            for mode, sample in by_mode.items():
                row.samples[mode].append(sample)
        done += 1
        report.progress(f"round {done} of {count}")
    return noise


def bpf_run_time(bench, tracer, mode, ops, empty):
    """Run time of the collector's BPF programs, without the cost of measuring it, and runs."""
    before = tracer.collector.bpf_run_time()
    bench.traffic.run(mode, ops)
    after = tracer.collector.bpf_run_time()
    ns = runs = 0
    for program, (end_ns, end_runs) in after.items():
        start_ns, start_runs = before.get(program, (0, 0))
        ns, runs = ns + end_ns - start_ns, runs + end_runs - start_runs
    if not runs:
        raise Unmeasured("the kernel tells no run time of the collector's BPF programs")
    return ns - runs * empty, runs


def bpf_ns_per_connection(bench, count, empty):
    with tracers.filters(count)(bench) as tracer:
        bench.traffic.run("crr", WARM_UP)
        ops = bench.ops["crr"] // 2
        ns, runs = bpf_run_time(bench, tracer, "crr", ops, empty)
    return ns / ops, runs / ops


def measure_stream(bench):
    """A stream that is no HTTP, under a subscription to HTTP: a look at each packet, no copy."""
    ops = STREAM_BYTES >> 16
    with bench.traffic_runs() as traffic:
        empty = traffic.command("stats")["empty"]
        traffic.run("bulk", 1000)
        with tracers.events("http")(bench) as tracer:
            traffic.run("bulk", 100)
            ns, runs = bpf_run_time(bench, tracer, "bulk", ops, empty)
    return {"ns": ns / runs, "runs": runs, "empty": empty,
            "matched": tracers.stats_of(tracer.output)["matched"]}


def measure_births(bench):
    """What 64 filters cost a connection that none of them wants, beside one filter."""
    figures = {1: [], 64: []}
    with bench.traffic_runs() as traffic:
        empty = traffic.command("stats")["empty"]
        traffic.run("crr", 5000)
        for _ in range(BIRTH_ROUNDS):
            for count, list_ in figures.items():
                ns, runs = bpf_ns_per_connection(bench, count, empty)
                list_.append(ns)
    ratio = [many / one for one, many in zip(figures[1], figures[64])]
    return {"one": figures[1], "many": figures[64], "ratio": ratio, "runs": runs, "empty": empty}


def measure_counters(bench):
    """Counters of many idle connections every second: what they cost others, and what a second."""
    ratios, cpu = [], []
    with bench.traffic_runs() as traffic:
        traffic.command(f"idle {IDLE_PAIRS}")
        traffic.run("rr", 5000)
        before = bench.measure("rr", tracers.Tracer([]))
        for _ in range(COUNTER_ROUNDS):
            with tracers.events("tcpinfo")(bench) as tracer:
                start_ns, start_cpu = time.monotonic_ns(), tracer.cpu_ns()
                sample = bench.measure("rr", tracer)
                while time.monotonic_ns() - start_ns < COUNTER_S * 1e9:
                    time.sleep(0.1)
                cpu.append((tracer.cpu_ns() - start_cpu) / (time.monotonic_ns() - start_ns))
            after = bench.measure("rr", tracers.Tracer([]))
            ratios.append(sandwich(sample, before, after)["p50"])
            before = after
    return {"sockets": 2 * IDLE_PAIRS, "ratio": ratios, "cpu": cpu,
            "stats": tracers.stats_of(tracer.output)}


def measure_flood(bench):
    """Connections as fast as one thread makes them, each with its JSON lines."""
    with tracers.json_lines(bench) as tracer:
        bench.traffic.run("crr", WARM_UP)
        sample = bench.traffic.run("crr", bench.ops_for("crr", FLOOD_S))
        drain(tracer.processes)
        rss = [process.rss_bytes() for process in tracer.processes]
    connections = WARM_UP + sample["ops"]
    return {
        "connections_per_s": 1e9 / sample["wall"],
        "connections": connections,
        "events_per_s": 5e9 / sample["wall"],
        "stats": tracers.stats_of(tracer.output),
        "lines": tracer.output.stdout().count('"conn":'),
        "rss": rss[0], "client_rss": rss[1], "ring": RING_BYTES,
    }


def is_asked(name, only):
    return not only or any(text in name for text in only)


def attempt(measure, bench, what, only):
    """Figures; nothing when they were not asked for, None when they cannot be had."""
    if not is_asked(what, only):
        return {}
    try:
        return measure(bench)
    except (Unmeasured, OSError) as reason:
        report.progress(f"NOT MEASURED: {what}: {reason}")
        return None


def options():
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--slice", type=float, default=0.25, metavar="SECONDS",
                        help="of traffic in each half of a sandwich")
    parser.add_argument("--only", action="append", metavar="TEXT",
                        help="only what has TEXT, or one of these, in its name")
    return parser.parse_args()


def measure_all(asked):
    rows = [row for row in all_rows()
            if is_asked(row.name, asked.only) or row.name == "nothing"]
    with tempfile.TemporaryDirectory(prefix="netwatch-bench-") as scratch:
        os.chmod(scratch, 0o755)
        bench = Bench(os.environ.get("B", "build"), scratch, asked.slice)
        report.header(CPUS)
        with bench.traffic_runs():
            bench.choose_ops()
            noise = measure_rounds(bench, rows, max(asked.rounds, 1))
            flood = attempt(measure_flood, bench, "flood", asked.only)
        births = attempt(measure_births, bench, "64 filters", asked.only)
        counters = attempt(measure_counters, bench, "tcpinfo", asked.only)
        stream = attempt(measure_stream, bench, "http", asked.only)
    report.table(rows, noise, births, flood, counters, stream)
    return report.complete(rows, births, flood, counters, stream)


def main():
    asked = options()
    try:
        return measure_all(asked)
    except (Unmeasured, OSError) as reason:
        return f"NOT MEASURED: {reason}"


if __name__ == "__main__":
    sys.exit(main())
