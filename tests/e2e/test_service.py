# SPDX-License-Identifier: GPL-2.0-only
"""The collector as a service: the socket that it is given, what it tells, its watchdog; and its units, on
paper and run by a systemd."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess

import pytest

import harness
import wire
from conftest import BUILD, ROOT
from harness import ALICE, DEADLINE_S, PYTHON, SERVICE_USER, end_process, wait_until
from privileges import run_collector, started_by

WATCHDOG_S = 1
START_S = 60
UNIT, SOCKET = "netwatch-collector.service", "netwatch.socket"


@pytest.fixture
def listener(place):
    """A listening socket as netwatch.socket makes it."""
    path = str(place.new_path("service"))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        os.chmod(path, 0o666)
        made.listen(128)
        yield made
        assert os.path.exists(path), "it is not the collector's to be removed"


@pytest.fixture
def manager(place):
    """Where it is told things."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(place.new_path("notify")))
        os.chmod(made.getsockname(), 0o777)
        yield made


def hear(manager, seconds=START_S):
    """The next message as a dictionary; None: there is none for so long."""
    if not select.select([manager], [], [], seconds)[0]:
        return None
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())


def activated(place, *sockets):
    """A place whose collector gets these sockets."""
    fds = ",".join(str(one.fileno()) for one in sockets)
    return started_by(place, PYTHON, place.path / "activate.py", fds)


@pytest.fixture
def start(place, listener, manager):
    """Starts collectors on the listener, which tell the manager."""
    started = []

    def run(*options, watchdog_s=None):
        environment = {"NOTIFY_SOCKET": manager.getsockname()}
        if watchdog_s:
            environment["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        started.append(
            harness.Collector(
                activated(place, listener), *options, socket=listener.getsockname(),
                environment=environment, pass_fds=[listener.fileno()],
            )
        )
        return started[-1]

    yield run
    for collector in started:
        if collector.process.returncode is None:
            collector.stop()


# ---------------------------------------------------------------- its socket


def test_socket_is_taken(start, listener, subscribe, actor):
    """It serves on it, makes none of its own beside it, and leaves it when it ends."""
    collector = start()
    server = actor(uid=ALICE)
    port = server.server()
    watch = subscribe("-a", "--dport", port, uid=ALICE, socket=collector.socket)
    actor(uid=ALICE).connects(count=2, address="127.0.0.1", port=port)
    watch.wait_events(6)
    assert watch.stop() == 0
    assert not os.path.exists(f"{collector.socket}.lock")
    collector.stop()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(listener.getsockname())  # and waits for the next one


def test_clients_wait_for_a_restart(start, netwatch, listener):
    """Who connects while no collector runs is served by the next one."""
    first = start()
    first.kill()
    waiting = [netwatch("status", uid=uid, socket=first.socket) for uid in (0, ALICE)]
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(listener.getsockname())
    second = start()
    assert second.pid != first.pid
    for client in waiting:
        assert client.wait() == 0, client
        assert any(line.startswith(b"version") for line in client.out.lines)
    silent.close()


def sockets_of_no_use():
    def plain(family, kind):
        return socket.socket(family, kind)

    yield "datagrams", [plain(socket.AF_UNIX, socket.SOCK_DGRAM)], "UNIX stream"
    yield "TCP", [plain(socket.AF_INET, socket.SOCK_STREAM)], "UNIX stream"
    yield "silent", [plain(socket.AF_UNIX, socket.SOCK_STREAM)], "listen"
    yield "two", [plain(socket.AF_UNIX, socket.SOCK_STREAM) for _ in "ab"], "exactly one"
    yield "none", [], "exactly one"


@pytest.mark.parametrize("kind", ["datagrams", "TCP", "silent", "two", "none", "file"])
def test_other_sockets(place, kind):
    """One sentence and the exit code of a configuration that cannot do it."""
    if kind == "file":
        sockets, named = [open("/dev/null")], "Socket operation on non-socket"
    else:
        sockets, named = next(row[1:] for row in sockets_of_no_use() if row[0] == kind)
    path = place.new_path("sock")
    done = subprocess.run(
        [activated(place, *sockets).collector, "--socket", str(path)], env=place.environment,
        pass_fds=[one.fileno() for one in sockets], capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    for one in sockets:
        one.close()
    assert done.returncode == 78 and not done.stdout, done
    assert done.stderr.count("\n") == 1 and named in done.stderr, done
    assert "service manager" in done.stderr, done
    assert not path.exists()


def test_malformed_environment(place, tmp_path):
    for name in "LISTEN_PID", "WATCHDOG_USEC", "NOTIFY_SOCKET":
        place.environment, before = {**place.environment, name: "x"}, place.environment
        done = run_collector(place, "--socket", tmp_path / "sock")
        place.environment = before
        assert done.returncode == 78 and name in done.stderr, done
        assert not list(tmp_path.iterdir())


def test_not_for_us(start_collector):
    """What was passed to the process that started it."""
    collector = start_collector(
        environment={"LISTEN_PID": "1", "LISTEN_FDS": "1", "WATCHDOG_PID": "1"}
    )
    wire.status(collector.socket)


# ------------------------------------------------------------- what it tells


def test_ready_and_stopping(start, manager):
    collector = start()
    told = hear(manager)
    assert told["READY"] == "1" and collector.socket in told["STATUS"], told
    assert end_process(collector.process) == 0
    assert hear(manager)["STOPPING"] == "1"
    assert hear(manager, 0) is None


def test_a_manager_that_has_gone(start, manager):
    """Clients are served all the same."""
    collector = start()
    os.unlink(manager.getsockname())
    collector.allow("telling the service manager STOPPING=1: ")
    wire.status(collector.socket)
    collector.stop()
    assert "telling the service manager" in collector.text()


def test_watchdog(start, manager, subscribe, actor):
    """Fed while there is nothing to do and while there is much; not by one that hangs."""
    collector = start(watchdog_s=WATCHDOG_S)
    assert "READY" in hear(manager)
    for _ in range(3):
        assert hear(manager) == {"WATCHDOG": "1"}
    server, client = actor(), actor()
    port = server.server()
    server.drop_served()
    watch = subscribe("-a", "--port", port, socket=collector.socket)
    client.tell("connects", count=harness.scaled(1000), address="127.0.0.1", port=port)
    for _ in range(3):
        assert hear(manager) == {"WATCHDOG": "1"}
    client.answer()
    assert watch.stop() == 0

    collector.pause()
    while hear(manager, 0):  # what it said before
        pass
    assert hear(manager, 3 * WATCHDOG_S) is None
    collector.resume()
    assert hear(manager) == {"WATCHDOG": "1"}


# ------------------------------------------------------------------- restrictions


def test_calls_are_restricted(collector):
    """A filter in every thread; tests/unit/test_confine.c tells what it forbids."""
    tasks = os.listdir(f"/proc/{collector.pid}/task")
    assert len(tasks) == 2
    for task in tasks:
        with open(f"/proc/{collector.pid}/task/{task}/status") as file:
            assert re.search(r"^Seccomp:\s*2$", file.read(), re.M), task


# -------------------------------------------------------------------- its units


def needs(*programs):
    gone = [name for name in programs if not shutil.which(name)]
    reason = f"NOT TRIED: no {' and no '.join(gone)} here (package systemd)"
    return pytest.mark.skipif(bool(gone), reason=reason)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A root in which they are installed. (How `make install` does it is seen by `make test-deb`.)"""
    path = tmp_path_factory.mktemp("install")
    for file, place in (
        (ROOT / "collector" / UNIT, "usr/lib/systemd/system"),
        (ROOT / "collector" / SOCKET, "usr/lib/systemd/system"),
        (ROOT / "collector/netwatch.sysusers", "usr/lib/sysusers.d"),
        (BUILD / "netwatch-collector", "usr/sbin"),
    ):
        (path / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, path / place)
    return path


def units(installed):
    return sorted((installed / "usr/lib/systemd/system").iterdir())


@needs("systemd-analyze")
def test_units_are_valid(installed):
    assert [path.name for path in units(installed)] == [
        "netwatch-collector.service", "netwatch.socket",
    ]  # fmt: skip
    # Its programs and the other units are those of the root that it is given.
    for name in "sysinit", "basic", "shutdown", "sockets", "multi-user":
        shutil.copy(f"/lib/systemd/system/{name}.target", units(installed)[0].parent)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", f"--root={installed}",
         "netwatch-collector.service", "netwatch.socket"],
        capture_output=True, text=True,
    )  # fmt: skip
    for path in units(installed):
        if path.suffix == ".target":
            path.unlink()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


@needs("systemd-analyze")
def test_exposure(installed):
    """At most 2.0 of 10."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
         units(installed)[0]],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@needs("systemd-sysusers")
def test_users(installed, tmp_path):
    (tmp_path / "etc").mkdir()
    conf = installed / "usr/lib/sysusers.d/netwatch.sysusers"
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", conf], capture_output=True, text=True
    )
    assert done.returncode == 0, done
    users = (tmp_path / "etc/passwd").read_text().splitlines()
    groups = (tmp_path / "etc/group").read_text().splitlines()
    assert [line.split(":")[0] for line in users] == [SERVICE_USER]
    assert users[0].endswith("/nologin")
    assert {line.split(":")[0] for line in groups} == {SERVICE_USER, "netwatch-http"}


# --------------------------------------------------------- the units, by systemd


@pytest.fixture(scope="module")
def systemd(request):
    import systemd

    if reason := systemd.missing():
        pytest.skip(f"NOT TRIED: the units in a systemd: {reason}")
    made = systemd.Systemd(request.config.netwatch_place)
    yield made
    made.end()


@pytest.fixture
def service(place, systemd):
    """The tree's units under their names, none of them started; the socket's path, which is where
    users of the tests can reach it."""
    import systemd as module

    systemd.install(
        module.SERVICE,
        module.service_unit(place, log="/run/said", WatchdogSec="3", StartLimitBurst="99"),
    )
    path = place.new_path("service")
    text = (module.UNITS / module.SOCKET).read_text()
    systemd.install(module.SOCKET, text.replace(harness.DEFAULT_SOCKET, str(path)))
    systemd.systemctl("daemon-reload")
    yield str(path)
    systemd.systemctl("stop", module.SOCKET, module.SERVICE)
    assert not path.exists(), "RemoveOnStop="
    assert not systemd.pids(module.SERVICE)


def one_pid(systemd):
    return wait_until(lambda: systemd.pids(UNIT), "it runs")[0]


def status_line(pid, name):
    with open(f"/proc/{pid}/status") as file:
        return re.search(rf"^{name}:\s*(.*)$", file.read(), re.M)[1]


def test_started_by_a_client(systemd, service, netwatch):
    """The socket alone is enough: the first client waits for the start."""
    systemd.systemctl("start", SOCKET)
    assert not systemd.pids(UNIT)
    client = netwatch("status", uid=ALICE, socket=service)
    assert client.wait() == 0, client
    shown = systemd.show(UNIT, "ActiveState", "StatusText", "NRestarts")
    assert shown["ActiveState"] == "active" and service in shown["StatusText"], shown


def test_everything_is_in_force(systemd, service, subscribe, actor):
    """All restrictions of the unit, and what is asked of the collector works."""
    systemd.systemctl("start", UNIT)
    pid = one_pid(systemd)
    assert int(status_line(pid, "CapBnd"), 16) == 1 << 12 | 1 << 38 | 1 << 39
    assert int(status_line(pid, "CapPrm"), 16) == 1 << 12
    for name in "CapEff", "CapInh", "CapAmb":
        assert int(status_line(pid, name), 16) == 0, name
    assert status_line(pid, "NoNewPrivs") == "1"
    assert int(status_line(pid, "Seccomp_filters")) > 10, "the unit's and its own"
    assert os.stat(f"/proc/{pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino, \
        "programs on netfilter see the namespace of the collector"
    check = wire.check(service)
    assert all(category.available for category in check.category), check
    mounts = open(f"/proc/{pid}/mounts").read()
    assert re.search(r"^\S+ / \S+ ro,", mounts, re.M), mounts
    assert re.search(r"^\S+ /sys/fs/cgroup cgroup2 ro,", mounts, re.M), mounts
    server = actor(uid=ALICE)
    port = server.server()
    watch = subscribe(
        "-a", "--dport", port, "--events", "conn,packet,retransmit,error,tcpinfo,http",
        uid=ALICE, socket=service,
    )
    actor(uid=ALICE).connects(count=3, address="127.0.0.1", port=port)
    events = watch.wait_events(20)
    assert {"conn", "packet", "tcpinfo"} <= {key for event in events for key in event}
    assert watch.stop() == 0


def test_a_hang_is_ended(systemd, service, netwatch):
    """The watchdog lapses, it is started anew, and a client that connected meanwhile is served."""
    systemd.systemctl("start", UNIT)
    pid = one_pid(systemd)
    os.kill(pid, signal.SIGSTOP)
    client = netwatch("status", uid=ALICE, socket=service)
    assert client.wait() == 0, client
    shown = systemd.show(UNIT, "NRestarts", "MainPID", "ActiveState")
    assert shown["NRestarts"] == "1" and shown["MainPID"] != str(pid), shown


def test_restart(systemd, service, subscribe, netwatch):
    """Its subscriber is told, one that reconnects is served, and both by the same socket."""
    systemd.systemctl("start", UNIT)
    inode = os.stat(service).st_ino
    plain = subscribe("--dport", 1, uid=ALICE, socket=service)
    patient = subscribe("--dport", 1, "--reconnect", uid=ALICE, socket=service)
    systemd.systemctl("restart", UNIT)
    assert plain.wait() == 4, plain
    wait_until(lambda: len(patient.err.lines) > 1 or patient.out.lines, "it says that it is back")
    assert patient.stop() == 0, patient
    assert os.stat(service).st_ino == inode


def test_exit_code_that_stays(systemd, service):
    """What no other start would change is not tried again."""
    text = systemd.path(f"/run/units/{UNIT}").read_text()
    systemd.install(UNIT, text.replace("netwatch-collector\n", "netwatch-collector --nonsense\n"))
    systemd.systemctl("daemon-reload")
    assert systemd.call("systemctl", "--user", "start", UNIT).returncode != 0
    shown = systemd.show(UNIT, "ActiveState", "ExecMainStatus", "NRestarts")
    assert shown == {"ActiveState": "failed", "ExecMainStatus": "2", "NRestarts": "0"}, shown
    assert "nonsense" in systemd.path("/run/said").read_text()
