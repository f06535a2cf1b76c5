# SPDX-License-Identifier: GPL-2.0-only
"""netwatch subscribe ... -- COMMAND: starts when the subscription is live, ends with it, and
finds the world as netwatch found it."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

import netwatch_pb2 as pb
from harness import ALICE, CONN, PYTHON, sum_lost, wait_until, with_more_time
from terminal import Terminal

WATCH = *CONN, "-o", "json", "--no-existing"
SHOW_SIGNALS = "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"
OF_LIBC = 1 << 32 - 1 | 1 << 33 - 1
ROUNDS = 50

# One SIGINT, and whether another one follows soon.
COUNT_INTERRUPTS = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
signal.sigwait([signal.SIGINT])
print("one", flush=True)
if signal.sigtimedwait([signal.SIGINT], 0.3):
    print("another", flush=True)
"""


@pytest.fixture
def port(actor):
    server = actor()
    number = server.server(workers=2)
    server.drop_served()
    return number


@pytest.fixture
def run(netwatch):
    """A subscriber to nothing, with COMMAND."""

    def start(*command, options=(), **more):
        return netwatch(*WATCH, "--dport", 1, *options, "--", *command, uid=ALICE, **more)

    return start


def connect(port):
    """COMMAND that makes one connection and waits for its end."""
    return "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port} 3>&-"


def said(client, word):
    wait_until(
        lambda: word in client.err.text() or client.process.poll() is not None, f"{word} is said"
    )
    assert word in client.err.text(), client


# ---------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    "command, code, message",
    [
        (["true"], 0, None),
        (["sh", "-c", "exit 7"], 7, None),
        (["sh", "-c", "kill -KILL $$"], 128 + 9, None),
        (["sh", "-c", "kill -TERM $$"], 128 + 15, None),
        (["/no/such/program"], 127, 'cannot run "/no/such/program": No such file or directory'),
        (["nw-no-such-program"], 127, 'cannot run "nw-no-such-program": No such file'),
        (["/etc/passwd"], 126, 'cannot run "/etc/passwd": Permission denied'),
        (["/"], 126, 'cannot run "/": Permission denied'),
    ],
)
def test_exit_code(run, command, code, message):
    client = run(*command)
    assert client.wait() == code, client
    assert not client.out.lines
    assert (message or "") in client.err.text()
    assert bool(client.err.lines) == bool(message)


def test_not_found_behind_a_closed_directory(run, place):
    """A directory of PATH that is not for us, such as root's, does not hide what there is not."""
    closed = Path(place.new_path("closed"))
    closed.mkdir(mode=0o700)
    env = {"PATH": f"{closed}:{os.environ['PATH']}"}
    client = run("nw-no-such-program", env=env)
    assert client.wait() == 127, client
    assert 'cannot run "nw-no-such-program": No such file' in client.err.text()
    assert run("true", env=env).wait() == 0
    plain = Path(place.new_path("open"))
    plain.mkdir()
    (plain / "nw-not-executable").touch()
    env = {"PATH": f"{closed}:{plain}:{os.environ['PATH']}"}
    assert run("nw-not-executable", env=env).wait() == 126


def test_usage(netwatch, run, collector):
    assert run("true", options=["--no-follow"]).wait() == 2
    for words in ["list", "--", "true"], ["--"], ["status", "--"]:
        assert netwatch(*words).wait() == 2


def test_not_started_when_refused(run, place):
    """What cannot be subscribed is not waited for."""
    assert run("echo", "started", options=["--uid", 0]).wait() == 77
    client = run("echo", "started", socket=str(place.path / "nobody"))
    assert client.wait() == 3
    assert "started" not in client.err.text()


def test_not_started_when_told_to_end(netwatch, stub):
    """The signal came before the subscription was live."""
    client = netwatch("subscribe", "--", "echo", "started", socket=stub.path)
    peer = stub.accept()
    peer.say_hello()
    peer.take("subscribe")
    os.kill(client.pid, signal.SIGTERM)
    peer.take("unsubscribe")
    peer.say(subscribed=pb.Subscribed())
    peer.bye()
    assert client.wait() == 0
    assert client.err.text() == ""


# ------------------------------------------------------- what COMMAND finds


def test_streams(run):
    """Its stdout and stderr are ours; its stdin is what we got."""
    client = run("sh", "-c", "echo out; echo err >&2; cat", stdin=subprocess.PIPE)
    client.process.stdin.write(b"passed through\n")
    client.process.stdin.close()
    assert client.wait() == 0
    assert client.err.lines == [b"out\n", b"err\n", b"passed through\n"]
    assert not client.out.lines


def signals(client):
    """(blocked, ignored) masks, without what the C library keeps to itself."""
    assert client.wait() == 0, client
    return [int(word, 16) & ~OF_LIBC for word in re.findall(r"\t(\w+)", client.err.text())]


def test_signals_and_files(run):
    """No mask, no ignored signal, and no descriptor of ours."""
    assert signals(run(*SHOW_SIGNALS)) == [0, 0]
    client = run("ls", "/proc/self/fd")
    assert client.wait() == 0
    assert client.err.text().split() == ["0", "1", "2", "3"]  # the last one is its own


def test_masks_of_before(run):
    """What whoever started us blocked or ignored stays so."""

    def before():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    blocked, ignored = signals(run(*SHOW_SIGNALS, preexec_fn=before))
    assert blocked == 1 << signal.SIGUSR1 - 1 | 1 << signal.SIGTERM - 1
    assert ignored == 1 << signal.SIGPIPE - 1 | 1 << signal.SIGHUP - 1


# ---------------------------------------------------------------- the events


def test_first_connection_is_seen(netwatch, port):
    """It starts when the subscription is live, and ends with all that it did on stdout."""
    for _ in range(ROUNDS):
        client = netwatch(*WATCH, "--dport", port, "--", *connect(port), uid=ALICE)
        assert client.wait() == 0, client
        assert [
            (event["conn"]["event"], event["connection"]["comm"]) for event in client.events()
        ] == [("OPEN", "bash"), ("ESTABLISHED", "bash")]


def test_existing_comes_before(netwatch, actor, port):
    """In one pipe: what was there, then the line that it is live, then what COMMAND says."""
    actor().connect(address="127.0.0.1", port=port)
    client = netwatch(
        *CONN, "-v", "-H", "--dport", port, "--", "echo", "started",
        uid=ALICE, stderr=subprocess.STDOUT,
    )
    assert client.wait() == 0
    lines = [line.decode() for line in client.out.lines]
    assert len(lines) == 3 and "EXISTING" in lines[0], lines
    assert lines[1].startswith("subscribed") and lines[2] == "started\n"


def test_count_waits_for_command(netwatch, port):
    client = netwatch(
        *WATCH, "-c", 1, "--dport", port, "--",
        "sh", "-c", f"{' '.join(connect(port)[:2])} '{connect(port)[2]}'; read line; exit 3",
        uid=ALICE, stdin=subprocess.PIPE,
    )
    client.wait_events(1)
    wait_until(lambda: not sockets(client), "the subscription is over")
    assert client.process.poll() is None
    client.process.stdin.close()
    assert client.wait() == 3, client
    assert len(client.events()) == 1


def test_count_of_existing_starts_it(netwatch, actor, port):
    """All that is to be printed was there before: COMMAND runs all the same."""
    actor().connect(address="127.0.0.1", port=port)
    client = netwatch(
        *CONN, "-o", "json", "-c", 1, "--dport", port, "--", "sh", "-c", "echo ran; exit 3",
        uid=ALICE,
    )
    assert client.wait() == 3, client
    assert client.err.text() == "ran\n" and len(client.events()) == 1


def sockets(client):
    """Descriptors to the collector."""
    held = []
    for fd in Path(f"/proc/{client.pid}/fd").iterdir():
        try:
            held.append(os.readlink(fd))
        except FileNotFoundError:
            pass
    return [name for name in held if name.startswith("socket:")]


def test_duration_ends_command(run):
    assert run("sleep", "600", options=["--duration", "300ms"]).wait() == 0
    script = 'trap "echo got TERM; kill %1; exit $0" TERM; echo ready; sleep 60 & wait'

    def code_of(code, seconds):
        client = run("bash", "-c", script, str(code), options=["--duration", f"{seconds}s"])
        told = client.wait()
        if client.err.text() == "ready\ngot TERM\n":
            return [told]
        assert client.err.text() in ("", "ready\n"), client  # before the trap, or within it

    for code in 0, 3:
        assert with_more_time(lambda seconds: code_of(code, seconds), 0.3, 3, 30) == [code]


# --------------------------------------------------------------------- ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_reaches_command(run, number):
    client = run("sh", "-c", "echo ready; exec sleep 60")
    said(client, "ready")
    assert client.stop(number) == 0, client


def test_command_may_take_its_time(run):
    """One signal, however long it takes; its own code is the exit code."""
    client = run(PYTHON, "-c", COUNT_INTERRUPTS + "sys.exit(4)")
    said(client, "ready")
    assert client.stop(signal.SIGINT) == 4
    assert client.err.text() == "ready\none\n"


def test_interrupt_key(netwatch, collector):
    """The terminal sends it to both, and netwatch does not send it once more."""
    terminal = Terminal(80)
    client = netwatch(
        *WATCH, "--dport", 1, "--", PYTHON, "-c", COUNT_INTERRUPTS,
        stdin=terminal.stdout, stdout=terminal.stdout, start_new_session=True,
        preexec_fn=terminal.control,
    )
    terminal.close()
    said(client, "ready")
    os.kill(client.pid, signal.SIGSTOP)  # or else two signals may become one
    wait_until(lambda: "\nState:\tT" in Path(f"/proc/{client.pid}/status").read_text(), "stopped")
    terminal.press(b"\x03")
    said(client, "one")
    os.kill(client.pid, signal.SIGCONT)
    assert client.wait() == 0, client
    assert client.err.text() == "ready\none\n"
    terminal.text()


def test_reader_is_gone(netwatch, port):
    """`| head -1`: SIGPIPE, but not before COMMAND has ended."""
    read_end, write_end = os.pipe()
    client = netwatch(
        *WATCH, "--dport", port, "--", "sh", "-c", "echo ready; read line; echo bye",
        uid=ALICE, stdin=subprocess.PIPE, stdout=write_end,
    )
    os.close(write_end)
    said(client, "ready")
    os.close(read_end)
    wait_until(lambda: not sockets(client), "the client has noticed")
    assert client.process.poll() is None
    client.process.stdin.close()
    assert client.wait() == -signal.SIGPIPE, client
    assert client.err.text() == "ready\nbye\n"


@pytest.mark.parametrize("code, told", [(0, 5), (9, 9)])
def test_full_disk(netwatch, port, code, told):
    with open("/dev/full", "wb") as full:
        client = netwatch(
            *WATCH, "--dport", port, "--", "bash", "-c", f"{connect(port)[2]}; exit {code}",
            uid=ALICE, stdout=full,
        )
        assert client.wait() == told, client
    assert "cannot write the output" in client.err.text()


# -------------------------------------------------------------------- losses


def test_fail_on_loss(start_collector, netwatch, port):
    """Events that found the ring full: 6, unless COMMAND has another code."""
    collector = start_collector("--ring", "64K")
    script = (
        f"echo ready; read go; for i in {{1..700}}; do {connect(port)[2]}; done; "
        "echo flooded; read end; exit $0"
    )
    for code, options, exit_code in (
        (0, ["--fail-on-loss"], 6), (0, [], 0), (7, ["--fail-on-loss"], 7)
    ):
        client = netwatch(
            *WATCH, "-a", "--dport", port, *options, "--", "bash", "-c", script, str(code),
            uid=ALICE, stdin=subprocess.PIPE, bufsize=0, socket=collector.socket,
        )
        said(client, "ready")
        collector.pause()
        client.process.stdin.write(b"\n")
        said(client, "flooded")
        collector.resume()
        client.process.stdin.close()
        assert client.wait() == exit_code, client
        assert sum_lost(client.events()) > 0
        assert ("events were lost" in client.err.text()) == (exit_code == 6)


def test_no_loss(netwatch, port):
    client = netwatch(
        *WATCH, "--fail-on-loss", "--dport", port, "--", *connect(port), uid=ALICE
    )
    assert client.wait() == 0 and len(client.events()) == 2


def test_reconnect_starts_it_once(netwatch, stub):
    client = netwatch(
        *CONN, "-v", "--reconnect", "--", "sh", "-c", "echo started; read line; exit 2",
        socket=stub.path, stdin=subprocess.PIPE,
    )
    stub.live(epoch=1).close()
    said(client, "started")
    peer = stub.live(epoch=2)
    wait_until(lambda: client.err.text().count("subscribed") == 2, "it is live again")
    client.process.stdin.close()
    peer.finish()
    assert client.wait() == 2, client
    assert client.err.text().count("started") == 1
