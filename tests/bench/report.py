# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmark prints: progress on stderr; figures, and targets beside them, on stdout."""

import os
import platform
import re
import statistics
import sys
import time

from procs import read

MIB = 1 << 20
WAKEUPS_TEXT = "{links} BPF links, {wakeups} wake-ups in {interval_s:.1f} s of traffic"


def progress(text):
    print(text, file=sys.stderr, flush=True)


def skipped(row):
    progress(f"NOT MEASURED: {row.name}: {row.skipped}")


def header(cpus):
    model = re.search(r"^model name\s*: (.*)$", read("/proc/cpuinfo"), re.M)
    print(f"{time.strftime('%Y-%m-%d %H:%M %z')}, Linux {platform.release()}, "
          f"{len(cpus)} x {model[1] if model else platform.machine()}, "
          f"load {os.getloadavg()[0]:.1f}", flush=True)


def median(values):
    return statistics.median(values)


def spread(values, form):
    """median (min-max)"""
    return f"{median(values):{form}} ({min(values):{form}}-{max(values):{form}})"


def column(samples, key):
    return [sample[key] for sample in samples]


ROW = "{:<28}{:<5}{:>6}{:>7}{:>7}{:>10}{:>9}  {:<18}{:>7}"


def rows_table(rows):
    print(ROW.format("tracer", "mode", "p10", "p50", "mean", "tracer us", "added us",
                     "score", "events"))
    for row in rows:
        for mode in row.modes:
            if not row.samples[mode]:
                print(f"{row.name:<28}{mode:<5}NOT MEASURED: {row.skipped}")
                continue
            of = {key: column(row.samples[mode], key) for key in row.samples[mode][0]}
            print(ROW.format(
                row.name, mode, *(f"{median(of[key]):.3f}" for key in ("p10", "p50", "mean")),
                f"{median(of['tracer']) / 1e3:.2f}", f"{median(of['added']) / 1e3:.2f}",
                spread(of["score"], ".3f"), f"{median(row.events):.2f}" if row.events else "-"))
            if row.skipped:
                print(f"    after {len(row.samples[mode])} rounds NOT MEASURED: {row.skipped}")


def legend(rows):
    base = {mode: median(column(samples, "base")) / 1e3
            for row in rows[:1] for mode, samples in row.samples.items()}
    print(f"""
rr: 64 bytes there and back, {base['rr']:.1f} us of CPU time without a tracer.
crr: connect, 64 bytes each way, close, {base['crr']:.1f} us. bulk: 64 KiB, {base['bulk']:.1f} us.
p10, p50, mean: traced operation / untraced one. tracer: CPU time of collector and client, or of
the other tool, per operation. added: by which one operation is dearer in all.
score: (traced path + tracer) / untraced. events: lines per connection, of both its ends.
Figures are medians over the rounds, (min-max).""")


def flood_text(flood):
    s = flood["stats"]
    return (f"flood: {flood['connections_per_s']:.0f} connections/s, "
            f"{flood['events_per_s']:.0f} events/s; matched {s['matched']} = "
            f"delivered {s['delivered']} + filtered {s['filtered']} + lost in the ring "
            f"{s['lost_kernel']} + lost in the queue {s['lost_queue']}; "
            f"{flood['lines']} lines; RSS of the client {flood['client_rss'] / MIB:.1f} MiB")


def counters_text(counters):
    return (f"tcpinfo every second, {counters['sockets']} idle sockets: 64 bytes there and back on "
            f"one more connection {spread(counters['ratio'], '.3f')} of the untraced median; "
            f"collector and client {spread([100 * share for share in counters['cpu']], '.1f')} % "
            "of a CPU")


def births_text(births):
    return (f"64 filters: BPF programs run {spread(births['many'], '.0f')} ns per connection "
            f"(both ends, {births['runs']:.1f} runs); one filter: "
            f"{spread(births['one'], '.0f')} ns; "
            f"without the {births['empty']:.0f} ns per run that the kernel's measure takes itself")


def stream_text(stream):
    return (f"1 GiB that is no HTTP, under a subscription to HTTP: {stream['runs']} runs of BPF "
            f"programs, {stream['ns']:.0f} ns each without the {stream['empty']:.0f} ns that the "
            "measure takes")


# ------------------------------------------------------------------- targets
#
# Each yields (what, target, measured, reached); nothing when it has no figures.


def score(row, mode):
    return median(column(row.samples[mode], "score"))


def measured(row):
    return row and all(row.samples.values())


def idle_targets(row):
    if not measured(row):
        return
    worst = max(score(row, mode) for mode in row.modes)
    told = WAKEUPS_TEXT.format(**vars(row))
    yield ("nobody subscribed", "1.00, 0 links, 0 wake-ups", f"{worst:.3f}, {told}",
           worst <= 1.02 and not row.links and not row.wakeups)


def no_match_targets(row):
    if not measured(row):
        return
    for mode in row.modes:
        value = score(row, mode)
        yield f"nothing matches, {mode}", "<= 1.05", f"{value:.3f}", value <= 1.05


def connect_targets(row, tcplife):
    if not measured(row):
        return
    value = score(row, "crr")
    yield "connect + close, JSON", "<= 1.15", f"{value:.3f}", value <= 1.15
    if measured(tcplife):
        share = [own["added"] / other["added"] for own, other in
                 zip(row.samples["crr"], tcplife.samples["crr"])]
        yield ("its added CPU / tcplife's", "<= 0.20", spread(share, ".3f"),
               median(share) <= 0.2)


def events_targets(rows):
    for row in rows:
        if measured(row) and row.lines:
            yield (f"events per connection, {row.name}", str(row.lines),
                   spread(row.events, ".3f"), abs(median(row.events) - row.lines) < 0.01)


def births_targets(births):
    if births:
        value = median(births["ratio"])
        yield ("64 filters / 1 filter, BPF time", "<= 1.1", spread(births["ratio"], ".3f"),
               value <= 1.1)


def packet_targets(rows):
    """Each beside the tool that people use for it: (row, mode, what, target, other tool)."""
    for name, mode, what, target, other in (
            ("netwatch packet -o pb", "rr", "every packet, raw", 1.12, "tcpdump -w"),
            ("netwatch packet -o pb", "bulk", "bulk stream, raw", 1.03, "tcpdump -w"),
            ("netwatch packet -o json", "rr", "every packet, JSON", 1.40, "tcpdump"),
            ("netwatch packet -t -o json", "rr", "layer times, JSON", 1.55,
             "bpftrace, 5 tracepoints")):
        row, peer = find(rows, name), find(rows, other)
        if not measured(row):
            continue
        value = score(row, mode)
        beside = f" ({other} {score(peer, mode):.3f})" if measured(peer) else ""
        yield what, f"<= {target:.2f}", f"{value:.3f}{beside}", value <= target


def counters_targets(counters):
    if not counters:
        return
    value, s = median(counters["ratio"]), counters["stats"]
    yield (f"tcpinfo of {counters['sockets']} idle sockets", "<= 1.02 per packet",
           f"{value:.3f}, {100 * median(counters['cpu']):.1f} % of a CPU", value <= 1.02)
    yield ("its --stats", "nothing lost", f"{s['matched']} matched, {s['delivered']} delivered",
           s["matched"] == s["delivered"] >= counters["sockets"])


def flood_targets(flood):
    if not flood:
        return
    s = flood["stats"]
    lost = s["lost_kernel"] + s["lost_queue"]
    told = s["delivered"] + s["filtered"] + lost
    sent = 5 * flood["connections"]
    yield ("flood: --stats adds up", f"{sent} events", f"{s['matched']} matched, {told} told of",
           s["matched"] == told == sent and s["delivered"] == flood["lines"])
    limit = 8 * MIB + 2 * flood["ring"]
    yield ("collector's RSS", f"<= {limit / MIB:.0f} MiB", f"{flood['rss'] / MIB:.1f} MiB",
           flood["rss"] <= limit)


def stream_targets(stream):
    if stream:
        yield ("1 GiB under http, per packet", "<= 100 ns, 0 events",
               f"{stream['ns']:.0f} ns, {stream['matched']} events",
               stream["ns"] <= 100 and not stream["matched"])


def find(rows, name):
    return next((row for row in rows if row.name == name), None)


def targets(rows, births, flood, counters, stream):
    yield from idle_targets(find(rows, "netwatch, nobody subscribed"))
    yield from no_match_targets(find(rows, "netwatch, nothing matches"))
    yield from connect_targets(find(rows, "netwatch -a -o json"), find(rows, "tcplife"))
    yield from packet_targets(rows)
    yield from counters_targets(counters)
    yield from births_targets(births)
    yield from stream_targets(stream)
    yield from flood_targets(flood)
    yield from events_targets(rows)


def table(rows, noise, births, flood, counters, stream):
    rows_table(rows)
    legend(rows)
    for what in noise.repeated:
        print(f"Noise: {noise.repeated[what]} {what} repeated, "
              f"{noise.kept[what]} kept though noisy.")
    for text in (births and births_text(births), flood and flood_text(flood),
                 counters and counters_text(counters), stream and stream_text(stream)):
        if text:
            print(text)
    print()
    form = "{:<44}{:<27}{:<9}{}"
    print(form.format("what", "target", "reached", "measured"))
    for what, target, value, reached in targets(rows, births, flood, counters, stream):
        print(form.format(what, target, "yes" if reached else "NO", value))


def complete(rows, births, flood, counters, stream):
    """The exit status: 1 when something of netwatch could not be measured."""
    own = [row for row in rows if row.name.startswith("netwatch")]
    return int(any(row.skipped for row in own) or None in (births, flood, counters, stream))
