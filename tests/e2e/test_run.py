# SPDX-License-Identifier: GPL-2.0-only
"""`make run`, on a socket of its own: events and nothing else on stdout, and nothing that
stays behind."""

import json
import os
import signal
import subprocess

import pytest

import wire
from conftest import BUILD, ROOT
from harness import DEADLINE_S, Lines, end_process, wait_until


@pytest.fixture
def run(place):
    """Starts tests/run.sh as make does, in a process group of its own."""
    started = []

    def start(options="", socket=None):
        socket = socket or str(place.new_path("sock"))
        process = subprocess.Popen(
            ["sh", ROOT / "tests/run.sh"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
            env={
                **place.environment,
                "HOME": "/root",
                "B": str(BUILD.relative_to(ROOT)),
                "SAN": os.environ.get("SAN", ""),
                "ARGS": options,
                "SOCKET": socket,
            },
        )
        process.out, process.err = Lines(process.stdout), Lines(process.stderr)
        process.socket = socket
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            end_process(process)


def finish(process, code=None):
    code = process.wait(DEADLINE_S) if code is None else code
    process.err.finish()
    return code, [json.loads(line) for line in process.out.finish()]


def answers(path):
    try:
        wire.status(path)
        return True
    except (OSError, wire.Closed):
        return False


def test_ends_by_itself(run):
    process = run("--events conn -o json --no-existing --comm perl -c 6")
    code, events = finish(process)
    assert code == 0, process.err.text()
    assert "loopback traffic" in process.err.text()
    assert {event["conn"]["event"] for event in events} >= {"OPEN", "ESTABLISHED"}
    assert not answers(process.socket)


def test_code_of_the_client(run):
    process = run("--events conn --dport 65536")
    code, events = finish(process)
    assert (code, events) == (2, [])
    assert "65536" in process.err.text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_with_a_signal(run, number):
    """Ctrl-C goes to all of the terminal's processes, TERM to the script."""
    process = run("--events conn -o json --comm perl -c 1000")
    wait_until(lambda: len(process.out.lines) > 3, "events")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
        code, _ = finish(process)
    else:
        code, _ = finish(process, end_process(process, number))
    assert code == 0, process.err.text()
    assert not answers(process.socket)


def test_uses_one_that_runs(run, collector):
    """And leaves it running."""
    process = run("--events conn -o json -c 1", socket=collector.socket)
    code, events = finish(process)
    assert code == 0 and events
    assert "already" in process.err.text()
    assert answers(collector.socket)
