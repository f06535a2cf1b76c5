# SPDX-License-Identifier: GPL-2.0-only
"""The manual pages: that they are well formed, that they have what the programs and the
protocol have and nothing else, and that their examples work."""

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import contract
import netwatch_pb2 as pb
import wire
from harness import ALICE, DEADLINE_S, Lines, end_process, wait_until
from manpage import DOC, Page

CLIENT, COLLECTOR, PROTOCOL = "netwatch.1", "netwatch-collector.8", "netwatch.proto.5"
PAGES = sorted(path.name for path in DOC.glob("*.[158]"))


def run(place, program, *arguments):
    return subprocess.run(
        [getattr(place, program), *arguments], env=place.environment, cwd="/",
        capture_output=True, text=True, timeout=DEADLINE_S, stdin=subprocess.DEVNULL, check=False,
    )


def help_of(place, program, *arguments):
    done = run(place, program, *arguments, "--help")
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def names_and_argument(text):
    """'-o, --output FORMAT' -> ({'-o', '--output'}, 'FORMAT')"""
    names = re.findall(r"(?:^|, )(-[\w?]|--[\w-]+)", text)
    return frozenset(names), re.sub(r"(?:(?:, )?(?:-[\w?]|--[\w-]+)(?=,| |$))+ ?", "", text).strip()


def options_of_help(text):
    found = re.findall(r"^ {2,6}(-\S.*?)(?:  .*)?$", text, re.M)
    return dict(names_and_argument(row) for row in found)


def option_items(page):
    """names -> item; of OPTIONS, without '--'."""
    return {
        names_and_argument(item.tag)[0]: item
        for item in page.items
        if item.section == "OPTIONS" and not item.tag.startswith("-- ")
    }


def options_of_page(page):
    return dict(names_and_argument(item.tag) for item in option_items(page).values())


def commands_of_help(text):
    block = re.search(r"^Commands:\n(.*?)\n\n", text, re.M | re.S)[1]
    return [re.split(r"  +", line.strip())[0] for line in block.splitlines()]


# --------------------------------------------------------------------- form


def test_pages_are_all_here():
    assert PAGES == sorted([CLIENT, COLLECTOR, PROTOCOL])


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "lint",
    [["mandoc", "-Tlint", "-W", "warning"], ["groff", "-man", "-ww", "-z", "-Tutf8"]],
    ids=lambda lint: lint[0],
)
def test_lint(name, lint):
    done = subprocess.run([*lint, DOC / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", PAGES)
def test_head(place, name):
    """Name and section of the file, and the programs' version."""
    title, section = re.match(r"(\S+) (\d) ", Page(name).head).groups()
    assert f"{title}.{section}".lower() == name
    for program in "client", "collector":
        version = run(place, program, "--version").stdout.split()[-1]
        assert f'"netwatch {version}"' in Page(name).head


@pytest.mark.parametrize("name", PAGES)
def test_references(name):
    """SEE ALSO, in order, names the other pages too."""
    text = re.search(r"^\.SH SEE ALSO\n(.*)\Z", Page(name).source, re.M | re.S)[1]
    named = [f"{page}.{section}".replace("\\-", "-")
             for page, section in re.findall(r"\.BR (\S+) \((\d)\)", text)]
    assert set(PAGES) - {name} <= set(named)
    others = [page for page in named if page not in PAGES]
    assert others == sorted(others, key=lambda page: (page[-1] != "1", page[-1] != "8", page))


# ------------------------------------------------------------ what they name


def test_options_of_client(place):
    """The same names and the same word for the argument; no other option."""
    assert options_of_page(Page(CLIENT)) == options_of_help(help_of(place, "client"))


def test_options_of_collector(place):
    assert options_of_page(Page(COLLECTOR)) == options_of_help(help_of(place, "collector"))


def test_commands(place):
    assert sorted(Page(CLIENT).tags("COMMANDS")) == sorted(
        commands_of_help(help_of(place, "client"))
    )


def takers(item, page, commands):
    """Names of the commands that take an option, as the page says."""
    only = re.search(r"Only ([a-z ,]+)\.$", item.text.strip())
    of = re.findall(r"(?:Of|Options of) ([a-z ,]+)\.",
                    f"{page.introduction(item.subsection)} {item.text}")
    named = only[1] if only else of[-1]
    everyone, all_of_them, but = named.partition("all commands")
    words = {word for word in re.split(r",| and | but |\s", but or everyone) if word}
    return set(commands) - words if all_of_them else words


def test_options_of_commands(place):
    """Each command takes those options of which the page says so."""
    page = Page(CLIENT)
    commands = [command.split()[0] for command in page.tags("COMMANDS")]
    said = {names: takers(item, page, commands) for names, item in option_items(page).items()}
    for command in commands:
        shown = options_of_help(help_of(place, "client", command))
        assert set(shown) == {names for names in said if command in said[names]}, command


def test_command_behind_dashes(place):
    tag, = [item.tag for item in Page(CLIENT).items if item.tag.startswith("-- ")]
    for command in [], ["subscribe"]:
        assert f"[{tag}]" in help_of(place, "client", *command).splitlines()[0]
    assert f"[{tag}]" not in help_of(place, "client", "list")


def test_metrics():
    """All families that export serves, and no other."""
    source = (DOC.parent / "client/metrics_table.c").read_text()
    families = set(re.findall(r'^\t\[METRICS_\w+\] = \{"(\w+)"', source, re.M))
    section = re.search(r"^\.SH METRICS\n(.*?)^\.SH", Page(CLIENT).source, re.M | re.S)[1]
    named = set(re.findall(r"\b(?:netwatch|http_server|http_client)_\w+", section))
    assert len(families) > 20 and named == families


def test_exit_status(place):
    shown = re.search(r"^Exit status:\n(.*)", help_of(place, "client"), re.M | re.S)[1]
    assert Page(CLIENT).tags("EXIT STATUS") == re.findall(r"^ +(\d+)  ", shown, re.M)
    shown = re.search(r"^Exit: (.*)", help_of(place, "collector"), re.M | re.S)[1]
    assert Page(COLLECTOR).tags("EXIT STATUS") == re.findall(r"(?:^|,\s)(\d+) ", shown)


def test_defaults_of_collector(place):
    """In --help in parentheses, in the page as such."""
    page = Page(COLLECTOR)
    for line in help_of(place, "collector").splitlines():
        row = re.match(r"  .*?(--[\w-]+) .*\(([^()]*)\)$", line)
        if row:
            text, = [item.text for names, item in option_items(page).items() if row[1] in names]
            default = re.escape(row[2])
            assert re.search(rf"default.*{default}|{default} ?, *the default", text), row[0]


def fields(message):
    return [field.name for field in message.fields]


def test_fields():
    """All fields of connections and of each category, in order, and the names of values."""
    page = Page(CLIENT)
    event = pb.Event.DESCRIPTOR.fields_by_name
    for name in fields(pb.Event.DESCRIPTOR)[1:]:
        items = [item for item in page.items
                 if (item.section, item.subsection) == ("EVENTS", name)]
        named = [word for item in items for word in item.tag.split(", ")]
        assert named == fields(event[name].message_type), name
        for field in event[name].message_type.fields:
            values = field.enum_type.values if field.enum_type else []
            text = " ".join(item.text for item in items)
            if field.enum_type and field.enum_type.containing_type is not pb.Tcp.DESCRIPTOR:
                assert all(value.name in text for value in values), field.name


def test_protocol():
    """All requests, replies, errors and reasons, in order."""
    page = Page(PROTOCOL)

    def tags(subsection):
        return page.tags("DESCRIPTION", subsection)

    assert tags("Requests") == fields(pb.Request.DESCRIPTOR.oneofs_by_name["request"])
    assert tags("Replies") == fields(pb.Reply.DESCRIPTOR.oneofs_by_name["reply"])
    assert tags("Errors") == pb.Error.Code.keys()
    assert tags("The reasons of bye") == pb.Bye.Reason.keys()


def test_limits():
    """The numbers of the contract."""
    items = [item for item in Page(PROTOCOL).items if item.subsection == "Limits"]
    numbers = {int(number) for item in items for number in re.findall(r"\d+", item.text)}
    for _, value, _ in contract.table("limit"):
        assert set(contract.numbers(value)) <= numbers


# ----------------------------------------------------------------- examples


def commands_in(text):
    """Words of each netwatch in lines of a shell."""
    for found in re.finditer(r"\bnetwatch(-collector)?((?: [^|>()\"]*)?)", text):
        yield "collector" if found[1] else "client", found[2].split()


def try_example(place, program, words):
    """With --help nothing happens, but every option before it is judged."""
    before = words[:words.index("--")] if "--" in words else words
    done = run(place, program, *before, "--help")
    assert done.returncode == 0, (words, done.stderr)


@pytest.mark.parametrize("name", [CLIENT, COLLECTOR])
def test_examples(place, name):
    tried = 0
    for line in "".join(Page(name).examples()).splitlines():
        for program, words in commands_in(line) if not line.startswith("useradd") else ():
            try_example(place, program, words)
            tried += 1
    assert tried >= 3


def test_examples_of_readme(place):
    text = (DOC.parent / "README.md").read_text()
    lines = re.findall(r"^    (?:\$ )?(netwatch\S* .*?)(?:  +#.*)?$", text, re.M)
    assert len(lines) >= 5
    for line in lines:
        for program, words in commands_in(line):
            try_example(place, program, words)


@pytest.mark.parametrize("name", PAGES)
def test_examples_can_be_copied(name):
    """No dash and no quote of theirs becomes another character on a terminal."""
    page = Page(name)
    for shown in page.shown():
        lines = {line.strip() for line in shown.splitlines()}
        for line in "".join(page.examples()).splitlines():
            assert line.strip() in lines, line


def client_of_the_page():
    program, = [block for block in Page(PROTOCOL).examples() if "import socket" in block]
    return program


@pytest.mark.parametrize("size", [1, 126, 127, 128, 300, 4000])
def test_framing_of_the_page(size):
    """Its functions alone, for lengths that its conversation does not have."""
    functions = {}
    exec(client_of_the_page().split("\npath,")[0], functions)
    hello = pb.Hello(major=1, program="x" * size)
    stream = io.BytesIO()
    functions["send"](stream, hello=hello)
    assert stream.getvalue() == wire.frame(pb.Request(hello=hello))
    stream.seek(0)  # a hello of both sides looks the same
    assert functions["receive"](stream).hello == hello


def test_client_of_the_page(place, collector, actor):
    """The program in netwatch.proto(5), as it stands there, is a client."""
    path = Path(place.new_path("client.py"))
    path.write_text(client_of_the_page())
    server, client = actor(), actor(comm=b"an-actor")
    port = server.server()
    server.drop_served()
    process = subprocess.Popen(
        [sys.executable, path, collector.socket, str(port), "4"], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, user=ALICE, group=ALICE, extra_groups=[], env=place.environment,
    )
    said = Lines(process.stdout)
    try:
        wait_until(lambda: said.lines or process.poll() is not None, "it is subscribed")
        client.connects(count=2, address="127.0.0.1", port=port)
        assert process.wait(DEADLINE_S) == 0, said.text()
    finally:
        end_process(process)
    said.finish()
    assert said.text().splitlines() == ["subscribed"] + 2 * [
        f"OPEN 127.0.0.1 {port} an-actor", f"ESTABLISHED 127.0.0.1 {port} an-actor"
    ] + ["matched 4"]
