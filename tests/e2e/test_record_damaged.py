# SPDX-License-Identifier: GPL-2.0-only
"""replay of files that are damaged, hostile, newer, or none at all: what is whole is printed, what
happened is said, and nothing worse."""

import itertools
import os
import random
import signal
import subprocess
from collections import Counter

import pytest

import netwatch_pb2 as pb
import wire
from fake_collector import BYE, GOOD, HELLO, LIVE, bye, event, hello, is_clean, reply
from harness import ALICE, DEADLINE_S, Lines, end_process, scaled, wait_until
from recordings import netwatch, replay, whole_events, write  # noqa: F401, some are fixtures

READ_SIZE = 256 * 1024
SMALL = HELLO + LIVE + 3 * GOOD + BYE


def test_cut_at_every_byte(place, replay):
    """What is whole is printed, and what happened is said."""
    for size in range(len(SMALL)):
        done = replay(write(place, SMALL[:size]), "-o", "json")
        assert done.returncode == 1, (size, done)
        assert len(done.stdout.splitlines()) == len(whole_events(SMALL[:size])), size
        said = "no recording" if size < len(HELLO) else "is cut off in a message"
        begins = list(itertools.accumulate(map(len, [HELLO, LIVE, GOOD, GOOD, GOOD])))
        if size in begins:
            said = "has no end"
        assert said in done.stderr.decode().splitlines()[0], (size, done)
    assert replay(write(place, SMALL)).returncode == 0


NO_RECORDING = {
    "empty": b"",
    "text": b"GET / HTTP/1.1\r\n\r\n" * 1000,
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "pcap": bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000") + bytes(100),
    "a huge message": b"\x80\x80\x80\x80\x01" + bytes(100),
    "a message that never ends": b"\xff\xff\x03" + b"x" * 100,
    "no hello": LIVE + GOOD + BYE,
    "hello of nobody": reply(hello=pb.Hello()) + LIVE + BYE,
}


@pytest.mark.parametrize("name", NO_RECORDING)
def test_no_recording(place, replay, name):
    path = write(place, NO_RECORDING[name])
    for done in replay(path, uid=ALICE), replay("-", stdin=path.open()):
        assert done.returncode == 1 and not done.stdout, done
        assert b"is no recording of netwatch\n" in done.stderr and done.stderr.count(b"\n") == 1


BAD = {
    "a huge message": (b"\x80\x80\x80\x80\x01", "more than 64 KiB"),
    "no message": (wire.frame(b"\x0b\x0b"), "no message"),
    "length of zero": (b"\0" * 10, "no message"),
    "event that is none": (wire.frame(wire.nested(3, b"\xff\xff")), "no message"),
    "connection that is none": (
        wire.frame(wire.nested(3, wire.nested(2, b"\x08") + wire.nested(4, b"\x08\x01"))),
        "no message"),
    "detail that is none": (wire.frame(wire.nested(3, wire.nested(4, b"\x08"))), "no message"),
    "bye that is none": (wire.frame(wire.nested(7, b"\x12\x05x")), "no message"),
    "second hello": (HELLO, "no message"),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged(place, replay, name):
    """What was before is printed, and where it broke is said."""
    data, said = BAD[name]
    done = replay(write(place, HELLO + LIVE + GOOD + data + GOOD + BYE), "-o", "json")
    assert done.returncode == 1 and len(done.stdout.splitlines()) == 1, done
    place_ = len(HELLO + LIVE + GOOD)
    assert f"is damaged at byte {place_}: ".encode() in done.stderr and said.encode() in done.stderr
    assert is_clean(done.stderr)


def test_something_follows(place, replay):
    done = replay(write(place, SMALL + SMALL), "-o", "json")
    assert done.returncode == 1 and b"follows the recording's end" in done.stderr, done
    assert len(done.stdout.splitlines()) == 3
    # Its end is where one read ends.
    fill = [wire.frame(wire.nested(77, bytes(60_000)))] * 4
    rest = READ_SIZE - len(SMALL) - sum(map(len, fill))
    fill.append(wire.frame(wire.nested(77, bytes(rest - 8))))
    whole = HELLO + LIVE + b"".join(fill) + 3 * GOOD + BYE
    assert len(whole) == READ_SIZE
    assert replay(write(place, whole)).returncode == 0
    assert replay(write(place, whole + b"x")).returncode == 1


def test_other_major(place, replay):
    done = replay(write(place, hello(major=2) + LIVE + GOOD + BYE))
    assert done.returncode == 76 and not done.stdout and b"version 2" in done.stderr, done


def test_newer_things_are_passed_over(place, replay):
    """Event types, fields, replies and categories that this version does not know."""
    newer = wire.frame(wire.nested(3, wire.nested(200, b"\x08\x01")))
    field = wire.frame(wire.nested(
        3, wire.nested(2, b"\x18\x50" + wire.nested(99, b"x")) + wire.nested(4, b"\x08\x02")
        + wire.nested(88, b"y")))
    other = wire.frame(wire.nested(77, b"z"))
    done = replay(
        write(place, hello(category=("conn", "tomorrow"), minor=9) + LIVE + newer + field + other
              + BYE), "-o", "json")
    assert done.returncode == 0, done
    assert done.stdout == b'{"connection":{"lport":80},"conn":{"event":"OPEN"}}\n'


def test_hostile_text(place, replay):
    """A recording may be anybody's."""
    text = "a\x1b[2J\u202eb\n"
    data = hello(category=("conn", "http", text)) + LIVE + event(
        connection={"lport": 80, "comm": text, "cgroup": text, "laddr": text},
        http={"event": "REQUEST", "host": text, "target": text}) + BYE
    for words in ["-o", "table"], ["-o", "compact"], ["-o", "csv"], ["-o", "json"]:
        for filter_ in [], ["--not", "--laddr", "::1", "--cgroup", "/", "--http-path", "*"]:
            done = replay(write(place, data), *words, *filter_)
            assert done.returncode == 0 and is_clean(done.stdout), done
            assert is_clean(done.stderr)


def test_usage(place, replay, netwatch):
    path = write(place, SMALL)
    for words in ["--duration", "1s"], ["--reconnect"], ["--interval", "1s"], ["--last", "1"], \
            ["--since", "1s"], ["--no-follow"]:
        done = replay(path, *words)
        assert done.returncode == 2 and words[0].encode() in done.stderr, done
    for words in ["-o", "json"], ["--fields", "time"], ["-H"], ["--color", "never"]:
        done = netwatch("record", path, *words)
        assert done.wait() == 2 and path.read_bytes() == SMALL, done
    for command in "record", "replay":
        done = netwatch(command)
        assert done.wait() == 2 and f"{command} needs FILE" in done.err.text()
    done = replay(path, "--", "true")
    assert done.returncode == 2
    done = replay(path, *itertools.chain(*(["--pid", str(n)] for n in range(1, 66))))
    assert done.returncode == 1 and b"pid: more than 64 values" in done.stderr
    done = replay("/no/such")
    assert done.returncode == 1 and b"/no/such" in done.stderr
    done = replay(place.path)
    assert done.returncode == 1 and b"directory" in done.stderr


def test_reader_that_goes_away(place, replay):
    """As with subscribe: SIGPIPE; a full disk is exit 5."""
    path = write(place, HELLO + LIVE + 50_000 * GOOD + BYE)
    process = subprocess.Popen([place.client, "replay", "-q", path], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=place.environment,
                               preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL))
    assert process.stdout.readline().startswith(b"TIME")
    process.stdout.close()
    assert process.wait(DEADLINE_S) == -signal.SIGPIPE
    process.stderr.close()
    with open("/dev/full", "w") as full:
        done = subprocess.run([place.client, "replay", path], stdout=full, stderr=subprocess.PIPE,
                              env=place.environment, timeout=DEADLINE_S, check=False)
    assert done.returncode == 5 and b"No space left" in done.stderr


def test_reader_of_a_pipe_that_stays_open(place):
    """Nothing comes, and whoever read has gone."""
    process = subprocess.Popen([place.client, "replay", "-"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=place.environment)
    process.stdin.write(HELLO + LIVE + GOOD)
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"TIME")
    process.stdout.close()
    assert process.wait(DEADLINE_S) in (5, -signal.SIGPIPE)
    process.stdin.close()
    process.stderr.close()


def test_ctrl_c(place):
    """While it waits for more, and while a FIFO has nobody at the other end."""
    fifo = place.new_path("fifo")
    os.mkfifo(fifo)
    for file, stdin in (fifo, subprocess.DEVNULL), ("-", subprocess.PIPE):
        process = subprocess.Popen([place.client, "replay", file], stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=place.environment)
        said = Lines(process.stderr)
        wait_until(lambda: "S" in state(process.pid), "it waits")
        assert end_process(process, signal.SIGINT) == 0, said.text()
        process.stdout.close()


def state(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def test_fuzz(place, replay):
    """Bits turned and bytes lost anywhere: an error or not, but never more than that."""
    dice = random.Random(7)
    sample = SMALL[:-len(BYE)] + event(
        time={"seconds": 1000, "nanos": 5},
        connection={"id": 5, "laddr": "::1", "raddr": "10.0.0.1", "rport": 80, "role": "CLIENT",
                    "pid": 5, "comm": "x", "uid": 1, "netns": 9, "cgroup_id": 3, "cgroup": "/a/b"},
        http={"event": "RESPONSE", "method": "GET", "target": "/a", "host": "h", "status": 200,
              "latency_us": 5},
    ) + event(lost={"cause": "KERNEL_RING", "count": 3, "first": {"seconds": 1},
                    "last": {"seconds": 2}}) + bye(matched=4, delivered=4, duration_us=9)
    options = [
        ["-o", "json"], ["-o", "csv", "--http-path", "/*"], ["-o", "table", "--cgroup", "/a"],
        ["-o", "pb", "--comm", "x"], ["-o", "compact", "--stats", "--laddr", "::/0"],
    ]
    codes = Counter()
    for _ in range(scaled(120)):
        data = bytearray(sample)
        for _ in range(dice.choice([1, 1, 2, 8])):
            data[dice.randrange(len(HELLO) // 2, len(data))] ^= 1 << dice.randrange(8)
        if dice.random() < 0.3:
            del data[1 + dice.randrange(len(data) - 1):]
        if dice.random() < 0.2:
            begin = dice.randrange(len(data))
            del data[begin:begin + dice.randrange(20)]
        path = write(place, data)
        done = replay(path, *dice.choice(options))
        codes[done.returncode] += 1
        assert done.returncode in (0, 1, 76), (data.hex(), done)
        assert b"Sanitizer" not in done.stderr and b"runtime error" not in done.stderr, data.hex()
        path.unlink()
    assert codes[0] and codes[1], codes
