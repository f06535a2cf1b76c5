# SPDX-License-Identifier: GPL-2.0-only
"""The collector's start, the drop of its privileges, and its end."""

import os
import pwd
import re
import signal
import socket
import stat
import subprocess

import pytest

import wire
from harness import ALICE, DEADLINE_S, SERVICE_USER, end_process, wait_until

CAP_NET_ADMIN = 1 << 12


def run_collector(place, *options, **more):
    """One that is expected to end by itself."""
    return subprocess.run(
        [place.collector, *options], capture_output=True, text=True, timeout=DEADLINE_S,
        env=place.environment, **more,
    )


def check_dropped(collector):
    user = pwd.getpwnam(SERVICE_USER)
    assert collector.status("Uid").split() == [str(user.pw_uid)] * 4
    assert collector.status("Gid").split() == [str(user.pw_gid)] * 4
    assert set(collector.status("Groups").split()) <= {str(user.pw_gid)}
    assert int(collector.status("CapPrm"), 16) == CAP_NET_ADMIN
    assert int(collector.status("CapEff"), 16) & ~CAP_NET_ADMIN == 0
    for never in "CapInh", "CapAmb", "CapBnd":
        assert int(collector.status(never), 16) & ~CAP_NET_ADMIN == 0, never
    assert collector.status("NoNewPrivs") == "1"
    # Not dumpable: /proc belongs to root though the process does not.
    assert os.stat(f"/proc/{collector.pid}/status").st_uid == 0


def test_privileges_are_dropped(collector, subscribe):
    check_dropped(collector)
    # Every thread, and also while somebody is subscribed.
    watch = subscribe("--dport", 1)
    for task in os.listdir(f"/proc/{collector.pid}/task"):
        with open(f"/proc/{collector.pid}/task/{task}/status") as file:
            text = file.read()
        assert int(re.search(r"CapPrm:\s*(\w+)", text)[1], 16) == CAP_NET_ADMIN
    watch.stop()
    check_dropped(collector)


def test_nobody_can_look_into_it(collector):
    """Neither the service user nor others may read its memory."""
    user = pwd.getpwnam(SERVICE_USER)
    done = subprocess.run(
        ["cat", f"/proc/{collector.pid}/environ"], capture_output=True,
        user=user.pw_uid, group=user.pw_gid, extra_groups=[],
    )
    assert done.returncode != 0


def test_not_root(place, tmp_path):
    done = run_collector(
        place, "--socket", "/tmp/nw-test-not-root.sock", user=ALICE, group=ALICE, extra_groups=[]
    )
    assert done.returncode == 77 or done.returncode == 1
    assert re.search("root|permi|privilege|CAP_", done.stderr), done


def test_socket_mode(start_collector):
    open_to_all = start_collector()
    assert stat.S_IMODE(os.stat(open_to_all.socket).st_mode) == 0o666
    closed = start_collector("--socket-mode", "0600")
    assert stat.S_IMODE(os.stat(closed.socket).st_mode) == 0o600


def test_other_user(start_collector):
    collector = start_collector("--user", "nobody")
    assert collector.status("Uid").split()[0] == str(pwd.getpwnam("nobody").pw_uid)


def test_stale_socket_is_replaced(place, start_collector, subscribe):
    first = start_collector()
    first.kill()
    assert stat.S_ISSOCK(os.stat(first.socket).st_mode)
    second = start_collector(socket=first.socket)
    wire.status(second.socket)
    subscribe("--dport", 1, socket=second.socket)


def test_second_instance(place, collector):
    done = run_collector(place, "--socket", collector.socket)
    assert done.returncode == 3, done
    assert collector.socket in done.stderr, done
    wire.status(collector.socket)


def test_second_instance_while_the_first_is_busy(place, collector):
    """A collector that does not answer is not a dead one."""
    collector.pause()
    try:
        done = run_collector(place, "--socket", collector.socket)
        assert done.returncode == 3, done
    finally:
        collector.resume()
    wire.status(collector.socket)


def test_regular_file_is_untouched(place):
    path = place.new_path("file")
    path.write_text("precious")
    done = run_collector(place, "--socket", str(path))
    assert done.returncode == 1, done
    assert str(path) in done.stderr, done
    assert path.read_text() == "precious"


def test_symlink_is_untouched(place):
    target = place.new_path("target")
    target.write_text("precious")
    link = place.new_path("link")
    link.symlink_to(target)
    done = run_collector(place, "--socket", str(link))
    assert done.returncode == 1, done
    assert link.is_symlink() and target.read_text() == "precious"


def test_dangling_symlink_is_untouched(place):
    link = place.new_path("link")
    link.symlink_to(place.path / "nowhere")
    done = run_collector(place, "--socket", str(link))
    assert done.returncode == 1, done
    assert link.is_symlink() and not (place.path / "nowhere").exists()


def test_directory_is_untouched(place):
    path = place.new_path("dir")
    path.mkdir()
    done = run_collector(place, "--socket", str(path))
    assert done.returncode == 1, done
    assert path.is_dir()


@pytest.mark.parametrize(
    "options, named",
    [
        (["--nonsense"], "nonsense"),
        (["--ring", "12x"], "12x"),
        (["--queue", "0"], "0"),
        (["--socket-mode", "999"], "999"),
        (["--log-level", "loud"], "loud"),
        (["argument"], "argument"),
        (["--socket", "/tmp/" + "x" * 200], "x" * 200),
    ],
)
def test_bad_options(place, options, named):
    if "--socket" not in options:
        options = ["--socket", str(place.new_path("sock")), *options]
    done = run_collector(place, *options)
    assert done.returncode in (1, 2), done
    assert named in done.stderr, done
    assert "--socket" in options[:1] or done.returncode == 2


def test_unknown_user(place):
    done = run_collector(
        place, "--socket", str(place.new_path("sock")), "--user", "nw-test-no-such-user"
    )
    assert done.returncode == 78, done
    assert "nw-test-no-such-user" in done.stderr


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_help(place, word):
    done = run_collector(place, word, user=ALICE, group=ALICE, extra_groups=[])
    assert done.returncode == 0 and "netwatch-collector" in done.stdout, done
    with open("/dev/full", "w") as full:
        done = subprocess.run([place.collector, word], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space" in done.stderr, done


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_well(start_collector, number):
    """And nothing that is not its own is removed: here somebody took the path meanwhile."""
    collector = start_collector()
    os.unlink(collector.socket)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(collector.socket)
        assert end_process(collector.process, number) == 0
        assert os.path.exists(collector.socket)
    collector.stop()


def test_ends_under_load(start_collector, actor, subscribe):
    """SIGTERM with subscribers, full queues and traffic."""
    collector = start_collector("--queue", "128K")
    server = actor()
    port = server.server()
    server.drop_served()
    client = actor()
    watch = subscribe("-a", "--port", port, uid=ALICE, socket=collector.socket)
    with wire.Connection(collector.socket) as lazy:
        lazy.subscribe(port=wire.ports(port))
        client.tell("connects", count=4000, address="127.0.0.1", port=port)
        watch.wait_events(2000)
        collector.stop()
    client.answer()
    assert watch.wait() == 4


def test_nothing_stays_behind(start_collector, subscribe):
    """Killed while it traces: no program of it lives on."""
    collector = start_collector()
    subscribe("--dport", 1, socket=collector.socket)
    before = program_ids()
    ours = {
        ident for ident in before if ident in held_programs(collector.pid)
    }
    assert ours
    collector.kill()
    wait_until(lambda: not ours & program_ids(), "the programs are gone")


def program_ids():
    done = subprocess.run(["bpftool", "prog", "show"], capture_output=True, text=True, check=True)
    return {int(number) for number in re.findall(r"^(\d+):", done.stdout, re.M)}


def held_programs(pid):
    """Ids of the BPF programs that a process has open."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}") as file:
            number = re.search(r"^prog_id:\s*(\d+)", file.read(), re.M)
        if number:
            found.add(int(number[1]))
    return found
