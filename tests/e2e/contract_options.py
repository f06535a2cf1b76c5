# SPDX-License-Identifier: GPL-2.0-only
"""Sections 1 and 3 of doc/interface.md: each command, each option of the collector, each
filter, and what it does."""

import json
import os
import pwd
import re
import stat
import subprocess
from pathlib import Path

import contract
import wire
from contract_world import OTHER_USER, SEES_ALL, SEES_HTTP, tries
from harness import ALICE, BOB, DEADLINE_S, SERVICE_USER, wait_until
from history import EVENTS
from terminal import Screen, Terminal

COMMANDS, COLLECTOR = {}, {}  # row of the contract -> function that tries it

EVERYTHING = {"client", "server", "listen"}

# ----------------------------------------------------------------- commands


@tries(COMMANDS, "subscribe")
def subscribe(world):
    done = world.run("subscribe", "-v", "--port", world.port, "--no-follow")
    assert done.returncode == 0 and re.search("^subscribed", done.stderr, re.M), done
    again = world.run("--events", "conn", "--port", world.port, "--no-follow", "-o", "json")
    assert len(again.stdout.splitlines()) == 3


@tries(COMMANDS, "list")
def list_(world):
    assert world.listed() == EVERYTHING
    assert world.listed(uid=ALICE) == {"client"}


@tries(COMMANDS, "status")
def status(world):
    """Root sees all subscriptions; there is one, of root."""
    seen = {uid: world.run("status", "-o", "json", uid=uid).stdout for uid in (0, ALICE)}
    for uid, scope, subscriptions in (0, "ALL_WITH_HTTP", 1), (ALICE, "OWN", 0):
        told = json.loads(seen[uid])
        assert told["version"] and "uptime_s" in told and told["scope"] == scope
        assert len(told.get("subscription", [])) == subscriptions
        assert told["category"][0]["name"] == "conn" and told["category"][0]["hook"]


@tries(COMMANDS, "check")
def check(world):
    done = world.run("check", uid=ALICE)
    assert done.returncode == 0 and re.search(r"^conn\b", done.stdout, re.M), done
    assert "tp_btf/inet_sock_set_state" in done.stdout


@tries(COMMANDS, "top")
def top(world):
    """A table again and again, in the order that was asked for; in a terminal in place, until q."""
    done = world.run("top", "--port", world.port, "-c", 2, "--interval", "100ms", "--sort", "process")
    assert done.returncode == 0, done
    tables = done.stdout.split("\n\n")
    assert len(tables) == 2
    for table in tables:
        _, titles, *rows = table.splitlines()
        assert titles.startswith("PROCESS ") and len(rows) == len(EVERYTHING)
        assert rows[0].startswith(f"contract[{world.client.pid}] ")
    terminal = Terminal(120)
    client = world.start("top", "--port", world.port, "--interval", "100ms", uid=ALICE,
                         stdin=terminal.stdout, stdout=terminal.stdout, stderr=terminal.stdout)
    wait_until(lambda: b"contract[" in terminal.shown, "the table is there")
    terminal.press(b"q")
    assert client.wait() == 0
    terminal.close().text()
    screen = Screen(terminal.shown, 120)
    assert not screen.alternate and not "".join(screen.rows)


@tries(COMMANDS, "log")
def log(world):
    """The three files with the labels of the contract, each beginning with HELP and TYPE."""
    path = world.place.new_path("contract-logs")
    path.mkdir()
    client = world.start("log", path, "-v", "--port", world.port).wait_subscribed()
    assert client.stop() == 0 and not client.out.lines, client
    promised = contract.paragraph(contract.section(5), "`netwatch log DIR`")
    for name in "connects.log", "packets.log", "err.log":
        metric = re.search(rf"`{name}`[^`]*`(\w+){{", promised)[1]
        lines = (path / name).read_text().splitlines()
        assert lines[0].startswith(f"# HELP {metric} ") and lines[1] == f"# TYPE {metric} gauge"
    connections = (path / "connects.log").read_text().splitlines()[2:]
    assert {int(re.search('sock="(\\d+)"', line)[1]) for line in connections} >= set(world.ids)
    named = re.search(r"`connection{([\w,]+),\.\.\.} 1`", promised)[1].split(",")
    client, = [line for line in connections if f'pid="{world.client.pid}"' in line]
    assert client.endswith(" 1") and all(f'{name}="' in client for name in named), client


@tries(COMMANDS, "export")
def export(world):
    """Bound to the loopback, for whoever asks; a default port that the contract does not name."""
    client = world.start("export", "--listen", "127.0.0.1:0", "-v", "--port", world.port)
    client.wait_subscribed()
    url = re.search("http://127.0.0.1:\\d+/metrics", client.err.text())[0]
    done = subprocess.run(["curl", "-s", "--noproxy", "*", url], capture_output=True, text=True)
    assert re.search('^netwatch_tcp_connections{state="listen",role="server"} 1$', done.stdout,
                     re.M), done.stdout
    assert client.stop() == 0


@tries(COMMANDS, "fields")
def fields(world):
    text = world.run("fields", uid=ALICE, socket="/nowhere").stdout
    for field in contract.codes(dict(contract.table("member"))["`conn`"]):
        if field.islower():
            assert re.search(rf"^\s*conn\.{field}\b", text, re.M), field
    assert re.search(r"^\s*lport\b", text, re.M), text


@tries(COMMANDS, "completion")
def completion(world):
    shells = next(
        code for cell, _ in contract.table("command") for code in contract.codes(cell)
        if code.startswith("completion")
    ).split()[1].split("|")
    for shell in shells:
        done = world.run("completion", shell, uid=ALICE, socket="/nowhere")
        assert done.returncode == 0 and "netwatch" in done.stdout, done
        assert "subscribe" in done.stdout and "no-existing" in done.stdout
    script = world.run("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    assert world.run("completion", "csh").returncode == 2


# What commands need that need no collector; -q: what they say of themselves.
OPERANDS = {
    "completion": ["bash"],
    "replay": [Path(__file__).resolve().parents[1] / "data" / "events.netwatch", "-q"],
}


@tries(COMMANDS, "record", "replay")
def record_and_replay(world):
    """The same bytes as live, through a filter too."""
    path = world.place.new_path("recording")
    recording = world.start("record", path, "-v", "--port", world.port).wait_subscribed()
    assert recording.stop() == 0
    live = world.run("--port", world.port, "--no-follow", "-o", "json").stdout.splitlines()
    for words, kept in ([], EVERYTHING), (["--role", "client"], {"client"}):
        done = world.run("replay", path, "-o", "json", *words, socket="/nowhere")
        assert done.returncode == 0, done
        assert {world.name(json.loads(line)) for line in done.stdout.splitlines()} == kept
    assert len(live) == len(EVERYTHING)


# ------------------------------------------------------ the collector's options


@tries(COLLECTOR, "--socket")
def socket_(world, default):
    assert f"({default})" in collector_help(world, "socket")
    assert stat.S_ISSOCK(os.stat(world.plain.socket).st_mode)


def collector_help(world, option):
    """Its line."""
    return re.search(rf"^ .*--{option}( .*)?$", world.run_collector("--help").stdout, re.M)[0]


@tries(COLLECTOR, "--socket-mode")
def socket_mode(world, default):
    for collector, mode in (world.plain, int(default, 8)), (world.special, 0o660):
        assert stat.S_IMODE(os.stat(collector.socket).st_mode) == mode
    assert world.run_collector("--socket-mode", "888").returncode == 2


def scope(world, collector, group=None):
    """What the client says that ALICE sees when she is in that group."""
    groups = ["--groups", group] if group else ["--clear-groups"]
    done = subprocess.run(
        ["setpriv", "--reuid", str(ALICE), "--regid", str(ALICE), *groups, world.place.client,
         "--socket", collector.socket, "subscribe", "-v", "-d", "1", "--no-follow"],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=world.place.environment,
    )
    return re.search("scope (.*)", done.stderr)[1]


@tries(COLLECTOR, "--group")
def group_(world, default):
    assert f"({default})" in collector_help(world, "group")
    # The group may use the socket that others may not.
    assert scope(world, world.special, SEES_ALL) == "ALL"
    assert scope(world, world.plain, SEES_ALL) == "OWN"


@tries(COLLECTOR, "--http-group")
def http_group(world, default):
    assert f"({default})" in collector_help(world, "http-group")
    open_to_all = world.start_collector("--http-group", SEES_HTTP, "--group", "nw-no-such-group")
    assert scope(world, open_to_all, SEES_HTTP) == "ALL_WITH_HTTP"
    assert scope(world, open_to_all) == "OWN"


@tries(COLLECTOR, "--user")
def user(world, default):
    assert default == SERVICE_USER
    for collector, name in (world.plain, default), (world.special, OTHER_USER):
        assert set(collector.status("Uid").split()) == {str(pwd.getpwnam(name).pw_uid)}


@tries(COLLECTOR, "--ring")
def ring(world, default):
    assert default == "4M" and world.rings(world.plain) == [4 << 20]
    assert world.rings(world.special) == [64 << 10]
    assert world.run_collector("--ring", "4X").returncode == 2


@tries(COLLECTOR, "--queue")
def queue(world, default):
    """That 128K lose what 1M holds is seen in the row of the queue."""
    assert default.startswith("1M") and "(1M)" in collector_help(world, "queue")
    assert world.run_collector("--queue", "1K").returncode == 2
    with wire.Connection(world.plain.socket) as watch:
        port = world.client.refused_port()
        watch.subscribe(closed=False, rport=wire.ports(port))
        world.fail(port, 4000)
        assert watch.unsubscribe()[1].lost_queue == 0


@tries(COLLECTOR, "--history")
def history(world, default):
    """That it remembers is seen in the row of --last."""
    assert default == "0" and "(0)" in collector_help(world, "history")
    assert not wire.status(world.plain.socket).HasField("history")
    assert wire.status(world.remembering.socket).history.events_max == EVENTS
    assert world.run_collector("--history", "1000001").returncode == 2


@tries(COLLECTOR, "--kernel-addresses")
def kernel_addresses(world, default):
    assert default == "off" and '"sock"' not in world.list("-o", "json")
    assert '"sock":"' in world.list("-o", "json", socket=world.special.socket)
    os.chmod(world.special.socket, 0o666)
    assert '"sock"' not in world.list("-o", "json", socket=world.special.socket, uid=ALICE)
    os.chmod(world.special.socket, 0o660)


@tries(COLLECTOR, "--check")
def collector_check(world, meaning):
    done = world.run_collector("--check")
    assert done.returncode == 0 and re.search(r"^conn\b", done.stdout, re.M), done
    assert "table of `check`" in meaning
    done = world.run_collector("--check", "-o", "json")
    assert done.returncode == 0 and "conn" in json.dumps(json.loads(done.stdout)), done


@tries(COLLECTOR, "--log-level")
def log_level(world, default):
    assert f"({default})" in collector_help(world, "log-level")
    assert "serving" in world.special.text() and "serving" not in world.plain.text()
    assert world.run_collector("--log-level", "loud").returncode == 2


@tries(COLLECTOR, "--version", "--help")
def tells(world, _):
    for word in "--version", "--help", "-?":
        done = world.run_collector(word)
        assert done.returncode == 0 and "netwatch-collector" in done.stdout


# ------------------------------------------------------------------ filters

# option -> (its argument, those that it keeps)
FILTERS = {
    ("-s", "--sport", "--lport"): (lambda world: world.port, {"server", "listen"}),
    ("-d", "--dport", "--rport"): (lambda world: world.port, {"client"}),
    ("--port",): (lambda world: f"1,{world.port}-{world.port}", EVERYTHING),
    ("--laddr",): (lambda _: "127.0.0.2/32", {"client"}),
    ("--raddr",): (lambda _: "127.0.0.2", {"server"}),
    ("--addr",): (lambda _: "127.0.0.2/31", {"client", "server"}),
    ("-4",): (lambda _: None, EVERYTHING),
    ("-6",): (lambda _: None, set()),
    ("-p", "--pid"): (lambda world: world.client.pid, {"client"}),
    ("--comm",): (lambda _: "contract", {"client"}),
    ("-u", "--uid"): (lambda _: BOB, {"server", "listen"}),
    ("--role",): (lambda _: "client", {"client"}),
    ("--netns",): (lambda _: os.stat("/proc/self/ns/net").st_ino, EVERYTHING),
    ("--cgroup",): (lambda _: "/", EVERYTHING),
}
FILTERS = {word: row for words, row in FILTERS.items() for word in words}


def try_filter(world, word):
    argument, kept = FILTERS[word][0](world), FILTERS[word][1]
    option = [word] if argument is None else [word, argument]
    assert world.listed(*option) == kept
    assert world.listed("--not", *option) == EVERYTHING - kept
