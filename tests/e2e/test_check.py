# SPDX-License-Identifier: GPL-2.0-only
"""`netwatch check` and `netwatch-collector --check`: what this kernel can do, why not the rest,
and what becomes of it where a hook is missing."""

import json
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from google.protobuf import json_format

import netwatch_pb2 as pb
import wire
from harness import ALICE, DEADLINE_S, end_process, wait_until

NAMES = ["conn", "packet", "retransmit", "error", "tcpinfo", "congestion", "http"]
STATE, RECEIVE = "tp_btf/inet_sock_set_state", "tp_btf/tcp_rcv_space_adjust"
FILES, STORAGE = "iter/task_file", "iter/bpf_sk_storage_map"
SOURCES = Path(__file__).resolve().parents[2] / "bpf"


def hide(*hooks):
    return {"NETWATCH_HIDE_HOOKS": ",".join(hooks)}


def run_check(place, *options, before=(), environment=(), **more):
    """netwatch-collector --check, which ends by itself; before: a command that starts it."""
    more.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [*before, place.collector, "--check", *options],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S,
        env={**place.environment, **dict(environment)}, **more,
    )


def parse(text):
    """One line of JSON, read by another implementation."""
    assert text.count("\n") == 1 and text.endswith("}\n"), text
    return json_format.Parse(text, pb.Check())


def by_name(rows):
    return {row.name: row for row in rows}


def offered(collector):
    with wire.Connection(collector.socket) as connection:
        return set(connection.hello.category)


def output(client):
    assert client.wait() == 0, client
    assert not client.err.lines, client
    return b"".join(client.out.lines).decode()


# -------------------------------------------------------------- what it says


def test_table(netwatch, collector):
    text = output(netwatch("check", uid=ALICE))
    lines, have = text.splitlines(), offered(collector)
    assert max(map(len, lines)) <= 80, text
    assert lines[1].split() == ["kernel", os.uname().release]
    heads = [line.split()[0:2] for line in lines if re.match(r"\S+ +(yes|no) ", line)]
    assert heads == [[name, "yes" if name in have else "no"] for name in NAMES], text
    assert re.search(rf"^conn +yes +{STATE} +yes$", text, re.M), text
    assert re.search(rf"^ +{RECEIVE} +yes$", text, re.M), text
    assert re.search(r"^http +yes +cgroup_skb/ingress +yes$", text, re.M), text
    assert re.search(r"^BTF +yes$", text, re.M), text


def test_json(netwatch, collector):
    answer = parse(output(netwatch("check", "-o", "json", uid=ALICE)))
    assert answer == wire.check(collector.socket)
    assert answer.kernel == os.uname().release and answer.version
    assert [row.name for row in answer.category] == NAMES
    have = offered(collector)
    assert "conn" in have
    for row in answer.category:
        assert row.available == (row.name in have)
        assert row.available or row.reason
        assert not (row.available and row.HasField("reason"))
    facilities = by_name(answer.facility)
    for name in "BTF", "BPF socket storage", FILES, STORAGE, "cgroup v2":
        assert facilities[name].usable and not facilities[name].HasField("reason"), name
    assert not facilities["kernel addresses"].usable
    assert "--kernel-addresses" in facilities["kernel addresses"].reason


def test_every_hook_is_shown(collector):
    """Against the sources: a program that nobody lists would be absent without a word."""
    sections = set()
    for source in SOURCES.glob("*.bpf.[ch]"):
        sections |= set(re.findall(r'^SEC\("(.*/.*)"\)', source.read_text(), re.M))
    answer = wire.check(collector.socket)
    shown = {hook.name for row in answer.category for hook in row.hook}
    shown |= {row.name for row in answer.facility if "/" in row.name}
    assert sections and shown == sections


def test_both_programs_say_the_same(place, collector, netwatch):
    """The collector by itself, while another one runs that has been set up and dropped."""
    for options in [], ["-o", "table"], ["-o", "json"], ["--output=json"]:
        done = run_check(place, *options)
        assert done.returncode == 0 and not done.stderr, done
        assert done.stdout == output(netwatch("check", *options, uid=ALICE)), done
    addresses = parse(run_check(place, "-o", "json", "--kernel-addresses").stdout)
    before = parse(output(netwatch("check", "-o", "json", uid=ALICE)))
    assert by_name(addresses.facility)["kernel addresses"].usable
    assert [row for row in addresses.facility if row.name != "kernel addresses"] == [
        row for row in before.facility if row.name != "kernel addresses"
    ]
    wire.status(collector.socket)


def test_it_needs_no_user_and_no_socket(place):
    done = run_check(place, "--user", "nw-test-no-such-user", "--socket", "/nowhere/sock")
    assert done.returncode == 0 and not done.stderr, done


# ---------------------------------------------------------------- exit codes


def test_not_root(place):
    done = run_check(place, user=ALICE, group=ALICE, extra_groups=[])
    assert done.returncode == 77 and not done.stdout, done
    assert done.stderr.count("\n") == 1 and "root" in done.stderr, done


def test_output_that_cannot_be_written(place, netwatch):
    with open("/dev/full", "w") as full:
        done = run_check(place, stdout=full)
        assert done.returncode == 1 and "No space" in done.stderr, done
        client = netwatch("check", stdout=full)
        assert client.wait() == 5, client
    done = run_check(place, before=["sh", "-c", 'exec "$@" >&-', "sh"])
    assert done.returncode == 1 and "is closed" in done.stderr, done


@pytest.mark.parametrize(
    "options, named",
    [
        (["--check", "-o", "yaml"], "yaml"),
        (["--check", "--output"], "output"),
        (["-o", "json"], "--check"),
        (["--check", "argument"], "argument"),
    ],
)
def test_bad_options(place, options, named):
    done = subprocess.run(
        [place.collector, *options], capture_output=True, text=True, timeout=DEADLINE_S,
        env=place.environment,
    )
    assert done.returncode == 2 and not done.stdout and named in done.stderr, done


@pytest.mark.parametrize(
    "options, named",
    [(["-o", "compact"], "compact"), (["-o", "yaml"], "yaml"), (["-d", "80"], "dport")],
)
def test_bad_options_of_the_client(netwatch, options, named):
    client = netwatch("check", *options, socket="/nowhere")
    assert client.wait() == 2 and named in client.err.text(), client


def test_loading_is_not_permitted(place):
    """Root in a container that took the capabilities away: every row says why."""
    done = run_check(
        place, "-o", "json", before=["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    )
    assert done.returncode == 78 and not done.stderr, done
    answer = parse(done.stdout)
    conn = by_name(answer.category)["conn"]
    assert not conn.available and "permitted" in conn.reason
    assert all("permitted" in hook.reason for hook in conn.hook)
    facilities = by_name(answer.facility)
    assert facilities["BTF"].usable
    assert "CAP_BPF" in facilities["BPF programs, ring buffer"].reason
    assert facilities["BPF socket storage"].reason == "not tried"


def test_no_btf(place):
    """A kernel without BTF, as far as can be seen from a mount namespace."""
    script = (
        "for dir in /sys/kernel/btf /boot /lib/modules; do"
        ' [ ! -d $dir ] || mount -t tmpfs none $dir || exit 99; done; exec "$@"'
    )
    done = run_check(place, before=["unshare", "-m", "sh", "-c", script, "sh"])
    assert done.returncode == 78 and not done.stderr, done
    assert re.search(rf"^conn +no +{STATE} +this kernel has no BTF$", done.stdout, re.M), done
    assert re.search(r"^BTF +this kernel has no BTF", done.stdout, re.M), done
    assert re.search(r"^http +no +cgroup_skb/ingress +this kernel has no BTF$", done.stdout, re.M), done


# ------------------------------------------------------------ hooks that lack


def test_a_hook_that_lowers_quality(start_collector, netwatch, subscribe, actor):
    """Without the hook on receives a walk finds the process of an accepted connection."""
    collector = start_collector(environment=hide(RECEIVE))
    conn = by_name(wire.check(collector.socket).category)["conn"]
    assert conn.available and not conn.HasField("reason")
    hooks = by_name(conn.hook)
    assert hooks[STATE].usable and not hooks[RECEIVE].usable
    assert "NETWATCH_HIDE_HOOKS" in hooks[RECEIVE].reason and hooks[RECEIVE].without
    text = output(netwatch("check", socket=collector.socket, uid=ALICE))
    assert re.search(rf"^conn +yes +{STATE} +yes$", text, re.M), text
    assert re.search(rf"^ +{RECEIVE} +hidden by NETWATCH_HIDE_HOOKS;$", text, re.M), text
    row = by_name(wire.status(collector.socket).category)["conn"]
    assert row.available and list(row.hook) == [STATE]

    server, client = actor(), actor()
    listener = server.listen()
    watch = subscribe("--no-existing", "--lport", listener["port"], socket=collector.socket)
    sender = client.connect(address="127.0.0.1", port=listener["port"])
    accepted = server.accept(fd=listener["fd"])
    client.send(fd=sender["fd"], count=64)
    server.receive(fd=accepted["fd"], count=64)
    event = watch.wait_events(1)[0]
    assert event["conn"]["event"] == "ESTABLISHED", event
    assert event["connection"]["role"] == "SERVER", event
    assert event["connection"]["pid"] == server.pid, event
    assert watch.stop() == 0


def test_iterators(start_collector, netwatch, subscribe, actor):
    """Without them there is no list, and events come all the same."""
    collector = start_collector(environment=hide(FILES, STORAGE))
    facilities = by_name(wire.check(collector.socket).facility)
    for name in FILES, STORAGE:
        assert not facilities[name].usable and facilities[name].without, name
    listing = netwatch("list", socket=collector.socket)
    assert listing.wait() == 78, listing
    assert "iter" in listing.err.text() and not listing.out.lines, listing
    server, client = actor(), actor()
    port = server.server()
    watch = subscribe("-a", "--rport", port, socket=collector.socket)
    client.connects(count=2, address="127.0.0.1", port=port)
    watch.wait_events(6)
    assert watch.stop() == 0
    wait_until(lambda: not collector.links(), "the links are gone")
    collector.stop()  # and had nothing to say


def test_all_that_is_needed_is_missing(place):
    """--check says why; a collector that could offer nothing does not start."""
    found = json.loads(run_check(place, "-o", "json").stdout)["category"]
    needed = [hook["name"] for category in found for hook in category.get("hook", [])
              if hook["name"] != RECEIVE]
    done = run_check(place, environment=hide(*needed))
    assert done.returncode == 78 and not done.stderr, done
    assert re.search(rf"^conn +no +{STATE} +hidden by NETWATCH_HIDE_HOOKS$", done.stdout, re.M)
    assert re.search(rf"^ +{RECEIVE} +yes$", done.stdout, re.M), done
    path = place.new_path("sock")
    done = subprocess.run(
        [place.collector, "--socket", str(path)], capture_output=True, text=True, timeout=DEADLINE_S,
        env={**place.environment, **hide("iter/nonsense", *needed)},
    )
    assert done.returncode == 78 and not done.stdout, done
    names = "|".join(category["name"] for category in found)
    assert re.search(rf"; ({names}): hidden by \S+ \(--check says more\)\n\Z", done.stderr), done
    assert done.stderr.count("\n") == 1
    assert not path.exists()


def test_only_root_hides_hooks(place):
    """Somebody who was given the capabilities, as by a service manager, is not listened to."""
    capabilities = ",".join("+" + name for name in ("bpf", "perfmon", "net_admin"))
    home = place.new_path("home")
    home.mkdir()
    os.chown(home, ALICE, ALICE)
    path = str(home / "sock")
    process = subprocess.Popen(
        [
            "setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups",
            f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}",
            place.collector, "--socket", path, "--group", "nw-test-no-such-group",
        ],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**place.environment, **hide(STATE, RECEIVE)},
    )

    def listens():
        assert process.poll() is None, process.stderr.read()
        try:
            wire.Connection(path).close()
            return True
        except OSError:  # bound, and not listening yet
            return False

    try:
        wait_until(listens, "it listens")
        conn = by_name(wire.check(path).category)["conn"]
        assert conn.available and all(hook.usable for hook in conn.hook)
    finally:
        end_process(process)
        process.stderr.close()


# ---------------------------------------------------------- other collectors


@pytest.fixture
def fake(place):
    """A collector that says hello and then, whatever it is asked, these bytes."""
    threads = []

    def serve(*frames):
        path = str(place.new_path("fake"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen()
        listener.settimeout(wire.DEADLINE_S)

        def answer():
            with listener, listener.accept()[0] as peer:
                hello = pb.Hello(major=1, minor=0, category=["conn"])
                peer.sendall(wire.frame(pb.Reply(hello=hello)))
                asked = b""
                while b"\x32\x00" not in asked:  # CheckRequest, empty
                    asked += peer.recv(4096)
                peer.sendall(b"".join(map(wire.frame, frames)))

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        return path

    yield serve
    for thread in threads:
        thread.join(wire.DEADLINE_S)
        assert not thread.is_alive()


BYE = pb.Reply(bye=pb.Bye(reason=pb.Bye.DONE))


def test_old_collector(netwatch, fake):
    error = pb.Error(code=pb.Error.INVALID, message="a request that this collector does not know")
    client = netwatch("check", socket=fake(pb.Reply(error=error)), uid=ALICE)
    assert client.wait() == 78, client
    assert "too old" in client.err.text() and not client.out.lines, client


def test_hostile_collector(netwatch, fake):
    evil = "\x1b[2J\n\u202e\x9b\t\"\\"
    answer = pb.Check(
        version=evil, kernel=evil,
        category=[pb.CategoryCheck(name=evil, hook=[pb.Facility(name=evil, reason=evil)])],
        facility=[pb.Facility(name=evil, reason=evil)],
    )
    text = output(netwatch("check", socket=fake(pb.Reply(check=answer), BYE), uid=ALICE))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text
    assert len(text.splitlines()) == 8, text
    text = output(netwatch("check", "-o", "json", socket=fake(pb.Reply(check=answer), BYE)))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text
    assert parse(text) == answer


def test_broken_collector(netwatch, fake):
    """Reply 5 is a Check, and these bytes are none."""
    client = netwatch("check", socket=fake(b"\x2a\x03\xff\xff\xff", BYE), uid=ALICE)
    assert client.wait() == 1, client
    assert "not readable" in client.err.text() and not client.out.lines, client
