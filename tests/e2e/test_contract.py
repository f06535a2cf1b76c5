# SPDX-License-Identifier: GPL-2.0-only
"""doc/interface.md is a promise: its tables are read, and every row is tried against the
programs. A row that nothing here tries fails, so that the contract does not change unnoticed."""

import contextlib
import json
import re

import pytest

pytest.register_assert_rewrite("contract_limits", "contract_options", "contract_output")

import contract
import contract_limits as limits
import contract_options as options
import contract_output as output
import netwatch_pb2 as pb
from contract_world import World
from harness import ALICE, CONN

# What the contract has and the programs do not yet: refused, and not silently.
LATER = {
}
# Offered, and accepted here; what they tell is tried where a link loses what it should.
ELSEWHERE_CATEGORIES = {
    "retransmit": "test_retransmit.py",
    "congestion": "test_congestion.py",
    "packet": "test_packet.py",
    "error": "test_error.py",
    "– times": "test_packet_times.py",
    "http": "test_http.py",
}
ELSEWHERE_FILTERS = {
    word: "test_http.py"
    for word in ("--http-method", "--http-host", "--http-path", "--http-status", "--min-latency")
}
LATER_CATEGORIES = {
}


@pytest.fixture(scope="module")
def world(request):
    with contextlib.ExitStack() as stack:
        yield World(request.config.netwatch_place, stack)


def look_up(table, row):
    assert row in table, f"nothing tries this row of the contract: {row}"
    return table[row]


def refused(done, named):
    """By the parser, with the name of what it refuses and nothing on stdout."""
    assert done.returncode == 2 and named in done.stderr and not done.stdout, done


def test_every_table_is_read():
    """A table more is a table that nothing here tries."""
    elsewhere = {
        "RX": "test_packet_times.py",
        "peer": "test_visibility.py",
    }
    here = {"command", "collector option", "category", "option", "exit", "member", "limit"}
    assert set(contract.all_tables()) == here | set(elsewhere)


def test_nothing_is_tried_that_is_not_promised():
    named = {
        *contract.command_words(), *dict(contract.collector_options()), *contract.output_options(),
        *dict(contract.categories()), *contract.filter_options(), *contract.exit_codes(),
        *contract.error_codes(), *(row[0] for row in contract.table("limit")),
    }
    tried = {
        *options.COMMANDS, *options.COLLECTOR, *options.FILTERS, *output.OUTPUT, *limits.LIMITS,
        *limits.ERRORS, *limits.EXITS, *LATER, *LATER_CATEGORIES,
        *ELSEWHERE_CATEGORIES, *ELSEWHERE_FILTERS,
    }
    assert tried <= named


@pytest.mark.parametrize("word", contract.command_words())
def test_command(world, word):
    if word in LATER:
        refused(world.run(word), word)
    else:
        look_up(options.COMMANDS, word)(world)


def test_what_needs_no_collector(world):
    sentence = contract.paragraph(contract.section(1), "`--help` (also")
    for word in contract.codes(sentence):
        if word not in LATER:
            arguments = [word, *options.OPERANDS.get(word, [])]
            done = world.run(*arguments, uid=ALICE, socket="/nowhere")
            assert done.returncode == 0 and done.stdout and not done.stderr, done


@pytest.mark.parametrize("row", contract.collector_options(), ids=lambda row: row[0])
def test_collector_option(world, row):
    word, default = row
    if word in LATER:
        refused(world.run_collector(word, "5"), word)
    else:
        look_up(options.COLLECTOR, word)(world, default)


@pytest.mark.parametrize("row", contract.categories(), ids=lambda row: row[0])
def test_category(world, row):
    """One that is not offered is refused by its name, asked for by name or by letter."""
    name, words = row
    if name == "conn":
        done = world.run("subscribe", "--events", name, "--no-follow", "--port", world.port)
        assert done.returncode == 0 and len(done.stdout.splitlines()) == 4
        return
    if name == "tcpinfo":
        for option in [["--events", name], *([word] for word in words)]:
            done = world.run("subscribe", *option, "-d", world.port, "--no-existing",
                             "--interval", "100ms", "-c", 2, "-o", "json")
            found = [json.loads(line) for line in done.stdout.splitlines()]
            assert done.returncode == 0 and len(found) == 2, done
            assert all(set(event) == {"time", "connection", name} for event in found)
        return
    asked = [[word] for word in words]
    if not name.startswith("–"):
        asked += [["--events", name], ["--events", f"conn,{name}"]]
    if name in ELSEWHERE_CATEGORIES:
        for option in asked:
            done = world.run("subscribe", *option, "--no-follow", "-v", "--port", world.port)
            assert done.returncode == 0 and re.search("^subscribed", done.stderr, re.M), done
        return
    look_up(LATER_CATEGORIES, name)
    for option in asked:
        done = world.run("subscribe", *option)
        named = "packet" if name.startswith("–") else name
        assert done.returncode == 78 and f'"{named}"' in done.stderr and not done.stdout, done


def test_time_needs_packet(world):
    """Words of section 2."""
    refused(world.run(*CONN, "-t"), "--time")


def test_all(world):
    """Closed connections with -a only; in list: those of the history, without which it is exit
    78, which names the option."""
    for word in "-a", "--all":
        done = world.run("list", word)
        assert done.returncode == 78 and "--history" in done.stderr, done
        collector = world.remembering
        done = world.run("list", word, "-d", world.remembered_port, "-o", "json",
                         socket=collector.socket)
        found = [json.loads(line)["conn"] for line in done.stdout.splitlines()]
        assert done.returncode == 0 and [conn["event"] for conn in found] == ["CLOSE"] * 2, done
        assert all("bytes_received" in conn and "duration_us" in conn for conn in found)
    for option, stages in ([], {"OPEN", "ESTABLISHED"}), (["-a"], {"OPEN", "ESTABLISHED", "CLOSE"}):
        watch = world.start(*CONN, "-v", "-o", "json", "-d", world.port, "--no-existing",
                            *option).wait_subscribed()
        fd = world.client.connect(address="127.0.0.1", port=world.port)["fd"]
        world.client.close(fd=fd)
        world.server.close(fd=world.server.accept(fd=world.listener)["fd"])
        watch.wait_events(len(stages))
        assert {event["conn"]["event"] for event in watch.stopped_events()} == stages


@pytest.mark.parametrize("word", contract.filter_options())
def test_filter_option(world, word):
    if word in LATER:
        refused(world.run("subscribe", word, "1"), word)
    elif word in ELSEWHERE_FILTERS:
        done = world.run(*CONN, word, "200", "--no-follow", "-v")
        assert done.returncode == 0 and re.search("^subscribed", done.stderr, re.M), done
    else:
        look_up(options.FILTERS, word)
        options.try_filter(world, word)


@pytest.mark.parametrize("row", contract.output_options())
def test_output_option(world, row):
    if row in LATER:
        refused(world.run("subscribe", *row.split()), row.split()[0])
    else:
        look_up(output.OUTPUT, row)(world)


@pytest.mark.parametrize("code", contract.exit_codes())
def test_exit_code(world, code):
    assert look_up(limits.EXITS, code)(world) == code
    assert re.search(rf"^ +{code}  ", world.run("--help").stdout, re.M)


@pytest.mark.parametrize("name", contract.error_codes())
def test_error_code(world, name):
    assert limits.exit_of_error(world, name) == limits.EXIT_OF_ERROR[name]
    assert look_up(limits.ERRORS, name)(world) == name


def test_error_codes_are_those_of_the_protocol():
    assert set(contract.error_codes()) == set(pb.Error.Code.keys())


def known_names(message):
    """Its fields, and the names of their enums' values."""
    names = set()
    for field in message.fields:
        names.add(field.name)
        if field.enum_type:
            names |= {value.name for value in field.enum_type.values}
    return names


def test_fields_are_those_of_the_protocol():
    """Each name of section 5 is there, for the members of Event that there are."""
    event = pb.Event.DESCRIPTOR.fields_by_name
    rows = [(contract.codes(member)[0], fields) for member, fields in contract.table("member")]
    assert set(event) - {"time", "connection"} <= {name for name, _ in rows}
    for name, _ in rows:
        assert name in event or name in LATER_CATEGORIES
    rows.append(("connection", contract.paragraph(contract.section(5), "`connection`: `id`")))
    for name, fields in rows:
        if name in event:
            named = set(contract.codes(fields)) - {
                "ECONNREFUSED", "sk:", "ss -e", "--kernel-addresses", "connection", "id", "-t",
                "TCP_INVALID_SEQUENCE", "DROP", "fields",
            }
            assert named <= known_names(event[name].message_type), name


# Last: what takes seconds was begun with the first test.
@pytest.mark.parametrize(
    "row",
    sorted(contract.table("limit"), key=lambda row: "hello" in row[0]),
    ids=lambda row: row[0],
)
def test_limit(world, row):
    look_up(limits.LIMITS, row[0])(world, *row[1:])
