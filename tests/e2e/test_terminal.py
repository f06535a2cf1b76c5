# SPDX-License-Identifier: GPL-2.0-only
"""What a terminal shows: lines that fit it, columns below their titles, colours."""

import re

import pytest

import netwatch_pb2 as pb
from formats import ALL, CONNECTS
from harness import ALICE, CONN
from terminal import Terminal

EVENTS = *CONN, "-v", "--no-existing"


@pytest.fixture
def shown(netwatch, traffic):
    """What a terminal of some width shows of the traffic."""

    def run(columns, *options, env=None):
        terminal = Terminal(columns)
        client = netwatch(
            *EVENTS, "-a", "--port", traffic.ports, *options, uid=ALICE, stdout=terminal.stdout,
            env={"TERM": "xterm", **(env or {})},
        )
        terminal.close()
        client.wait_subscribed()
        traffic.run()
        assert client.stop() == 0, client
        return terminal

    return run


def check_fits(terminal):
    lines = terminal.lines()
    assert all(len(line) <= terminal.columns for line in lines), lines
    assert not any(line.endswith(" ") for line in lines)
    return lines


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
def test_table_in_a_terminal(shown, columns):
    """Nothing is longer than a line of it, and the columns stand below their titles."""
    header, *lines = check_fits(shown(columns))
    first = [line for line in lines if re.match(r"\d\d:", line)]
    assert len(first) == ALL
    places = [header.index(title) for title in ("TIME", "EVENT", "LOCAL", "REMOTE", "PROCESS")]
    for line in first:
        for place in places:
            assert line[place] != " " and line[place - 1 : place] in ("", " "), (header, line)
    # what goes on below stands below the second column
    for line in lines:
        assert line in first or re.match(rf" {{{places[1]}}}\w+=", line), line
    assert any("[::1]:" in line for line in first)


LONG = "2001:db8:1234:5678:9abc:def0:1234:5678"


@pytest.mark.parametrize("columns", [80, 100, 120, 140, 160, 200, 220])
def test_long_values_in_a_terminal(netwatch, stub, columns):
    """The longest addresses, and a name that grows when it is escaped."""
    terminal = Terminal(columns)
    client = netwatch(
        *CONN, socket=stub.path, stdout=terminal.stdout, env={"TERM": "xterm"}
    )
    terminal.close()
    peer = stub.live()
    for comm in "curl", "\x1b" * 12, "curl":
        peer.event(
            laddr=LONG, lport=65535, raddr=LONG, rport=65535, comm=comm, pid=4194304,
            role=pb.CLIENT, uid=4294967294, netns=4026531840, event=pb.Conn.FAILED,
        )
    peer.event(raddr="10.0.0.2", rport=80, comm="curl", pid=1)
    peer.bye(reason=pb.Bye.SHUTDOWN)
    assert client.wait() == 4
    lines = check_fits(terminal)
    text = " ".join(" ".join(lines).split())
    assert text.count(f"[{LONG}]:65535") == 6 and text.count("\\x1b" * 12 + "[4194304]") == 1
    assert text.count("curl[4194304]") == 2 and text.count("error=ECONNREFUSED") == 4
    # and what is short again is one row
    last = [line for line in lines if re.match(r"\d\d:", line)][-1]
    assert re.search(r" 10.0.0.1:80 +10.0.0.2:80 +curl\[1\]", last), lines


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_fields_in_a_terminal(shown, columns):
    lines = check_fits(shown(columns, "--fields", "time,laddr,lport,raddr,rport,comm,conn.event"))
    words = " ".join(lines).split()
    assert words[:7] == ["TIME", "LADDR", "LPORT", "RADDR", "RPORT", "COMM", "CONN.EVENT"]
    assert len(words) == 7 * (1 + ALL)
    assert words[7 + 6 :: 7].count("CLOSE") == 2 * 2 * CONNECTS
    if columns == 200:
        assert len({line.index(word) for line, word in zip(lines[1:], words[13::7])}) == 1


@pytest.mark.parametrize(
    "options, env, colored",
    [
        ([], {}, True),
        (["-o", "compact"], {}, True),
        (["--fields", "conn.event"], {}, True),
        ([], {"NO_COLOR": "1"}, False),
        ([], {"NO_COLOR": ""}, True),
        ([], {"TERM": "dumb"}, False),
        ([], {"TERM": ""}, False),
        (["--color", "always"], {"NO_COLOR": "1", "TERM": "dumb"}, True),
        (["--color", "never"], {}, False),
        (["-o", "csv", "--color", "always"], {}, False),
        (["-o", "json", "--color", "always"], {}, False),
    ],
)
def test_color_in_a_terminal(netwatch, traffic, options, env, colored):
    terminal = Terminal(100)
    client = netwatch(
        "list", "--port", traffic.ports, *options, uid=ALICE, stdout=terminal.stdout,
        env={"TERM": "xterm", **env},
    )
    terminal.close()
    assert client.wait() == 0
    assert ("\x1b" in terminal.text()) == colored


def test_color_in_a_pipe(netwatch, traffic):
    for options, colored in ([], False), (["--color", "always"], True):
        client = netwatch(
            "list", "--port", traffic.ports, *options, uid=ALICE, env={"TERM": "xterm"}
        )
        assert client.wait() == 0
        assert (b"\x1b" in b"".join(client.out.lines)) == colored


@pytest.mark.parametrize("command", ["subscribe", "list"])
def test_no_pb_to_a_terminal(netwatch, collector, command):
    terminal = Terminal(80)
    client = netwatch(command, "-o", "pb", stdout=terminal.stdout)
    terminal.close()
    assert client.wait() == 2
    assert "terminal" in client.err.text() and "--output pb" in client.err.text()
    assert terminal.text() == ""
