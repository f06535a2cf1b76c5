# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures: a place that all users can read with copies of the programs in it, and what the
tests start there, which ends with them."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import forks
import harness
import netns
from harness import wait_until

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / os.environ.get("B", "build")
IN_GUEST = "NETWATCH_GUEST" in os.environ  # tests/kernels/guest.sh: starting one takes seconds


class Place:
    """A directory for sockets, with what is run: copies, so that a build may go on."""

    def __init__(self, path):
        self.path = path
        self.numbers = itertools.count()
        self.collector = str(path / "netwatch-collector")
        self.client = str(path / "netwatch")
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(path),
            # The leak check wants to trace, which the collector forbids.
            "ASAN_OPTIONS": "detect_leaks=0",
        }
        self.forks = forks.Server(harness.PYTHON, path / "forks.py", self.environment)

    # What starts a collector; privileges.py and systemd.py have others.
    popen = staticmethod(subprocess.Popen)

    def new_path(self, name):
        return self.path / f"{name}{next(self.numbers)}"


def generate_protocol(path):
    subprocess.run(
        ["protoc", f"-I{ROOT}/proto", "-I/usr/include", f"--python_out={path}", "netwatch.proto"],
        check=True,
    )
    sys.path.insert(0, str(path))


def make_place(config, path):
    """With NETWATCH_TEST_AS_SERVICE=1 collectors are started by a systemd, from the tree's units."""
    if os.environ.get("NETWATCH_TEST_AS_SERVICE", "0") != "1":
        return Place(path)
    import systemd

    if reason := systemd.missing():
        raise pytest.UsageError(f"NETWATCH_TEST_AS_SERVICE: {reason}")
    place = type("PlaceOfServices", (systemd.ServicePlace, Place), {})(path)
    config.add_cleanup(lambda: systemd.ServicePlace.systemd and systemd.ServicePlace.systemd.end())
    return place


def hand_no_signals_down():
    """Whoever starts the tests may ignore signals, as nohup and a shell's & do. What they start
    does not, whereas the tests go on."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_configure(config):
    """Before the tests are collected, since they import the generated module."""
    hand_no_signals_down()
    config.addinivalue_line("markers", "own_collector: not the one that the file's tests share")
    config.addinivalue_line("markers", "alone: measures what tests beside it would change, or would change them")
    config.addinivalue_line("markers", "kernels: depends on it most, see tests/kernels/run.py")
    if os.geteuid() != 0:
        raise pytest.UsageError("the end-to-end tests need root: sudo make test")
    try:
        pwd.getpwnam(harness.SERVICE_USER)
    except KeyError:
        raise pytest.UsageError("no user netwatch; `make test` creates it") from None
    path = Path(tempfile.mkdtemp(prefix="nw-test-"))
    path.chmod(0o755)
    config.add_cleanup(lambda: shutil.rmtree(path, ignore_errors=True))
    for program in "netwatch-collector", "netwatch":
        shutil.copy(BUILD / program, path)
    for script in [*HERE.glob("*.py"), *HERE.glob("*.js")]:
        shutil.copy(script, path)
    generate_protocol(path)
    config.netwatch_place = make_place(config, path)
    config.add_cleanup(config.netwatch_place.forks.end)


def pytest_collection_modifyitems(config, items):
    """NETWATCH_MARKED=marker: of files with tests that are marked so only these."""
    marker = os.environ.get("NETWATCH_MARKED")
    if not marker:
        return
    files = {item.path for item in items if item.get_closest_marker(marker)}
    kept, rest = [], []
    for item in items:
        wanted = item.path not in files or item.get_closest_marker(marker)
        (kept if wanted else rest).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=rest)


@pytest.fixture
def place(request):
    return request.config.netwatch_place


@pytest.fixture
def start_collector(place):
    """Starts collectors with options; they must end well."""
    started = []

    def start(*options, **more):
        collector = harness.Collector(place, *options, **more)
        started.append(collector)
        return collector

    yield start
    failures = []
    for collector in started:
        if collector.process.returncode is not None:
            continue
        try:
            collector.stop()
        except AssertionError as error:
            failures.append(error)
    if failures:
        raise failures[0]


@pytest.fixture(scope="session" if IN_GUEST else "module")
def shared_collector(request):
    collector = harness.Collector(request.config.netwatch_place, *harness.ROOMY)
    if IN_GUEST:
        with open(os.environ["NETWATCH_CHECK"], "wb") as told:
            command = [collector.place.client, "--socket", collector.socket, "check", "-o", "json"]
            subprocess.run(command, stdout=told, check=True)
    yield collector
    collector.stop()


@pytest.fixture
def collector(request):
    """The collector of the file, with nobody subscribed; a new one for a test that ends it,
    measures it, or does what it would remember: @pytest.mark.own_collector."""
    if request.node.get_closest_marker("own_collector"):
        return request.getfixturevalue("start_collector")()
    shared = request.getfixturevalue("shared_collector")
    assert shared.process.poll() is None, f"a test before ended it: {shared.text()}"
    wait_until(lambda: not shared.links(), "the tests before have gone")
    return shared


@pytest.fixture
def stub(place):
    """A collector that says what the test has it say."""
    from stub import Stub  # needs what pytest_configure generates

    made = Stub(place.new_path("stub"))
    yield made
    made.close()


@pytest.fixture
def netwatch(request, place):
    """Runs the client: netwatch(*args, uid=...), at the collector of the test or at socket."""
    running = []

    def run(*args, socket=None, **options):
        socket = socket or request.getfixturevalue("collector").socket
        client = harness.Client(place, socket, *args, **options)
        running.append(client)
        return client

    yield run
    for client in running:
        client.kill()


@pytest.fixture
def subscribe(netwatch):
    """A live `netwatch subscribe --events conn -o json`."""

    def run(*args, **options):
        client = netwatch(*harness.CONN, "-v", "-o", "json", *args, **options)
        return client.wait_subscribed()

    return run


@pytest.fixture
def actor(place):
    """Starts processes that make traffic."""
    running = []

    def start(*args, **options):
        made = harness.Actor(place, *args, **options)
        running.append(made)
        return made

    yield start
    for made in running:
        made.end()


@pytest.fixture
def traffic(actor):
    from formats import Traffic

    return Traffic(actor)


@pytest.fixture
def new_namespace(place):
    """Makes network namespaces with their loopback up; a test may delete them itself."""
    made = []

    def make():
        made.append(f"nw-test-{os.getpid()}-{next(place.numbers)}")
        netns.make(made[-1])
        return made[-1]

    yield make
    for name in made:
        if os.path.exists(f"/run/netns/{name}"):
            netns.delete(name)


@pytest.fixture
def namespace(new_namespace):
    return new_namespace()


@pytest.fixture
def serving(collector, actor):
    """A collector with a subscriber of before, who must get his events afterwards too."""
    server = actor()
    port = server.server()
    server.drop_served()
    client = actor()
    import wire

    with wire.Connection(collector.socket) as watch:
        watch.subscribe(rport=wire.ports(port))
        yield collector
        client.connects(count=2, address="127.0.0.1", port=port)
        assert len(watch.events(6)) == 6
        assert watch.unsubscribe()[1].matched == 6
    status = wire.status(collector.socket)
    assert status.uptime_s >= 0 and [entry.name for entry in status.category]
