# SPDX-License-Identifier: GPL-2.0-only
"""Containers, which are network namespaces and cgroups: each event has the ids of its own, and
filters choose by them."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import wire
from harness import ALICE, V4, V6, link, wait_until
from test_conn import CLIENT_STAGES, by_id, check_connection, ss_cookies, stages


def hierarchy():
    """Where cgroup v2 is mounted."""
    text = Path("/proc/self/mountinfo").read_text()
    return Path(re.search(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2 ", text, re.M)[1])


class Cgroup:
    def __init__(self, root, path):
        self.directory = root / path
        self.path = f"/{path}"
        self.directory.mkdir()
        self.id = self.directory.stat().st_ino

    def add(self, actor):
        (self.directory / "cgroup.procs").write_text(str(actor.pid))

    def remove(self):
        """A process that ended may still be there for a moment."""
        events = self.directory / "cgroup.events"
        wait_until(lambda: "populated 0" in events.read_text(), f"{self.path} is empty")
        self.directory.rmdir()


@pytest.fixture
def cgroups(place):
    """A tree: over, over/a, over/a/below, over/b."""
    root, over = hierarchy(), f"nw-test-{os.getpid()}-{next(place.numbers)}"
    made = {}
    for name in "", "a", "a/below", "b":
        made[name] = Cgroup(root, f"{over}/{name}".rstrip("/"))
    yield made
    for cgroup in reversed(made.values()):
        cgroup.remove()


@pytest.fixture
def start(cgroups, actor):
    """An actor in a namespace and a cgroup, made after them, so that it ends before."""

    def run(namespace, cgroup):
        made = actor(namespace=namespace)
        cgroups[cgroup].add(made)
        made.cgroup = cgroups[cgroup]
        return made

    return run


@pytest.fixture
def containers(new_namespace, start):
    """{cgroup's name: (client, server, port)}, all in namespaces of their own."""
    made = {}
    for name in "a", "a/below", "b":
        namespace = new_namespace()
        server = start(namespace, name)
        made[name] = start(namespace, name), server, server.server(workers=2)
    return made


def check_ids(event, told, cgroup):
    connection = event["connection"]
    assert connection["netns"] == told["netns"], event
    assert (connection["cgroup_id"], connection["cgroup"]) == (str(cgroup.id), cgroup.path), event


def ports_of(containers):
    return ",".join(str(port) for _, _, port in containers.values())


@pytest.mark.kernels
def test_each_has_its_ids(containers, subscribe, netwatch):
    """Of connections that are there, that open and that close, and in the list."""
    held = {}
    for name, (client, _, port) in containers.items():
        told = client.connect(address="127.0.0.1", port=port)
        held[told["id"]] = told, name, client
    assert len({told["netns"] for told, _, _ in held.values()}) == len(containers)
    choice = "--dport", ports_of(containers)
    watch = subscribe("-a", *choice, uid=ALICE)
    opened = {}
    for name, (client, _, port) in containers.items():
        (told,) = client.connects(count=1, address="127.0.0.1", port=port)
        opened[told["id"]] = told, name, client
    for told, _, client in held.values():
        client.close(fd=told["fd"])
    watch.wait_events(5 * len(containers))
    found = by_id(watch.stopped_events())
    assert set(found) == set(held) | set(opened)
    for cookie, events in found.items():
        told, name, client = (held | opened)[cookie]
        assert stages(events) == (CLIENT_STAGES if cookie in opened else ["EXISTING", "CLOSE"])
        for event in events:
            check_connection(event, told, client, "CLIENT", older="role" not in event["connection"])
            check_ids(event, told, client.cgroup)
    listed = netwatch("list", "--lport", ports_of(containers), "-o", "json", uid=ALICE)
    assert listed.wait() == 0
    listening = {event["connection"]["lport"]: event for event in listed.events()
                 if event["conn"]["state"] == "LISTEN"}
    assert set(listening) == {port for _, _, port in containers.values()}
    for name, (client, server, port) in containers.items():
        netns = next(told["netns"] for told, which, _ in held.values() if which == name)
        check_ids(listening[port], {"netns": netns}, server.cgroup)


CHOICES = {
    "all": ([], {"a", "a/below", "b"}),
    "over": (["--cgroup", "{over.directory}"], {"a", "a/below", "b"}),
    "with descendants": (["--cgroup", "{a.directory}"], {"a", "a/below"}),
    "path below the mount": (["--cgroup", "{a.path}"], {"a", "a/below"}),
    "relative path": (["--cgroup", "{relative}"], {"a", "a/below"}),
    "descendant": (["--cgroup", "{below.directory}"], {"a/below"}),
    "not": (["--not", "--cgroup", "{a.directory}"], {"b"}),
    "not a descendant": (["--not", "--cgroup", "{below.directory}"], {"a", "b"}),
    "some but not all": (
        ["--cgroup", "{a.directory}", "--not", "--cgroup", "{below.directory}"], {"a"},
    ),
    "two": (["--cgroup", "{b.directory}", "--cgroup", "{below.directory}"], {"b", "a/below"}),
    "namespaces": (["--netns", "{netns[a]}", "--netns", "{netns[b]}"], {"a", "b"}),
    "not a namespace": (["--not", "--netns", "{netns[a]}"], {"a/below", "b"}),
    "both": (["--netns", "{netns[b]}", "--cgroup", "{a.directory}"], set()),
}


def test_choices(containers, cgroups, subscribe, netwatch):
    """By cgroup and by namespace, of events and of the list."""
    netns = {name: os.stat(f"/proc/{client.pid}/ns/net").st_ino
             for name, (client, _, _) in containers.items()}
    names = {"over": cgroups[""], "a": cgroups["a"], "b": cgroups["b"],
             "below": cgroups["a/below"], "relative": cgroups["a"].path[1:], "netns": netns}
    port = ["--dport", ports_of(containers)]
    options = {name: [word.format(**names) for word in words]
               for name, (words, _) in CHOICES.items()}
    watches = {name: subscribe("-a", *port, *words, uid=0) for name, words in options.items()}
    held = {name: client.connect(address="127.0.0.1", port=server_port)
            for name, (client, _, server_port) in containers.items()}
    lists = {name: netwatch("list", *port, *words, "-o", "json", uid=0)
             for name, words in options.items()}
    listed = {}
    for name, client in lists.items():
        assert client.wait() == 0, name
        listed[name] = client.events()
    for name, (client, _, _) in containers.items():
        client.close(fd=held[name]["fd"])
    watches["all"].wait_events(3 * len(containers))
    for name, watch in watches.items():
        wanted = {held[which]["id"] for which in CHOICES[name][1]}
        found = by_id(watch.stopped_events())
        assert set(found) == wanted, name
        assert all(stages(events) == CLIENT_STAGES for events in found.values()), name
        assert set(by_id(listed[name])) == wanted, name


@pytest.mark.kernels
def test_names_of_a_namespace(subscribe, actor, namespace):
    """Its inode, its name and its path; its inode in the events, and its sockets' ids are ss's."""
    inode = os.stat(f"/run/netns/{namespace}").st_ino
    assert inode != os.stat("/proc/self/ns/net").st_ino
    client, server = actor(namespace=namespace), actor(namespace=namespace)
    port = server.server()
    watches = [
        subscribe("-a", "--dport", port, "--netns", which, uid=0)
        for which in (inode, namespace, f"/run/netns/{namespace}")
    ]
    mine = subscribe("-a", "--dport", port, uid=ALICE)
    not_there = subscribe("-a", "--dport", port, "--not", "--netns", inode, uid=ALICE)
    held = client.connect(address="127.0.0.1", port=port)
    assert held["netns"] == inode
    assert held["id"] in ss_cookies("dport", "=", f":{port}", namespace=namespace)
    client.close(fd=held["fd"])
    for watch in [*watches, mine]:
        watch.wait_events(3)
        events = watch.stopped_events()
        assert stages(events) == CLIENT_STAGES
        for event in events:
            check_connection(event, held, client, "CLIENT")
    assert not_there.stopped_events() == []


@pytest.mark.kernels
@pytest.mark.parametrize("addresses", [V4, V6], ids=["ipv4", "ipv6"])
def test_from_one_to_another(new_namespace, start, subscribe, addresses):
    """Both ends of one connection are sockets of different containers."""
    here, there = new_namespace(), new_namespace()
    link(here, there)
    client, server = start(here, "a"), start(there, "b")
    listener = server.listen(address=addresses[1])
    port = listener["port"]
    both = subscribe("-a", "--port", port, "--no-existing", uid=ALICE)
    ours = subscribe("-a", "--port", port, "--netns", here, uid=0)
    theirs = subscribe("-a", "--port", port, "--no-existing", "--cgroup",
                       server.cgroup.directory, uid=0)
    told = client.connect(address=addresses[1], port=port)
    accepted = server.accept(fd=listener["fd"])
    assert (told["laddr"], told["raddr"]) == addresses and told["netns"] != accepted["netns"]
    client.close(fd=told["fd"])
    server.receive_end(fd=accepted["fd"])
    server.close(fd=accepted["fd"])
    both.wait_events(5)
    found = by_id(both.stopped_events())
    assert set(found) == {told["id"], accepted["id"]}
    for end, process, role in (told, client, "CLIENT"), (accepted, server, "SERVER"):
        for event in found[end["id"]]:
            check_connection(event, end, process, role)
            check_ids(event, end, process.cgroup)
    assert ours.stopped_events() == found[told["id"]]
    assert theirs.stopped_events() == found[accepted["id"]]


@pytest.mark.kernels
def test_process_that_moves(cgroups, actor, subscribe):
    """A socket stays in the cgroup and the namespace in which it was made."""
    client, server = actor(), actor()
    port = server.server()
    cgroups["a"].add(client)
    before = client.make()
    cgroups["b"].add(client)
    a, b = (subscribe("--dport", port, "--cgroup", cgroups[name].directory, uid=0) for name in "ab")
    old = client.use(fd=before, address="127.0.0.1", port=port)
    new = client.connect(address="127.0.0.1", port=port)
    for watch, told, cgroup in (a, old, cgroups["a"]), (b, new, cgroups["b"]):
        watch.wait_events(2)
        events = watch.stopped_events()
        assert [int(event["connection"]["id"]) for event in events] == 2 * [told["id"]]
        for event in events:
            check_ids(event, told, cgroup)


@pytest.mark.kernels
def test_socket_that_is_passed(place, new_namespace, start, actor, subscribe, netwatch):
    """An accepted connection goes to a process of another container: it belongs to that process,
    and stays where it is."""
    here, there = new_namespace(), new_namespace()
    client, giver, taker = actor(namespace=here), start(here, "a"), start(there, "b")
    folder = place.new_path("mail")
    folder.mkdir()
    folder.chmod(0o777)
    box = taker.open_mailbox(path=f"{folder}/box")
    listener = giver.listen()
    choice = "--sport", listener["port"], "--role", "server", "--no-existing"
    watch = subscribe("-a", *choice, uid=ALICE)
    far = subscribe("-a", *choice, "--netns", there, uid=0)
    ours = client.connect(address="127.0.0.1", port=listener["port"])
    told = giver.accept(fd=listener["fd"])
    giver.pass_to(fd=told["fd"], path=f"{folder}/box")
    taken = taker.take(box=box)
    assert taken["id"] == told["id"] and taken["netns"] != told["netns"]
    client.send(fd=ours["fd"], count=10)
    taker.receive(fd=taken["fd"], count=10)
    watch.wait_events(1)
    taker.close(fd=taken["fd"])
    client.close(fd=ours["fd"])
    watch.wait_events(2)
    events = watch.stopped_events()
    assert stages(events) == ["ESTABLISHED", "CLOSE"]
    for event in events:
        check_connection(event, told | {"pid": taker.pid}, taker, "SERVER")
        check_ids(event, told, giver.cgroup)
    assert far.stopped_events() == []


@pytest.mark.kernels
def test_namespace_that_is_deleted(collector, new_namespace, start, subscribe):
    """While it is watched: its events come until its last process ended, and nothing remains."""
    gone, stays = new_namespace(), new_namespace()
    inode = os.stat(f"/run/netns/{gone}").st_ino
    client, server = start(gone, "a"), start(gone, "a")
    listener = server.listen()
    watch = subscribe("-a", "--netns", gone, uid=0)
    subprocess.run(["ip", "netns", "delete", gone], check=True)
    later = subscribe("-a", "--netns", inode, uid=0)
    told = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    client.send(fd=told["fd"], count=10)
    server.receive(fd=accepted["fd"], count=10)
    watch.wait_events(4)
    client.end()
    server.end()
    for one in watch, later:
        one.wait_events(7)
        events = one.stopped_events()
        assert {event["connection"]["netns"] for event in events} == {inode}
        found = by_id(events)
        assert stages(found[told["id"]]) == CLIENT_STAGES
        assert stages(found[accepted["id"]]) == ["ESTABLISHED", "CLOSE"]
    assert [entry.name for entry in wire.status(collector.socket).category]
    client, server = start(stays, "b"), start(stays, "b")
    port = server.server()
    watch = subscribe("-a", "--dport", port, "--netns", stays, uid=0)
    client.connects(count=1, address="127.0.0.1", port=port)
    watch.wait_events(3)
    assert stages(watch.stopped_events()) == CLIENT_STAGES
