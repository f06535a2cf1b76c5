# SPDX-License-Identifier: GPL-2.0-only
"""netwatch top: its numbers, held against ss and against what the traffic counts itself; whose
connections it shows; the terminal, its keys, and that it is given back however top ends."""

import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import time
from itertools import pairwise

import pytest

import netwatch_pb2 as pb
from harness import ALICE, BOB, DEADLINE_S, scaled, wait_until, with_more_time
from reports import pair_of
from terminal import Screen, Terminal
from test_conn import seconds

UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
TITLES = ["PROCESS", "USER", "LOCAL", "REMOTE", "STATE", "ROLE", "RECV/S", "SENT/S", "RTT", "CWND",
          "RETR", "+RETR", "BACKLOG", "DROPS", "AGE"]


def rate(text):
    """1.23k -> 1230; - -> None"""
    if text == "-":
        return None
    number, unit = re.fullmatch(r"([\d.]+)([kMG]?)", text).groups()
    return float(number) * UNITS[unit]


class Picture:
    """One table: .head, .rows as dictionaries by title."""

    def __init__(self, text):
        self.text = text
        self.head, titles, *lines = text.splitlines()
        assert titles.split() == TITLES, titles
        self.rows = [dict(zip(TITLES, line.split())) for line in lines]
        assert all(len(line.split()) == len(TITLES) for line in lines), text

    def of(self, told):
        """The row of that end of a connection."""
        local = f"{told['laddr']}:{told['lport']}"
        row, = [row for row in self.rows if row["LOCAL"] == local and row["REMOTE"] != "-"]
        return row

    def sum(self, name):
        return rate(re.search(rf"  {name} (\S+)/s", self.head)[1])

    def lost(self):
        return int(re.search(r"  lost (\d+)", self.head)[1])


def pictures(client):
    """Of a client that has ended."""
    return [Picture(text) for text in client.out.text().strip("\n").split("\n\n")]


@pytest.fixture
def pair(actor):
    """Two ends of a connection between processes of ALICE, and its listener."""
    server, client = actor(uid=ALICE, comm=b"a-server"), actor(uid=ALICE, comm=b"a-client")
    listener = server.listen(backlog=7)
    ours, theirs = pair_of(server, client, listener)
    client.send(fd=ours["fd"], count=1)
    server.receive(fd=theirs["fd"], count=1)
    return server, client, listener, ours, theirs


# -------------------------------------------------------------------- the numbers


def test_who_is_there(netwatch, pair):
    server, client, listener, ours, theirs = pair
    run = netwatch("top", "-c", 2, "--interval", "200ms", "--port", listener["port"], uid=ALICE)
    assert run.wait() == 0 and not run.err.text(), run
    first, second = pictures(run)
    for picture in first, second:
        assert len(picture.rows) == 3
        assert re.match(r"\d\d:\d\d:\d\d  your sockets  ", picture.head)
        assert picture.head.endswith("  3 connections: ESTABLISHED 2, LISTEN 1"), picture.head
        assert picture.lost() == 0
        mine, other = picture.of(ours), picture.of(theirs)
        assert mine["PROCESS"] == f"a-client[{client.pid}]"
        assert other["PROCESS"] == f"a-server[{server.pid}]"
        assert mine["REMOTE"] == other["LOCAL"] and mine["LOCAL"] == other["REMOTE"]
        assert mine["USER"] == other["USER"] == str(ALICE)
        assert mine["STATE"] == "ESTABLISHED" and mine["RTT"].endswith("s")
        waiting, = [row for row in picture.rows if row["STATE"] == "LISTEN"]
        assert waiting["BACKLOG"] == "0/7" and waiting["REMOTE"] == "-" == waiting["RECV/S"]
        assert waiting["DROPS"] == "0" and mine["DROPS"] == "-"
    assert run.out.text().count("\n\n") == 1 and b"\x1b" not in b"".join(run.out.lines)


def bytes_by_ss(told, name):
    out = subprocess.run(
        ["ss", "-tinH", f"sport = :{told['lport']} and dport = :{told['rport']}"],
        check=True, capture_output=True, text=True,
    ).stdout
    found = re.search(rf"\b{name}:(\d+)", out)
    return int(found[1]) if found else 0


def rates_of(events, told, name):
    """From each report to the next, by its counters and its times."""
    mine = [event for event in events if int(event["connection"]["id"]) == told["id"]]
    return [
        (after["tcpinfo"][name] - before["tcpinfo"][name])
        / (seconds(after["time"]) - seconds(before["time"]))
        for before, after in pairwise(mine)
    ]


def sent_of(run, told):
    """Its rate in each whole picture so far; unknown: 0."""
    *whole, _ = run.out.text().split("\n\n")
    return [rate(Picture(text).of(told)["SENT/S"]) or 0 for text in whole]


def test_rates(netwatch, pair):
    """Each rate is what two reports say; and of what these count, ss has the same."""
    server, client, listener, ours, theirs = pair
    both = "--interval", "500ms", "--port", listener["port"]
    watch = netwatch("subscribe", "--events", "tcpinfo", "-o", "json", "-v", *both, uid=ALICE)
    watch.wait_subscribed()
    run = netwatch("top", *both, uid=ALICE)
    wait_until(lambda: len(run.out.lines) >= 5, "the first picture")
    begin = time.monotonic()
    while time.monotonic() - begin < 3 or sum(sent > 0 for sent in sent_of(run, ours)) < 5:
        client.send(fd=ours["fd"], count=20_000)
        server.receive(fd=theirs["fd"], count=20_000)
        server.send(fd=theirs["fd"], count=300)
        client.receive(fd=ours["fd"], count=300)
    wait_until(lambda: all(sent_of(run, end)[-1] == 0 for end in (ours, theirs)), "it is over")
    assert run.stop(signal.SIGINT) == 0, run
    events, told = watch.stopped_events(), pictures(run)
    for end in ours, theirs:
        last = [event for event in events if int(event["connection"]["id"]) == end["id"]][-1]
        for name, title in ("bytes_acked", "SENT/S"), ("bytes_received", "RECV/S"):
            assert last["tcpinfo"][name] == bytes_by_ss(end, name) > 0
            known = rates_of(events, end, name)
            shown = [rate(picture.of(end)[title]) for picture in told]
            shown = [value for value in shown if value is not None]
            assert sum(value > 0 for value in shown) >= 4 and shown[-1] == 0, shown
            for value in shown:
                assert any(value == pytest.approx(one, rel=0.006, abs=1) for one in known), value
    for picture in told:
        rows = [row for row in picture.rows if row["RECV/S"] != "-"]
        for name, title in ("recv", "RECV/S"), ("sent", "SENT/S"):
            total = sum(rate(row[title]) for row in rows)
            assert picture.sum(name) == pytest.approx(total, rel=0.01)


def test_short_connections(netwatch, actor):
    """They come and go between two pictures, and all their bytes are in the sums."""
    server, client = actor(uid=ALICE), actor(uid=ALICE)
    port = server.server(answer=5000)
    server.drop_served()
    run = netwatch("top", "--interval", "300ms", "--port", port, uid=ALICE)
    wait_until(lambda: len(run.out.lines) >= 3, "the first picture")
    count = scaled(300)
    client.connects(count=count, address="127.0.0.1", port=port, payload=2000)
    shown = len(run.out.lines)
    wait_until(lambda: len(run.out.lines) >= shown + 8, "two more pictures")
    assert run.stop() == 0, run
    for name in "recv", "sent":
        total = sum(picture.sum(name) for picture in pictures(run)) * 0.3
        assert total == pytest.approx(count * 7000, rel=0.05), name
    last = pictures(run)[-1]
    assert [row["STATE"] for row in last.rows] == ["LISTEN"], last.text


def test_ends(netwatch, pair):
    server, client, listener, ours, theirs = pair
    run = netwatch("top", "--interval", "200ms", "--port", listener["port"], uid=ALICE)
    wait_until(lambda: len(run.out.lines) >= 5, "the first picture")
    client.reset(fd=ours["fd"])
    server.close(fd=theirs["fd"])
    shown = len(run.out.lines)
    wait_until(lambda: len(run.out.lines) >= shown + 10, "two more pictures")
    assert run.stop() == 0, run
    assert [row["STATE"] for row in pictures(run)[-1].rows] == ["LISTEN"]


def test_two_users(netwatch, actor):
    """Each sees his own; root sees both, and a filter chooses."""
    ports, ends = {}, {}
    for uid in ALICE, BOB:
        one = actor(uid=uid)
        listener = one.listen()
        ports[uid] = listener["port"]
        ends[uid] = pair_of(one, one, listener)
    both = "--port", f"{ports[ALICE]},{ports[BOB]}"
    for uid, seen, options in (
        (ALICE, {ALICE}, []), (BOB, {BOB}, []), (0, {ALICE, BOB}, []), (0, {BOB}, ["-u", BOB]),
    ):
        run = netwatch("top", "-c", 1, "--interval", "100ms", *both, *options, uid=uid)
        assert run.wait() == 0, run
        picture, = pictures(run)
        assert {int(row["USER"]) for row in picture.rows} == seen, picture.text
        assert len(picture.rows) == 3 * len(seen)
        assert ("your sockets" if uid else "all users") in picture.head
    run = netwatch("top", "-c", 1, *both, "-u", BOB, uid=ALICE)
    assert run.wait() == 77, run


@pytest.mark.parametrize("word, first", [("sent", "ours"), ("received", "theirs"),
                                         ("process", "ours"), ("backlog", "listener")])
def test_sort(netwatch, pair, word, first):
    server, client, listener, ours, theirs = pair
    client.chatter(fd=ours["fd"], count=1000)
    server.chatter(fd=theirs["fd"], count=1)
    run = netwatch("top", "-c", 1, "--interval", "200ms", "--port", listener["port"], "--sort",
                   word, uid=ALICE)
    assert run.wait() == 0, run
    picture, = pictures(run)
    expected = {"ours": picture.of(ours), "theirs": picture.of(theirs)}
    expected["listener"], = [row for row in picture.rows if row["STATE"] == "LISTEN"]
    assert picture.rows[0] == expected[first], picture.text
    assert f"  by {word}  " in picture.head


def test_options(netwatch, pair):
    port = pair[2]["port"]
    fast = "--interval", "100ms", "--port", port
    run = netwatch("top", "-H", "-c", 2, *fast, uid=ALICE)
    assert run.wait() == 0
    one, other = run.out.text().split("\n\n")
    assert len(one.splitlines()) == len(other.splitlines()) == 3 and "PROCESS" not in one
    run = netwatch("top", "-c", 1, "--color", "always", *fast, uid=ALICE)
    assert run.wait() == 0
    assert "\x1b[32mESTABLISHED\x1b[0m" in run.out.text() and "\x1b[H" not in run.out.text()

    def shown_in(seconds):
        begin = time.monotonic()
        run = netwatch("top", "--duration", f"{seconds}s", *fast, uid=ALICE)
        assert run.wait() == 0 and seconds <= time.monotonic() - begin < 30 + seconds
        return len(pictures(run)) >= 3

    assert with_more_time(shown_in, 1, 5, 30)
    for bad in (["--sort", "nothing"], ["-o", "json"], ["--events", "conn"], ["--reconnect"],
                ["--http-host", "x"], ["--interval", "1ms"], ["--", "true"], ["x"]):
        run = netwatch("top", *bad)
        assert run.wait() == 2 and not run.out.lines, run
    run = netwatch("top", socket="/nowhere")
    assert run.wait() == 3


def test_pipe(netwatch, pair):
    """`| head -1`, and a disk that is full."""
    read_end, write_end = os.pipe()
    run = netwatch("top", "--interval", "100ms", "--port", pair[2]["port"], stdout=write_end)
    os.close(write_end)
    assert os.read(read_end, 9)
    os.close(read_end)
    assert run.wait() == -signal.SIGPIPE, run
    with open("/dev/full", "wb") as full:
        run = netwatch("top", "--interval", "100ms", "--port", pair[2]["port"], stdout=full)
        assert run.wait() == 5, run


# ------------------------------------------------------- a collector that says what we want


def report(peer, seconds, received, acked, connection=1, state=pb.Tcp.ESTABLISHED, **more):
    of = {"id": connection, "laddr": "10.0.0.1", "lport": 80, "raddr": "10.0.0.2", "rport": 5,
          "comm": "x", "pid": 1, "uid": ALICE, **more}
    peer.say(event=pb.Event(
        time={"seconds": seconds}, connection=pb.Connection(**of),
        tcpinfo=pb.TcpInfo(state=state, bytes_received=received, bytes_acked=acked,
                           total_retransmits=2),
    ))


def live(stub, epoch=1):
    peer = stub.accept()
    peer.take("hello")
    peer.say(hello=pb.Hello(major=1, minor=0, program="stub", epoch=epoch, scope=pb.ALL,
                            category=["tcpinfo"]))
    request = peer.take("subscribe").subscribe
    assert list(request.category) == ["tcpinfo"]
    peer.say(subscribed=pb.Subscribed())
    return peer


def test_losses(netwatch, stub):
    """A loss makes no false rate, and is told: in the table and on the standard error."""
    run = netwatch("top", "-c", 2, "--interval", "1s", socket=stub.path)
    peer = live(stub)
    report(peer, 1000, 100, 0)
    peer.lost(5)
    report(peer, 1004, 4100, 800)
    peer.take("unsubscribe")
    peer.bye()
    assert run.wait() == 0
    for picture in pictures(run):
        assert picture.lost() == 5
        row, = picture.rows
        assert (row["RECV/S"], row["SENT/S"]) == ("1.00k", "200")
    assert "events were lost: cause=KERNEL_RING count=5" in run.err.text()


def test_hostile_collector(netwatch, stub):
    """Texts without end and numbers beyond all bounds: cut, or not known."""
    run = netwatch("top", "-c", 1, "--interval", "100ms", "--color", "always", socket=stub.path)
    peer = live(stub)
    for at in range(3):
        report(peer, 1000 + at, 2**64 - 1 - at, 2**63, comm="\x1b[2J\u202e" * 3000,
               laddr="\x1b:" * 3000, raddr="ä" * 3000, uid=2**32 - 1)
    report(peer, -(2**63), 2**62, 2**62, connection=2, comm=" a\n", state=pb.Tcp.LISTEN)
    report(peer, 2**63 - 1, 1, 1, connection=2, state=pb.Tcp.CLOSE)
    peer.take("unsubscribe")
    peer.bye()
    assert run.wait() == 0, run
    _, _, row = re.sub(r"\x1b\[[0-9;]*m", "", run.out.text()).splitlines()
    cells = row.split()
    assert cells[0].startswith(r"\x1b[2J\u{202e}") and cells[2].startswith(r"[\x1b:"), row
    assert set(cells[3]) == {"ä"} and cells[6:8] == ["-", "-"], row
    assert all(len(cell) < 72 for cell in cells) and "\x1b" not in row, row


def test_collector_cannot(netwatch, stub):
    run = netwatch("top", socket=stub.path)
    stub.accept().say_hello()
    assert run.wait() == 78 and '"tcpinfo"' in run.err.text() and not run.out.lines


# ------------------------------------------------------------------- the terminal


class Top:
    """It in a terminal of its own, of 50 lines."""

    def __init__(self, netwatch, *options, columns=200, keys=True, env=None, **more):
        self.terminal = Terminal(columns)
        self.saved = termios.tcgetattr(self.terminal.stdout)
        if keys:
            more["stdin"] = self.terminal.stdout
        self.client = netwatch(
            "top", *options, stdout=self.terminal.stdout, stderr=self.terminal.stdout,
            start_new_session=True, preexec_fn=self.terminal.control,
            env={"TERM": "xterm", **(env or {})}, **more,
        )

    def screen(self):
        return Screen(self.terminal.shown, self.terminal.columns)

    def text(self):
        return "\n".join(self.screen().rows)

    def press(self, keys):
        self.terminal.press(keys)

    def wait(self, pattern, what=None):
        """Until the screen shows that."""
        def seen():
            assert self.client.process.poll() is None, self.text()
            return self.screen().alternate and re.search(pattern, self.text(), re.M)

        return wait_until(seen, what or f"it shows {pattern}")

    def check_restored(self):
        assert termios.tcgetattr(self.terminal.stdout) == self.saved
        self.terminal.close().text()
        screen = self.screen()
        assert not screen.alternate and screen.cursor and screen.wraps
        return "\n".join(screen.rows)


FAST = "--interval", "100ms"


@pytest.fixture
def top(netwatch, pair):
    def start(*options, **more):
        more.setdefault("uid", ALICE)
        return Top(netwatch, *FAST, "--port", pair[2]["port"], *options, **more)

    return start


def wait_table(top):
    top.wait("3 connections")
    top.wait("a-client")


def is_raw(top):
    return not termios.tcgetattr(top.terminal.stdout)[3] & (termios.ICANON | termios.ECHO)


@pytest.mark.parametrize("end", ["q", "ctrl-c", signal.SIGINT, signal.SIGTERM, "count", "duration",
                                 "ctrl-s"])
def test_end(top, end):
    options = {"count": ["-c", 5], "duration": ["--duration", "3s"]}.get(end, [])
    run = top(*options)
    wait_table(run)
    if not options:
        assert is_raw(run) and not run.screen().cursor
    if end == "ctrl-s":
        run.press(b"\x13")
        time.sleep(0.3)
        end = signal.SIGTERM
    if isinstance(end, signal.Signals):
        run.client.process.send_signal(end)
    elif end in ("q", "ctrl-c"):
        run.press({"q": b"q", "ctrl-c": b"\x03"}[end])
    assert run.client.wait() == 0
    assert run.check_restored().strip() == ""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_other_signals(top, number):
    """They end it as they end others, and not without giving back the terminal."""
    run = top()
    wait_table(run)
    run.client.process.send_signal(number)
    assert run.client.wait() == -number
    run.check_restored()


def test_collector_dies(netwatch, stub):
    """It waits, says so, goes on, and ends by a key meanwhile."""
    run = Top(netwatch, *FAST, socket=stub.path)
    peer = live(stub)
    report(peer, 1000, 100, 0)
    report(peer, 1001, 1100, 0)
    run.wait(r"x\[1\].* 1.00k ")
    peer.close()
    run.wait(r"DISCONNECTED since \d\d:\d\d:\d\d, waiting for the collector")
    run.wait(r"x\[1\]")
    run.press(b"?")
    run.wait("q quit")
    peer = live(stub, epoch=2)
    report(peer, 1010, 100, 0, connection=2, comm="y")
    run.wait(r"^y\[1\]")
    assert "DISCONNECTED" not in run.text() and "x[1]" not in run.text()
    assert "  lost 0, gaps 1  " in run.text()
    peer.close()
    run.wait("DISCONNECTED")
    run.press(b"q")
    assert run.client.wait() == 0
    said = run.check_restored()
    assert said.count("waiting for the collector") == 2, said


def test_collector_dies_at_once(netwatch, stub):
    """Before there is a subscription: as with subscribe."""
    run = Top(netwatch, *FAST, socket=stub.path)
    stub.accept().close()
    assert run.client.wait() == 4
    assert "disconnected" in run.check_restored()


def test_losses_in_a_terminal(netwatch, stub):
    """In the line on top while it runs, and on the standard error at the end."""
    run = Top(netwatch, *FAST, socket=stub.path)
    peer = live(stub)
    peer.lost(3)
    peer.lost(4)
    run.wait("  lost 7  ")
    run.press(b"q")
    peer.take("unsubscribe")
    peer.bye()
    assert run.client.wait() == 0
    assert run.check_restored().strip() == "netwatch: events were lost: 7"


def test_stop_and_continue(top):
    """Ctrl-Z: the shell has its terminal meanwhile."""
    run = top()
    wait_table(run)
    process = run.client.process
    # of an orphaned process group, which this one is, the kernel stops nobody by SIGTSTP
    run.press(b"\x1a")
    wait_until(lambda: run.terminal.shown.count(b"\x1b[?1049l") == 1, "it gives it back")
    wait_until(lambda: run.terminal.shown.count(b"\x1b[?1049h") >= 2, "and takes it again")
    wait_table(run)
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T" in open(f"/proc/{process.pid}/stat").read().split()[2], "it stops")
    termios.tcsetattr(run.terminal.stdout, termios.TCSANOW, run.saved)  # as a shell does
    shown = len(run.terminal.shown)
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: is_raw(run), "it has keys again")
    wait_until(lambda: b"a-client" in run.terminal.shown[shown:], "and shows all of it")
    run.press(b"q")
    assert run.client.wait() == 0
    run.check_restored()


def test_job_control(netwatch, pair, place):
    """In a shell: Ctrl-Z stops it, with a terminal that works; fg goes on."""
    terminal = Terminal(200)
    shell = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-i"], stdin=terminal.stdout, stdout=terminal.stdout,
        stderr=terminal.stdout, start_new_session=True, preexec_fn=terminal.control,
        env={"TERM": "xterm", "PS1": "ready ", **place.environment}, cwd="/",
        user=ALICE, group=ALICE, extra_groups=[],
    )
    try:
        wait_until(lambda: b"ready" in terminal.shown, "the shell is there")
        socket = netwatch("status").process.args[2]
        terminal.press(f"{place.client} --socket {socket} top --interval 100ms "
                       f"--port {pair[2]['port']}\n".encode())
        wait_until(lambda: b"a-client" in terminal.shown, "it runs")
        terminal.press(b"\x1a")
        wait_until(lambda: b"Stopped" in terminal.shown, "it is stopped")
        at = terminal.shown.index(b"Stopped")
        assert terminal.shown.rindex(b"\x1b[?1049l", 0, at) > terminal.shown.rindex(
            b"\x1b[?1049h", 0, at)
        terminal.press(b"fg\n")
        wait_until(lambda: b"a-client" in terminal.shown[at:], "it goes on")
        terminal.press(b"q")
        wait_until(lambda: terminal.shown.rindex(b"ready") > terminal.shown.rindex(b"\x1b[?1049l"),
                   "the shell has its terminal")
        terminal.press(b"echo status $?; exit\n")
        assert shell.wait(DEADLINE_S) == 0
        wait_until(lambda: b"status 0" in terminal.shown, "the exit status is shown")
    finally:
        shell.kill()
        shell.wait()
    terminal.close()


def resize(top, columns, lines=50):
    size = struct.pack("HHHH", lines, columns, 0, 0)
    fcntl.ioctl(top.terminal.stdout, termios.TIOCSWINSZ, size)


def test_resize(netwatch, pair):
    """At once, not at the next interval; what does not fit goes, and comes back."""
    run = Top(netwatch, "--interval", "5s", "--port", pair[2]["port"], uid=ALICE)
    run.wait("a-client")
    assert "BACKLOG" in run.text()
    for columns, there in (80, False), (30, False), (200, True):
        before = len(run.terminal.shown)
        resize(run, columns)
        wait_until(lambda: b"REMOTE" in run.terminal.shown[before:], "it is drawn again", 4)
        wait_until(lambda: run.terminal.shown.endswith(b"\x1b[J"), "all of it")
        picture = Screen(run.terminal.shown[before:], columns)
        assert ("BACKLOG" in "\n".join(picture.rows)) == there
        assert all(len(row) <= columns for row in picture.rows)
    resize(run, 200, lines=3)
    wait_until(lambda: len(Screen(b"\x1b[H" + run.terminal.shown.rsplit(b"\x1b[H", 1)[1], 200)
                           .rows) == 3, "three lines", 4)
    run.press(b"q")
    assert run.client.wait() == 0


def test_keys(top):
    run = top()
    wait_table(run)
    run.wait("  by rate  ")
    run.press(b">")
    run.wait("  by received  ")
    run.press(b"\x1b[C\x1bOC")
    run.wait("  by rtt  ")
    run.press(b"<\x1b[D\x1b[D<")
    run.wait("  by role  ")
    run.press(b"\x1b[D\x1b[D\x1b[D")
    run.wait("  by local  ")
    run.press(b"<<")
    run.wait(r"  by process  ")
    run.wait(r"PROCESS.*\na-client.*\na-server.*\na-server")
    run.press(b"r")
    run.wait(r"  by process, reversed  ")
    run.wait(r"PROCESS.*\na-server.*\na-server.*\na-client")
    run.press(b"?")
    run.wait("^q quit ")
    run.press(b"?")
    wait_until(lambda: "q quit" not in run.text(), "no help any more")
    run.press(b"\x1b[B")
    run.wait(r"PROCESS.*\na-server.*\na-client")
    run.press(b"\x1b[5~")
    run.wait(r"PROCESS.*\na-server.*\na-server.*\na-client")
    run.press(b"\x1b[19~\x1b[1;5Pxyz\x1b")  # nothing
    run.press(b"p")
    run.wait("PAUSED")
    time.sleep(0.3)
    shown = len(run.terminal.shown)
    time.sleep(0.5)
    assert len(run.terminal.shown) == shown
    run.press(b" ")
    wait_until(lambda: "PAUSED" not in run.text(), "it goes on")
    run.press(b"q")
    assert run.client.wait() == 0
    run.check_restored()


def test_without_keys(top):
    """stdin is no terminal: it is not read, and nothing of the terminal is changed."""
    run = top(keys=False)
    wait_table(run)
    assert not is_raw(run)
    run.client.process.send_signal(signal.SIGTERM)
    assert run.client.wait() == 0
    run.check_restored()


@pytest.mark.parametrize("options, env, colored", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), (["--color", "never"], {}, False),
    (["--color", "always"], {"NO_COLOR": "1"}, True),
])
def test_colors(top, options, env, colored):
    run = top(*options, env=env)
    wait_table(run)
    run.press(b"q")
    assert run.client.wait() == 0
    assert (b"\x1b[32mESTABLISHED\x1b[0m" in run.terminal.shown) == colored
    assert bool(re.search(rb"\x1b\[[0-9;]*m", run.terminal.shown)) == colored


def test_hostile_names(netwatch, actor):
    """A process may call itself what it likes."""
    names = b"\x1b[2J\x1b[31mboo", "\u202eevil\u2028".encode(), b"\xff\x9b\r\n", "ä€😀".encode()
    ports = []
    for name in names:
        one = actor(uid=ALICE, comm=name)
        ports.append(one.listen()["port"])
    run = Top(netwatch, *FAST, "--port", ",".join(map(str, ports)), "--sort", "local", uid=ALICE)
    run.wait("4 connections")
    run.wait(r"^\\x1b\[2J\\x1b\[31mboo")
    run.wait(r"^\\u\{202e\}evil")
    run.wait("^ä€😀")
    run.press(b"q")
    assert run.client.wait() == 0
    assert b"\x9b" not in run.terminal.shown.replace("ä€😀".encode(), b"")
    run.check_restored()
