# SPDX-License-Identifier: GPL-2.0-only
"""The oracle: many random filters at once, and a naive judge that says of each event,
from the values in it, who must have received it."""

import ipaddress
import multiprocessing
import os
import random

import netwatch_pb2 as pb
import wire
from harness import ALICE, BOB, DEADLINE_S, wait_until

# The table has 64 slots: these, one that sees everything, and the churn.
FILTERS = 60
ROUNDS = 120
CHURN_ROUNDS = 20
SEED = os.environ.get("NETWATCH_SEED") or str(random.SystemRandom().randrange(1 << 32))


# ------------------------------------------------------------- the naive judge


def in_ports(port, ranges):
    return any(
        entry.first <= port <= (entry.last if entry.HasField("last") else entry.first)
        for entry in ranges
    )


def in_prefixes(address, prefixes):
    for entry in prefixes:
        network = ipaddress.ip_network((entry.address, entry.length), strict=False)
        if address.version == network.version and address in network:
            return True
    return False


def passes(values, chosen, test):
    """A set with any and none; values are the one or two that it is about."""
    if chosen.any and not any(test(value, chosen.any) for value in values):
        return False
    return not any(test(value, chosen.none) for value in values)


def in_list(value, entries):
    return value in entries


TESTS = {
    "lport": in_ports, "rport": in_ports, "port": in_ports,
    "laddr": in_prefixes, "raddr": in_prefixes, "addr": in_prefixes,
}


def values_of(event):
    """What an event says in each of a filter's dimensions."""
    it = event.connection
    local, remote = ipaddress.ip_address(it.laddr), ipaddress.ip_address(it.raddr)
    return {
        "lport": [it.lport], "rport": [it.rport], "port": [it.lport, it.rport],
        "laddr": [local], "raddr": [remote], "addr": [local, remote],
        "pid": [it.pid], "comm": [it.comm], "uid": [it.uid], "netns": [it.netns],
        "family": local.version, "role": it.role,
    }


def accepts(criteria, values):
    """What Filter's comment in the schema says, dimension by dimension."""
    for field, chosen in criteria.ListFields():
        value = values[field.name]
        if field.name in ("family", "role"):
            if value not in chosen:
                return False
        elif not passes(value, chosen, TESTS.get(field.name, in_list)):
            return False
    return True


def test_the_judge_itself():
    event = pb.Event(
        connection=pb.Connection(
            laddr="127.0.0.1", lport=1000, raddr="127.0.0.9", rport=80, role=1, pid=5, comm="c",
            uid=7, netns=9,
        )
    )
    yes = [
        {},
        {"lport": wire.ports((999, 1001))},
        {"port": wire.ports(80)},
        {"rport": wire.ports(81, negated=True)},
        {"raddr": wire.prefixes("127.0.0.8/29")},
        {"uid": wire.numbers(1, 7)},
    ]
    no = [
        {"lport": wire.ports(80)},
        {"port": wire.ports(80, negated=True)},
        {"laddr": wire.prefixes("127.0.0.8/29")},
        {"addr": wire.prefixes("127.0.0.8/29", negated=True)},
        {"family": [6]},
        {"role": [2]},
        {"comm": pb.StringSet(none=["c"])},
        {"netns": wire.numbers(8)},
        {"port": wire.ports(80), "pid": wire.numbers(6)},
    ]
    values = values_of(event)
    assert all(accepts(pb.Filter(**criteria), values) for criteria in yes)
    assert not any(accepts(pb.Filter(**criteria), values) for criteria in no)


# ------------------------------------------------------------- random filters


class Maker:
    """Random filters over the values that the traffic has."""

    NETWORKS = [
        "127.0.0.0/8", "127.0.0.1/32", "127.0.0.2/31", "127.0.0.3/32", "0.0.0.0/0", "::/0",
        "::1/128", "127.0.0.0/30", "10.0.0.0/8", "::/64",
    ]

    def __init__(self, made, ports, pids, comms, uids, namespaces):
        self.random = made
        self.ports = ports
        self.choices = {
            "pid": (pb.NumberSet, pids),
            "comm": (pb.StringSet, comms),
            "uid": (pb.NumberSet, uids),
            "netns": (pb.NumberSet, namespaces),
        }

    def side(self):
        return "none" if self.random.random() < 0.3 else "any"

    def port_set(self):
        ranges = []
        for _ in range(self.random.randrange(1, 5)):
            first = self.random.choice([*self.ports, self.random.randrange(1, 65536)])
            last = self.random.choice([None, min(65535, first + self.random.randrange(20000))])
            ranges.append(pb.PortRange(first=first, last=last))
        return pb.PortSet(**{self.side(): ranges})

    def prefix_set(self):
        networks = self.random.sample(self.NETWORKS, self.random.randrange(1, 4))
        return wire.prefixes(*networks, negated=self.side() == "none")

    def dimension(self, name):
        if name.endswith("port"):
            return self.port_set()
        if name.endswith("addr"):
            return self.prefix_set()
        if name in ("family", "role"):
            return [self.random.choice([4, 6] if name == "family" else [1, 2])]
        kind, values = self.choices[name]
        return kind(**{self.side(): self.random.sample(values, self.random.randrange(1, 3))})

    def filter(self):
        names = [
            "lport", "rport", "port", "laddr", "raddr", "addr", "family", "pid", "comm", "uid",
            "role", "netns",
        ]
        chosen = self.random.sample(names, self.random.randrange(1, 4))
        return {name: self.dimension(name) for name in chosen}

    def distinct(self, count):
        found = {}
        while len(found) < count:
            criteria = self.filter()
            found[pb.Filter(**criteria).SerializeToString(deterministic=True)] = criteria
        return list(found.values())


class Churn(multiprocessing.get_context("fork").Process):
    """Subscribes and unsubscribes further filters until told to end, in a process of its own,
    so that it is quick."""

    def __init__(self, path, maker):
        super().__init__(daemon=True)
        self.path, self.maker = path, maker
        self.over = multiprocessing.Event()
        self.rounds = multiprocessing.Value("i", 0)

    def run(self):
        while not self.over.is_set():
            self.once()
            self.rounds.value += 1

    def once(self):
        criteria = self.maker.filter()
        with wire.Connection(self.path) as watch:
            watch.subscribe(**criteria)
            # Some connections' worth of time; what comes is read by unsubscribe.
            self.over.wait(0.005)
            events, totals = watch.unsubscribe()
        check_all_accepted(pb.Filter(**criteria), events)
        assert totals.matched == totals.delivered == len(events), (criteria, totals)

    def finish(self):
        self.over.set()
        self.join(DEADLINE_S)
        assert self.exitcode == 0, "its failure is on stderr"


class Reader:
    """A subscription that is read at the end: its queue holds everything until then."""

    def __init__(self, path, criteria):
        self.connection = wire.Connection(path)
        self.criteria = pb.Filter(**criteria)
        self.connection.subscribe(**criteria)

    def finish(self):
        # First the bytes, since the collector does not wait long for the last of them.
        self.connection.send(pb.Request(unsubscribe=pb.Unsubscribe()))
        try:
            while True:
                self.connection.fill()
        except wire.Closed:
            self.connection.close()
        self.events, bye = self.connection.until("bye")
        self.totals = bye.totals


def check_all_accepted(criteria, events):
    """Strangers' traffic too; of listeners, the schema does not say what they match."""
    for event in events:
        if event.connection.HasField("raddr"):
            assert accepts(criteria, values_of(event)), (criteria, event)


def key_of(event):
    return event.connection.id, event.conn.event, event.time.ToNanoseconds()


def make_traffic(pairs, made):
    """Each pair connects some times, all at once, to several addresses."""
    for client, address, port in pairs:
        if address == "127.0.0.1":
            address = f"127.0.0.{made.randrange(1, 5)}"
        client.tell("connects", count=made.randrange(1, 8), address=address, port=port)
    for client, _, _ in pairs:
        client.answer()


def test_oracle(start_collector, actor, namespace):
    collector = start_collector("--queue", "64M")
    print(f"NETWATCH_SEED={SEED}")
    made = random.Random(SEED)
    pairs, pids, namespaces = [], [], [os.stat("/proc/self/ns/net").st_ino]
    comms = []
    namespaces.append(os.stat(f"/run/netns/{namespace}").st_ino)
    for index, (uid, where, any_address, address) in enumerate(
        [
            (ALICE, None, "0.0.0.0", "127.0.0.1"),
            (BOB, None, "::1", "::1"),
            (ALICE, namespace, "0.0.0.0", "127.0.0.1"),
            (0, None, "::", "127.0.0.1"),
            (BOB, namespace, "::1", "::1"),
        ]
    ):
        comms += [f"client{index}", f"server{index}"]
        client = actor(uid=uid, namespace=where, comm=comms[-2].encode())
        server = actor(uid=uid, namespace=where, comm=comms[-1].encode())
        port = server.server(address=any_address, dual=any_address == "::", answer=10)
        server.drop_served()
        pairs.append((client, address, port))
        pids += [client.pid, server.pid]
    ports = [port for _, _, port in pairs]
    maker = Maker(made, ports, pids, comms, [ALICE, BOB, 0, 5], namespaces)
    churn = Churn(collector.socket, Maker(random.Random(SEED + "c"), ports, pids, comms,
                                          [ALICE, BOB, 0, 5], namespaces))
    churn.start()
    # Without strangers' traffic, whose sockets may open or close around the subscriptions.
    everything = Reader(collector.socket, {"pid": pb.NumberSet(any=pids)})
    readers = [Reader(collector.socket, criteria) for criteria in maker.distinct(FILTERS)]
    for _ in range(ROUNDS):
        make_traffic(pairs, made)
    wait_until(lambda: churn.rounds.value >= CHURN_ROUNDS or not churn.is_alive(), "churn")
    churn.finish()
    for reader in [*readers, everything]:
        reader.finish()

    ours = {key_of(event): event for event in everything.events}
    assert len(ours) == len(everything.events) > 5 * 5 * ROUNDS
    values = {key: values_of(event) for key, event in ours.items()}
    received = 0
    for reader in readers:
        assert not any(event.HasField("lost") for event in reader.events)
        got = {key_of(event) for event in reader.events if event.connection.pid in pids}
        strangers = [event for event in reader.events if event.connection.pid not in pids]
        check_all_accepted(reader.criteria, strangers)
        expected = {key for key, one in values.items() if accepts(reader.criteria, one)}
        too_much = [ours.get(key) for key in got - expected]
        missing = [ours[key] for key in expected - got]
        assert not too_much, (reader.criteria, len(too_much), too_much[0])
        assert not missing, (reader.criteria, len(missing), missing[0])
        assert reader.totals.matched == reader.totals.delivered == len(reader.events)
        received += len(got)
    print(f"{len(ours)} events, {received} received, {churn.rounds.value} rounds of churn")
    assert received > len(ours)
