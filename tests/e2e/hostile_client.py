# SPDX-License-Identifier: GPL-2.0-only
"""Hostile options, environments, streams and limits for the programs, as data."""

import os
import resource
import signal
from dataclasses import dataclass, field
from itertools import combinations

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass
class Run:
    name: str
    args: list  # SOCKET stands for the collector's
    code: int
    word: str = ""  # that stderr must have
    out: str = ""  # that stdout must have
    environment: dict = field(default_factory=dict)
    closed: tuple = ()  # of 0, 1, 2
    full: tuple = ()  # of 1, 2: /dev/full
    limit: tuple = None  # for setrlimit
    blocked: tuple = ()  # signals


def bad_options():
    """Exit code 2, or that of the collector's answer, and the thing is named."""
    rows = [
        ("--dport 0", 2, '"0"'), ("--dport 65536", 2, '"65536"'), ("--dport -1", 2, '"-1"'),
        ("--dport 80-70", 2, '"80-70"'), ("--dport 80,,81", 2, "empty"), ("--dport ,", 2, "empty"),
        ("--dport 0x50", 2, '"0x50"'), ("--dport 99999999999999999999", 2, "99999999999999999999"),
        ("--dport 1-2-3", 2, '"1-2-3"'), ("--dport +80", 2, '"+80"'), ("--dport http", 2, '"http"'),
        ("--addr 1.2.3", 2, '"1.2.3"'), ("--addr 1.2.3.4/33", 2, "1.2.3.4/33"),
        ("--addr ::1/129", 2, "::1/129"), ("--addr 1.2.3.4/", 2, "1.2.3.4/"),
        ("--addr " + "1" * 5000, 2, "bad address"), ("--laddr []", 2, "[]"),
        ("--raddr ::1%lo", 2, "::1%lo"), ("--pid 0", 2, '"0"'), ("--pid 4194305", 2, "4194305"),
        ("--uid no-such-user", 2, "no-such-user"), ("--uid 4294967295", 2, "4294967295"),
        ("--comm \xff", 2, "UTF-8"), ("--netns no-such-name", 2, "no-such-name"),
        ("--netns ../../etc/passwd/x", 2, "passwd"), ("--cgroup /etc", 2, "/etc"),
        ("--cgroup " + "x/" * 3000, 2, "x/x/"), ("--role both", 2, '"both"'), ("--not", 2, "--not"),
        ("--not -a", 2, "--all"), ("-4 --not -4", 2, "family"), ("--events nonsense", 2, "nonsense"),
        ("--events conn,", 2, "category"), ("--events " + "x" * 5000, 2, "xxxx"),
        ("--count 0", 2, '"0"'), ("--count -1", 2, '"-1"'), ("--count 18446744073709551616", 2, "count"),
        ("--duration 1y", 2, '"1y"'), ("--duration -1s", 2, '"-1s"'),
        ("--duration 99999999999999999999h", 2, "9999"), ("-o xml", 2, '"xml"'),
        ("-o %s%n", 2, '"%s%n"'), ("--no-such", 2, "no-such"), ("-Z", 2, "Z"), ("--dport", 2, "dport"),
        ("--sport 1 unexpected", 2, "unexpected"), ("\x1b[2J", 2, "\\x1b[2J"),
        ("--dport " + ",".join(["9"] * 65), 1, "64"), ("--raddr " + ",".join(["::1"] * 17), 1, "16"),
        ("--pid " + ",".join(["9"] * 65), 1, "64"), ("--dport " + ",".join(["60000-60001"] * 600), 1,
         "too many"),
    ]  # fmt: skip
    for text, code, word in rows:
        first, _, rest = text.partition(" ")
        args = [first, *([] if not rest else rest.split(" "))]
        yield Run(f"client {text[:40]!r}", ["subscribe", "SOCKET", "--events", "conn", *args], code, word)
    missing = ["--socket", "/nonexistent/sock"]
    yield Run("socket missing", ["status", *missing], 3, "/nonexistent/sock")
    yield Run("socket of 200 bytes", ["status", "--socket", "/" + "s" * 200], 3, "ssss")
    yield Run("socket empty", ["status", "--socket", ""], 3)
    yield Run("socket is a directory", ["status", "--socket", "/tmp"], 3, "/tmp")
    yield Run("socket is a device", ["status", "--socket", "/dev/null"], 3, "/dev/null")
    yield Run("socket with an escape", ["status", "--socket", "/x\x1b[2J"], 3, "\\x1b[2J")


ENVIRONMENTS = {
    "nothing": {},
    "no HOME, strange locale": {"LC_ALL": "xx_YY.no-such", "LANG": "\x1b[2J", "LANGUAGE": "%n"},
    "strange HOME and TZ": {"HOME": "\x1b[2J", "TZ": ":/etc/passwd", "TMPDIR": "/nonexistent"},
    "terminal": {"TERM": "\xff" * 300, "COLUMNS": "-1", "LINES": "99999999999", "NO_COLOR": ""},
    "ssh": {"SSH_CONNECTION": "%n " * 1000, "SSH_TTY": "/dev/null"},
    "POSIX": {"POSIXLY_CORRECT": "1"},
    "libevent": {"EVENT_NOEPOLL": "1", "EVENT_NOPOLL": "1", "EVENT_SHOW_METHOD": "1"},
    "malloc": {"MALLOC_PERTURB_": "165", "MALLOC_ARENA_MAX": "1", "MALLOC_CHECK_": "3"},
    "100 KB": {"X" + str(n): "y" * 1000 for n in range(100)},
}  # fmt: skip


def environments():
    for name, environment in ENVIRONMENTS.items():
        yield Run(f"client with environment {name}", ["status", "SOCKET"], 0, out="scope",
                  environment=environment)  # fmt: skip


def streams():
    commands = {
        "status": ["status", "SOCKET"], "list": ["list", "SOCKET"], "help": ["--help"],
        "version": ["--version"], "usage": ["--usage"],
        "subscribe": ["subscribe", "SOCKET", "--events", "conn", "-c", "1"],
    }  # fmt: skip
    for name, args in commands.items():
        if name != "usage":
            for n in 1, 2, 3:
                for closed in combinations(range(3), n):
                    yield Run(f"{name} with {closed} closed", args, 5 if 1 in closed else 0,
                              "stdout is closed" if 1 in closed else "", closed=closed)  # fmt: skip
        yield Run(f"{name} on a full disk", args, 5, "No space", full=(1,))
        yield Run(f"{name} with nowhere to complain", args, 5, full=(1, 2))
    yield Run("usage error on a full disk", ["--no-such"], 2, full=(1, 2))
    yield Run("no collector, stderr closed", ["status", "--socket", "/nonexistent/x"], 3,
              closed=(2,))  # fmt: skip


def limits():
    status = ["status", "SOCKET"]
    # The loader needs one too.
    yield Run("client with one descriptor", status, 0, limit=(resource.RLIMIT_NOFILE, 4))
    yield Run("client that may write nothing", status, 5, full=(2,),
              limit=(resource.RLIMIT_FSIZE, 0))  # fmt: skip
    yield Run("client that may write 100 bytes", ["--help"], 5, "File too large",
              limit=(resource.RLIMIT_FSIZE, 100))  # fmt: skip
    yield Run("client with a small stack", status, 0, limit=(resource.RLIMIT_STACK, 256 << 10))
    yield Run("client with all signals blocked", ["subscribe", "SOCKET", "--events", "conn", "-q",
              "--dport", "1", "--duration", "10ms"], 0, blocked=tuple(signal.valid_signals()))  # fmt: skip


RUNS = [*bad_options(), *environments(), *streams(), *limits()]

BAD_COLLECTORS = [
    Run(f"collector {' '.join(args)[:40]!r}", args, code, word)
    for args, code, word in [
        (["--no-such"], 2, "no-such"), (["extra"], 2, "extra"), (["--ring"], 2, "ring"),
        (["--ring", "0"], 2, '"0"'), (["--ring", "2G"], 2, "2G"), (["--ring", "-1"], 2, "-1"),
        (["--ring", "4Q"], 2, "4Q"), (["--ring", "18446744073709551616"], 2, "1844"),
        (["--queue", "1K"], 2, "1K"), (["--queue", "1T"], 2, "1T"), (["--queue", "128KK"], 2, "KK"),
        (["--socket-mode", "999"], 2, "999"), (["--socket-mode", "-1"], 2, "-1"),
        (["--socket-mode", "01000"], 2, "01000"), (["--log-level", "%s%n"], 2, "%s%n"),
        (["--user", ""], 2, "user"), (["--socket", ""], 2, "socket"),
        (["--user", "no-such-user"], 78, "no-such-user"), (["--user", "root"], 78, "root"),
        (["--user", "\x1b[2J"], 78, "\\x1b[2J"), (["--socket", "/" + "s" * 200], 1, "ssss"),
        (["--socket", "/nonexistent/x"], 1, "/nonexistent/x"), (["--socket", "SOCKET"], 3, "another"),
    ]
]  # fmt: skip

# Collectors that must start, serve, and end when asked.
STARTS = [
    *(
        Run(f"collector with {closed} closed", [], 0, closed=closed)
        for closed in [(0,), (1,), (2,), (0, 1, 2)]
    ),
    Run("collector with a strange environment", [], 0, environment={
        name: value for part in ENVIRONMENTS.values() for name, value in part.items()}),
    Run("collector with nowhere to complain", [], 0, full=(1, 2)),
    Run("collector that may write nothing", [], 0, limit=(resource.RLIMIT_FSIZE, 0)),
    Run("collector with signals blocked", [], 0, blocked=(signal.SIGTERM, signal.SIGINT)),
]


def prepare(run):
    """In the child, before the program."""

    def apply():
        os.umask(0o777)
        signal.pthread_sigmask(signal.SIG_BLOCK, run.blocked)
        for fd in run.full:
            os.dup2(os.open("/dev/full", os.O_WRONLY), fd)
        for fd in run.closed:
            os.close(fd)
        if run.limit:
            number, value = run.limit
            resource.setrlimit(number, (value, value))

    return apply
