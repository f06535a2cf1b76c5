# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of the file in every way that a recording can end, and what is shown meanwhile."""

import json
import os
import re
import resource
import signal
import stat
import subprocess
import time

import pytest

import netwatch_pb2 as pb
from fake_collector import BYE, GOOD, HELLO, LIVE, bye, event, reply
from harness import ALICE, BOB, DEADLINE_S, Lines, end_process, wait_until, with_more_time
from recordings import USERS, account, messages, stop, whole_events, write
from recordings import cgroups, netwatch, record, replay, scene  # noqa: F401, fixtures
from terminal import Terminal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal(record, replay, number):
    recording = record("--events", "conn", "--uid", ALICE)
    assert recording.stop(number) == 0
    assert messages(recording.path.read_bytes())[-1].HasField("bye")
    assert replay(recording.path).returncode == 0


def test_options_of_subscribe(netwatch, place, scene, replay):
    """--duration, -c, --stats and COMMAND; the exit status is COMMAND's."""
    path = place.new_path("recording")

    def account_in(seconds):
        """None: it was over before it began."""
        done = netwatch("record", path, "-v", "--events", "conn", "--duration", f"{seconds}s",
                        "--stats", *USERS)
        assert done.wait() == 0
        return account(done) if "subscribed" in done.err.text() else None

    assert with_more_time(account_in, 0.1, 3, 30)["matched"] == 0
    words = ["/usr/bin/python3", "-c", "print('told'); raise SystemExit(7)"]
    done = netwatch("record", path, "--events", "conn", *USERS, "--", *words)
    assert done.wait() == 7 and "told" in done.err.text() and not done.out.lines
    assert replay(path).returncode == 0


def test_collector_that_goes_away(start_collector, netwatch, place, replay):
    """What a fake one has said is all there; so is what a real one had."""
    collector = start_collector()
    path = place.new_path("recording")
    recording = netwatch("record", path, "-v", "--events", "conn", "--uid", ALICE,
                         socket=collector.socket).wait_subscribed()
    collector.kill()
    assert recording.wait() == 4
    done = replay(path)
    assert done.returncode == 1 and b"has no end" in done.stderr, done
    # A collector that was stopped in order says so, and that is an end.
    collector = start_collector()
    recording = netwatch("record", path, "-v", "--events", "conn", "--uid", ALICE,
                         socket=collector.socket).wait_subscribed()
    collector.stop()
    assert recording.wait() == 4
    assert replay(path).returncode == 0


def test_file_is_made_and_replaced(record, netwatch, place, replay):
    """Readable by its owner only; an old one keeps its mode, and its content until there is new."""
    recording = record("--events", "conn", "--uid", ALICE, uid=0)
    stop(recording)
    path = recording.path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    size = path.stat().st_size
    path.chmod(0o644)
    path.write_bytes(b"x" * 100_000)
    refused = netwatch("record", path, "--events", "conn", socket="/nowhere")
    assert refused.wait() == 3 and path.stat().st_size == 100_000
    os.chown(path, ALICE, ALICE)
    refused = netwatch("record", path, "--events", "conn", "--uid", BOB, uid=ALICE)
    assert refused.wait() == 77 and path.stat().st_size == 100_000
    stop(record("--events", "conn", "--uid", ALICE, path=path))
    assert path.stat().st_size == pytest.approx(size, abs=20)  # of numbers in bye
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert replay(path).returncode == 0
    missing = place.new_path("recording")
    refused = netwatch("record", missing, "--events", "conn", socket="/nowhere")
    assert refused.wait() == 3 and not missing.exists()


def test_file_that_cannot_be(netwatch, place):
    for path in place.path, place.path / "no" / "such":
        done = netwatch("record", path, "--events", "conn")
        assert done.wait() == 5 and str(path) in done.err.text(), done
    done = netwatch("record", "/dev/full", "--events", "conn", *USERS)
    assert done.wait() == 5 and "No space left" in done.err.text(), done


def test_full_disk(scene, netwatch, place, replay):
    """Exit 5, and what is there can be read to its last whole event."""
    path = place.new_path("recording")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (3001, 3001))

    recording = netwatch("record", path, "-v", "--events", "conn", *USERS, "--no-existing",
                         preexec_fn=limit).wait_subscribed()
    scene.client.failures(count=50, address="127.0.0.1", port=scene.names["refused"])
    assert recording.wait() == 5, recording
    assert "cannot write the output" in recording.err.text()
    data = path.read_bytes()
    assert len(data) == 3001
    done = replay(path, "-o", "json")
    assert done.returncode == 1 and b"is cut off" in done.stderr, done
    assert len(done.stdout.splitlines()) == len(whole_events(data)) > 10


def test_reconnect(netwatch, stub, place, replay):
    """One recording over two collectors, with the gap at its place."""
    path = place.new_path("recording")
    recording = netwatch("record", path, "--events", "conn", "--reconnect", socket=stub.path)
    peer = stub.live()
    peer.event(connection=1)
    peer.close()
    peer = stub.live(epoch=2)
    peer.event(connection=2)
    wait_until(lambda: b"RESTART" in replay(path, "-o", "json").stdout, "the second one")
    recording.process.terminate()
    peer.finish(matched=1)
    assert recording.wait() == 0, recording
    done = replay(path, "-o", "json", "--stats")
    assert done.returncode == 0, done
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["connection"]["id"] if "connection" in line else line["lost"]["cause"]
            for line in lines] == ["1", "RESTART", "2"]
    kinds = [message.WhichOneof("reply") for message in messages(path.read_bytes())]
    assert kinds == ["hello", "subscribed", "event", "event", "event", "bye"]


def test_history_is_in_no_account(place, replay):
    """What came before `subscribed` was not matched."""
    path = write(place, HELLO + GOOD + LIVE + GOOD + BYE)
    assert account(replay(path, "--stats", "-4"))["matched"] == 1
    path = write(place, HELLO + GOOD + BYE)  # of a list, or of history alone
    done = replay(path, "-o", "json", "--stats", "-4")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1
    assert json.loads(done.stderr.splitlines()[-1])["matched"] == 0


def test_verbose(place, replay):
    done = replay(write(place, reply(hello=pb.Hello(
        major=1, program="a\x1bprogram", category=["conn"])) + LIVE + BYE), "-v")
    assert done.returncode == 0 and b"was recorded from a\\x1bprogram" in done.stderr


def test_losses_are_recorded(place, replay):
    """Where they were, on stderr for people; whatever was filtered."""
    gap = event(lost={"cause": "KERNEL_RING", "count": 5, "first": {"seconds": 1},
                      "last": {"seconds": 2}})
    path = write(place, HELLO + LIVE + GOOD + gap + GOOD + bye(
        matched=7, delivered=2, filtered=0, lost_kernel=5, lost_queue=0, duration_us=1000000))
    done = replay(path, "-o", "json", "-d", "1", "--stats", "--fail-on-loss")
    assert [list(json.loads(line)) for line in done.stdout.splitlines()] == [["lost"]]
    assert done.returncode == 6 and b"0 events, 5 lost, 1.000 s" in done.stderr
    assert account(done) == {
        "matched": 5, "delivered": 0, "filtered": 0, "lost_kernel": 5, "lost_queue": 0}
    assert account(replay(path, "--stats"))["matched"] == 7
    done = replay(path, "-q", "-H", "-o", "table")
    assert done.returncode == 0 and done.stderr.count(b"events were lost") == 1
    assert len(done.stdout.splitlines()) == 2


# ----------------------------------------------------------------------- progress


def shown_at_last(text):
    """What stands there when everything was written, carriage returns and all."""
    lines = []
    for line in text.removesuffix("\n").split("\n"):
        screen = ""
        for part in line.split("\r"):
            screen = part + screen[len(part):]
        lines.append(screen.rstrip())
    return lines


def test_progress_of_record(scene, netwatch, place):
    """A line that changes, and is gone before the summary, which is the only one that stays."""
    path = place.new_path("recording")
    terminal = Terminal(60)
    recording = netwatch("record", path, "--events", "conn", "--no-existing", *USERS,
                         stderr=terminal.stdout)
    wait_until(lambda: b"0 events" in terminal.shown, "the line is there")
    scene.client.failures(count=3, address="127.0.0.1", port=scene.names["refused"])
    wait_until(lambda: b"\r6 events" in terminal.shown, "it goes on")
    terminal.close()
    assert end_process(recording.process) == 0
    text = terminal.text()
    assert re.search(r"\r6 events +\d+/s +[\d.]+ k?B +0:00:\d\d", text), text
    summary, = shown_at_last(text)
    assert re.fullmatch(rf"netwatch: {path}: 6 events, 0 lost, \d+\.\d{{3}} s", summary), text
    assert max(map(len, text.split("\r"))) < 200


@pytest.mark.parametrize("words", [["-q"], ["--", "true"]])
def test_no_progress(scene, netwatch, place, words):
    """When it is quiet; and COMMAND has the terminal for itself."""
    terminal = Terminal(80)
    recording = netwatch("record", place.new_path("recording"), "--events", "conn", "--duration",
                         "1200ms", *USERS, *words, stderr=terminal.stdout)
    terminal.close()
    assert recording.process.wait(DEADLINE_S) == 0
    assert "events  " not in terminal.text()


def test_progress_of_replay(place):
    """With a percentage, since its end is known; not between the lines of the same terminal."""
    path = write(place, HELLO + LIVE + 60_000 * GOOD + BYE)
    terminal = Terminal(80)
    process = subprocess.Popen([place.client, "replay", "-o", "json", path], env=place.environment,
                               stdout=subprocess.PIPE, stderr=terminal.stdout)
    terminal.close()
    process.stdout.read(1)
    time.sleep(0.6)  # longer than it shows nothing; meanwhile the pipe is full
    said = Lines(process.stdout)
    assert process.wait(DEADLINE_S) == 0
    said.finish()
    text = terminal.text()
    assert re.search(r"\r +\d+%  \d+ events  \d+/s", text), text
    summary, = shown_at_last(text)
    assert "60000 events, 0 lost" in summary
    terminal = Terminal(80)
    subprocess.run([place.client, "replay", "-c", "3", path], env=place.environment,
                   stdout=terminal.stdout, stderr=terminal.stdout, timeout=DEADLINE_S, check=True)
    assert "%" not in terminal.close().text()


def test_recording_on_a_terminal(netwatch):
    terminal = Terminal(80)
    done = netwatch("record", "-", "--events", "conn", stdout=terminal.stdout)
    terminal.close()
    assert done.process.wait(DEADLINE_S) == 2
    done.err.finish()
    assert "a recording is binary" in done.err.text() and not terminal.text()
