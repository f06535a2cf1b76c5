# SPDX-License-Identifier: GPL-2.0-only
"""The collector as a service manager starts it: an ordinary user with three capabilities."""

import grp
import os
import stat

import pytest

import harness
import wire
from harness import ALICE, BOB, SERVICE_USER
from privileges import SERVICE, as_service, check_nothing_left, programs_of, run_collector

CAP_NET_ADMIN = 1 << 12
ALL = ("bpf", "perfmon", "net_admin")


@pytest.fixture
def home(place):
    """A directory of the service user's, for his socket."""
    path = place.new_path("home")
    path.mkdir()
    os.chown(path, SERVICE, SERVICE)
    return path


@pytest.fixture
def start(place, home):
    """Starts a collector as the service user; it must end well."""
    started = []

    def run(*options, capabilities=ALL, groups=()):
        started.append(
            harness.Collector(
                as_service(place, capabilities, groups), *options, socket=str(home / "sock")
            )
        )
        return started[-1]

    yield run
    for collector in started:
        collector.stop()
        assert not os.path.exists(collector.socket)


def gid_of(name):
    return grp.getgrnam(name).gr_gid


def connects(actor, uid, count):
    """(port, what makes so many connects to it), both of a user."""
    server = actor(uid=uid)
    port = server.server()
    server.drop_served()
    client = actor(uid=uid)
    return port, lambda: client.connects(count=count, address="127.0.0.1", port=port)


def check_dropped(collector):
    assert collector.status("Uid").split() == [str(SERVICE)] * 4
    assert collector.status("Gid").split() == [str(SERVICE)] * 4
    assert int(collector.status("CapPrm"), 16) & ~CAP_NET_ADMIN == 0
    for never in "CapEff", "CapInh", "CapAmb":
        assert int(collector.status(never), 16) == 0, never
    assert collector.status("NoNewPrivs") == "1"
    assert os.stat(f"/proc/{collector.pid}/status").st_uid == 0  # not dumpable


@pytest.mark.kernels
def test_service_user(start, subscribe, actor):
    """It loads, drops, attaches after that, and shows everybody what is his. He is not in the
    group, which does not matter to a socket for all."""
    collector = start("--group", SERVICE_USER)
    check_dropped(collector)
    made = os.stat(collector.socket)
    assert (made.st_uid, made.st_gid) == (SERVICE, SERVICE)
    assert stat.S_IMODE(made.st_mode) == 0o666
    assert programs_of(SERVICE) and not collector.links()
    makers = {uid: connects(actor, uid, 5) for uid in (SERVICE, ALICE, 0)}
    ports = ",".join(str(port) for port, _ in makers.values())

    def watch(uid, **more):
        return subscribe("-a", "--dport", ports, uid=uid, socket=collector.socket, **more)

    seen = {uid: watch(uid) for uid in (0, SERVICE, ALICE, BOB)}
    seen["member"] = watch(BOB, groups=[gid_of(SERVICE_USER)])
    assert collector.links()
    check_dropped(collector)
    for _, make in makers.values():
        make()
    seen[0].wait_events(45)
    uids = {
        who: [event["connection"]["uid"] for event in client.stopped_events()]
        for who, client in seen.items()
    }
    assert uids[0] == uids["member"] == [SERVICE] * 15 + [ALICE] * 15 + [0] * 15
    assert uids[SERVICE] == [SERVICE] * 15, "the collector's user is a user like others"
    assert uids[ALICE] == [ALICE] * 15
    assert uids[BOB] == []


@pytest.mark.kernels
@pytest.mark.parametrize("capabilities", [("perfmon", "net_admin"), ("bpf", "net_admin"), ()])
def test_left_out(place, home, capabilities):
    done = run_collector(as_service(place, capabilities), "--socket", home / "sock")
    assert done.returncode == 77 and not done.stdout, done
    assert done.stderr.count("\n") == 1, done
    assert "not permitted" in done.stderr, done
    for name in "root", "CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN":
        assert name in done.stderr, done
    check_nothing_left(home)


def test_without_net_admin(start, subscribe, actor):
    """It is for hooks on cgroups; whatever has other hooks works."""
    collector = start(capabilities=("bpf", "perfmon"))
    check_dropped(collector)
    assert int(collector.status("CapPrm"), 16) == 0
    port, make = connects(actor, ALICE, 2)
    watch = subscribe("-a", "--dport", port, uid=ALICE, socket=collector.socket)
    make()
    watch.wait_events(6)
    assert watch.stop() == 0


# ------------------------------------------------------------ the socket's group


def test_mode_that_is_for_the_group(place, home):
    """A socket that the group cannot reach is not what was asked for."""
    done = run_collector(
        as_service(place, ALL), "--socket", home / "sock", "--socket-mode", "0660"
    )
    assert done.returncode == 77 and not done.stdout, done
    assert done.stderr.count("\n") == 1, done
    for name in str(home / "sock"), "0660", f'"{SERVICE_USER}"', str(SERVICE):
        assert name in done.stderr, done
    check_nothing_left(home)


def test_member_of_the_group(start, subscribe):
    gid = gid_of(SERVICE_USER)
    collector = start("--socket-mode", "0660", groups=[gid])
    assert os.stat(collector.socket).st_gid == gid
    watch = subscribe("--dport", 1, uid=ALICE, groups=[gid], socket=collector.socket)
    assert watch.stop() == 0
    with pytest.raises(PermissionError):
        wire.Connection(collector.socket, uid=ALICE)


def test_directory_of_somebody_else(place, home):
    os.chown(home, 0, 0)
    done = run_collector(as_service(place, ALL), "--socket", home / "sock")
    assert done.returncode == 77 and not done.stdout, done
    assert done.stderr.count("\n") == 1 and str(home / "sock") in done.stderr, done
    check_nothing_left(home)
