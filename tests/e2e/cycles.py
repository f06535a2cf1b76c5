# SPDX-License-Identifier: GPL-2.0-only
"""Subscribes and unsubscribes as the user who runs it, with changing filters, and prints how
often, how many events were its own and how many somebody else's: cycles.py SOCKET
--count N | --seconds S [--least N]."""

import argparse
import os
import random
import time

import wire

MOST_EVENTS = 20


def one_cycle(path, made):
    """(own, foreign) events of one subscription."""
    filters = [
        {},
        {"rport": wire.ports((1, 65535))},
        {"port": wire.ports(made.randrange(1, 65536), negated=True)},
        {"family": [4]},
    ]
    with wire.Connection(path) as watch:
        events = watch.subscribe(
            existing=made.random() < 0.3, closed=True, **made.choice(filters)
        )
        if made.random() < 0.5:
            events += watch.events(made.randrange(1, MOST_EVENTS))
        late, totals = watch.unsubscribe()
    lost = totals.lost_kernel + totals.lost_queue
    assert totals.matched == totals.delivered + lost, totals
    uids = [event.connection.uid for event in events + late if not event.HasField("lost")]
    return uids.count(os.getuid()), len(uids) - uids.count(os.getuid())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("--count", type=int, default=1 << 60)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--least", type=int, default=0)
    options = parser.parse_args()
    made = random.Random(os.getuid())
    end = time.monotonic() + options.seconds
    done = own = foreign = 0
    while done < options.count and (time.monotonic() < end or done < options.least):
        more_own, more_foreign = one_cycle(options.socket, made)
        own, foreign, done = own + more_own, foreign + more_foreign, done + 1
    print(done, own, foreign)


main()
