# SPDX-License-Identifier: GPL-2.0-only
"""Processes of the tests: the collector, the client, the actors that make traffic, and the
network namespaces. Everything is waited for with a deadline and ended by its pid."""

import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from pathlib import Path

import netns
from worker import ALICE, BOB, CAROL, free_port

assert BOB and CAROL  # for the tests
DEADLINE_S = 120  # of whatever is waited for, on a machine that is busy with other things
SERVICE_USER = "netwatch"
DEFAULT_SOCKET = "/run/netwatch.sock"
PYTHON = "/usr/bin/python3"
V4, V6 = ("10.99.0.1", "10.99.0.2"), ("fd00:99::1", "fd00:99::2")
# What a test of connections asks for: without --events, whatever the collector has of the
# default comes too.
CONN = "subscribe", "--events", "conn"
# Of a collector's options. Whoever is slow, on a busy machine, loses nothing; tests that want
# losses say how soon.
ROOMY = "--queue", "64M", "--ring", "16M"
# How many of what is done many times; less where all is slow (tests/kernels/guest.sh).
SCALE = float(os.environ.get("NETWATCH_SCALE", "1"))
FULL = "NETWATCH_FULL" in os.environ  # what takes minutes is tried as often as it is to be
SANITIZED = "san" in os.environ.get("B", "")  # sanitizers take memory, and keep it


def scaled(count):
    return max(1, round(count * SCALE))


def wait_until(condition, what, seconds=DEADLINE_S):
    """The first true value of condition(), which leaves half of a CPU to what it waits for."""
    begin = time.monotonic()
    end = begin + seconds
    while not (value := condition()):
        now = time.monotonic()
        assert now < end, f"waited {seconds} s in vain: {what}"
        time.sleep(max(0.01, now - begin))
        begin = time.monotonic()
    return value


def with_more_time(attempt, *seconds):
    """The first true value of attempt() with one of these times: what a test gives a time to may
    take longer on a busy machine."""
    for time_s in seconds:
        if value := attempt(time_s):
            return value
    raise AssertionError(f"not even in {time_s} s")


def in_time(attempt, seconds, tries=20):
    """What attempt() returns, which holds if it took less than that."""
    for _ in range(tries):
        begin = time.monotonic()
        value = attempt()
        if time.monotonic() - begin < seconds:
            return value
    raise AssertionError(f"this machine took {seconds} s and more, {tries} times")


def link(one, other):
    """A veth pair between two namespaces, with addresses of both families."""
    netns.ip(None, f"link add pair netns {one} type veth peer name pair netns {other}")
    for namespace, v4, v6 in zip((one, other), V4, V6):
        netns.ip(
            namespace, f"address add {v4}/24 dev pair", f"address add {v6}/64 dev pair nodad",
            "link set pair up",
        )


class Lines:
    """Reads a pipe to its end in a thread, so that no writer waits for the test."""

    def __init__(self, pipe):
        self.lines = []
        self.pipe = pipe
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.pipe:
            self.lines.append(line)

    def finish(self):
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive(), "the pipe has no end"
        self.pipe.close()
        return self.lines

    def text(self):
        return b"".join(self.lines).decode(errors="backslashreplace")


def end_process(process, number=signal.SIGTERM):
    """Exit code after a signal; killed, and an error, when it does not end."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise AssertionError(f"{process.args} did not end by signal {number}") from None


class Collector:
    """A netwatch-collector on a socket of its own."""

    def __init__(self, place, *options, socket=None, environment=(), **more):
        self.socket = socket or str(place.new_path("sock"))
        self.allowed = []
        self.place = place
        self.process = place.popen(
            [place.collector, "--socket", self.socket, "--log-level", "warn", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**place.environment, **dict(environment)},
            **more,
        )
        self.said = Lines(self.process.stdout)
        self.pid = self.process.pid
        try:
            wait_until(self.answers, "the collector answers")
        except BaseException:
            self.kill()
            raise

    def answers(self):
        import wire

        assert self.process.poll() is None, f"ended: {self.process.returncode} {self.text()}"
        try:
            wire.Connection(self.socket).close()
            return True
        except (OSError, wire.Closed):
            return False

    def text(self):
        return self.said.text()

    def allow(self, pattern):
        """A warning that the test provokes."""
        self.allowed.append(pattern)

    def unexpected(self):
        return [
            line
            for line in self.text().splitlines()
            if not any(re.search(pattern, line) for pattern in self.allowed)
        ]

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: self.status("State").startswith("T"), "the collector stops")

    def resume(self):
        os.kill(self.pid, signal.SIGCONT)

    def status(self, key):
        """A line of /proc/PID/status."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        return re.search(rf"^{key}:[ \t]*(.*)$", text, re.M)[1]

    def links(self):
        """BPF links that it holds."""
        held = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                held.append(os.readlink(fd))
            except FileNotFoundError:
                pass
        return [name for name in held if re.match(r"anon_inode:\[?bpf([_-]raw.*|[_-]link)", name)]

    def cpu(self):
        """(nanoseconds on a CPU, times it was switched), over all threads."""
        spent = switched = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            spent += int((task / "schedstat").read_text().split()[0])
            text = (task / "status").read_text()
            switched += sum(map(int, re.findall(r"ctxt_switches:\s*(\d+)", text)))
        return spent, switched

    def waited_s(self):
        """Seconds for which its first thread could have run and got no CPU."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9

    def descriptors(self):
        """How many it would take to have the highest that it has."""
        return 1 + max(int(fd.name) for fd in Path(f"/proc/{self.pid}/fd").iterdir())

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it as a service manager does; it must end well and have nothing to say."""
        if self.process.poll() is None:
            self.resume()
        code = end_process(self.process)
        self.said.finish()
        assert code == 0, f"collector's exit code {code}: {self.text()}"
        assert not self.unexpected(), f"the collector said: {self.text()}"


class Client:
    """A running netwatch, as root or as a user."""

    def __init__(self, place, socket, *args, uid=0, gid=None, groups=(), env=None, **options):
        gid = uid if gid is None else gid
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        self.process = subprocess.Popen(
            [place.client, "--socket", socket, *map(str, args)],
            user=uid,
            group=gid,
            extra_groups=list(groups),
            env={**place.environment, **(env or {})},
            cwd="/",
            **options,
        )
        self.pid = self.process.pid
        self.err = Lines(self.process.stderr) if self.process.stderr else None
        self.out = Lines(self.process.stdout) if self.process.stdout else None

    def wait_subscribed(self):
        def live():
            if any(line.startswith(b"subscribed") for line in list(self.err.lines)):
                return True
            code = self.process.poll()
            assert code is None, f"exit code {code}: {self.err.text()}"
            return False

        wait_until(live, "the subscription is live")
        return self

    def events(self):
        """The whole JSON lines so far."""
        return [json.loads(line) for line in list(self.out.lines) if line.endswith(b"\n")]

    def wait_events(self, count):
        """At least so many."""
        wait_until(
            lambda: len(self.out.lines) >= count or self.process.poll() is not None,
            f"{count} events",
        )
        assert len(self.out.lines) >= count, f"{len(self.out.lines)}, not {count} events: {self}"
        return self.events()

    def wait(self):
        """Exit code, when it ends by itself."""
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"does not end: {self}") from None
        return self.finish(code)

    def stop(self, number=signal.SIGTERM):
        """Exit code after a signal, with all output read."""
        return self.finish(end_process(self.process, number))

    def finish(self, code):
        for stream in self.err, self.out:
            if stream:
                stream.finish()
        return code

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stopped_events(self):
        """Ends it well; all its events."""
        code = self.stop()
        assert code == 0, f"exit code {code}: {self}"
        return self.events()

    def totals(self):
        """The object of --stats, after the end."""
        return json.loads([line for line in self.err.lines if line.startswith(b"{")][-1])

    def __str__(self):
        return f"{self.process.args} said {self.err.text() if self.err else 'that'}"


class Actor:
    """A process of a user, in a network namespace, that makes traffic: actor.py."""

    def __init__(self, place, uid=ALICE, namespace=None, comm=None):
        self.process = place.forks.start("actor")
        self.pid = self.process.pid
        self.uid = uid
        if namespace:
            self.enter(path=f"/run/netns/{namespace}")
        if comm is not None:
            self.rename(name=comm.hex())
        if uid:
            self.become(uid=uid)
        self.comm = bytes.fromhex(self.whoami()["comm"])

    def tell(self, command, **options):
        """Begins a command; answer() waits for its end."""
        self.process.stdin.write(json.dumps([command, options]).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        # One line for one command, so nothing can wait in the buffer.
        assert select.select([self.process.stdout], [], [], DEADLINE_S)[0], "the actor hangs"
        line = self.process.stdout.readline()
        assert line, "the actor ended"
        answer = json.loads(line)
        if "ok" not in answer:
            raise AssertionError(answer["error"])
        return answer["ok"]

    def ask(self, command, options):
        self.tell(command, **options)
        return self.answer()

    def __getattr__(self, command):
        return lambda **options: self.ask(command, options)

    def listen(self, **options):
        """At a port of this process of tests, if not said otherwise."""
        return self.ask("listen", {"port": free_port()} | options)

    def refused_port(self, **options):
        return self.ask("refused_port", {"port": free_port()} | options)

    def server(self, address="127.0.0.1", dual=False, **options):
        """A port at which a server answers; with mode, workers, answer, uid of `serve`."""
        listener = self.listen(address=address, dual=dual)
        self.serve(fd=listener["fd"], **options)
        return listener["port"]

    def end(self):
        self.process.end()


def sum_lost(events, cause=None):
    """In-stream losses of JSON events."""
    lost = [event["lost"] for event in events if "lost" in event]
    return sum(entry["count"] for entry in lost if cause in (None, entry["cause"]))
