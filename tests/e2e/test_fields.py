# SPDX-License-Identifier: GPL-2.0-only
"""`netwatch fields`: its names are those of --fields, its words those of the .proto as protoc
reads it, and it needs neither a collector nor root."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from google.protobuf import descriptor_pb2

from conftest import ROOT
from harness import ALICE, DEADLINE_S

AWK = ROOT / "proto" / "comments.awk"
PROTO = ROOT / "proto" / "netwatch.proto"
NO_SOCKET = "/nonexistent/sock"


def run(netwatch, *args):
    """Standard output, of a user where there is no collector."""
    client = netwatch(*args, socket=NO_SOCKET, uid=ALICE)
    assert client.wait() == 0 and not client.err.text(), client
    return client.out.text()


@pytest.fixture
def fields(netwatch):
    return [json.loads(line) for line in run(netwatch, "fields", "-o", "json").splitlines()]


def test_same_names_as_csv(netwatch, collector, fields):
    """The header of a subscription to everything has the fields, in their order."""
    names = [field["name"] for field in fields]
    offered = [
        value["name"]
        for field in fields
        if field["name"] == "category"
        for value in field["values"]
        if value["name"] != "lost"
    ]
    header = netwatch("subscribe", "--no-follow", "--no-existing", "-o", "csv",
                      "--events", ",".join(offered), uid=ALICE)
    assert header.wait() == 0, header
    assert header.out.text().strip().split(",") == names

    chosen = netwatch("list", "-o", "csv", "--dport", 1, "--fields", ",".join(names), uid=ALICE)
    assert chosen.wait() == 0, chosen
    assert chosen.out.text().strip().split(",") == names


def test_table(netwatch, fields):
    """One line for each field, and one for each value, in a pipe however long."""
    head, *lines = run(netwatch, "fields").splitlines()
    assert head.split() == ["NAME", "TYPE", "UNIT", "MEANING"]
    columns = [head.index(word) for word in head.split()]

    def cells(line):
        ends = columns[1:] + [len(line)]
        return [line[start:end].strip() for start, end in zip(columns, ends)]

    wanted = []
    for field in fields:
        wanted.append([field["name"], field["type"], field.get("unit", "-"), field["meaning"]])
        wanted += [[value["name"], "", "", value["meaning"]] for value in field.get("values", [])]
    assert [cells(line) for line in lines] == wanted
    assert all(line.startswith("  ") == (not cells(line)[1]) for line in lines)


def test_terminal(place, netwatch):
    """80 columns are kept, and no word is lost."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 25, 80, 0, 0))
    process = subprocess.Popen([place.client, "fields"], stdin=subprocess.DEVNULL,
                               stdout=follower, env=place.environment, user=ALICE, group=ALICE,
                               extra_groups=[], cwd="/")
    os.close(follower)
    text = b""
    try:
        while piece := os.read(leader, 65536):
            text += piece
    except OSError:  # the end of a terminal
        pass
    os.close(leader)
    assert process.wait(DEADLINE_S) == 0
    lines = text.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(lines).split() == run(netwatch, "fields").split()
    assert len(lines) > len(run(netwatch, "fields").splitlines())


def test_formats(netwatch):
    for word in "csv", "pb", "compact":
        client = netwatch("fields", "-o", word, socket=NO_SOCKET)
        assert client.wait() == 2 and word in client.err.text(), client
    with open("/dev/full", "wb") as full:
        client = netwatch("fields", socket=NO_SOCKET, stdout=full)
        assert client.wait() == 5 and "space" in client.err.text(), client


# ------------------------------------------------------------------ the .proto and its comments


def locations(path):
    """{path: comment} of the .proto as protoc sees it, and its descriptor."""
    subprocess.run(
        ["protoc", f"-I{PROTO.parent}", "-I/usr/include", "--include_source_info",
         f"--descriptor_set_out={path}", PROTO.name],
        check=True,
    )
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes()).file
    said = {}
    for location in file.source_code_info.location:
        text = location.leading_comments + location.trailing_comments
        said[tuple(location.path)] = re.sub(r" \[\w+\]$", "", " ".join(text.split()))
    return file, said


def comments_of(file, said):
    """{full name: comment} of all members of all types."""
    named = {}

    def enum(scope, path, descriptor):
        for i, value in enumerate(descriptor.value):
            named[f"{scope}.{descriptor.name}.{value.name}"] = said.get((*path, 2, i))

    def message(scope, path, descriptor):
        scope = f"{scope}.{descriptor.name}"
        for i, field in enumerate(descriptor.field):
            named[f"{scope}.{field.name}"] = said.get((*path, 2, i))
        for i, nested in enumerate(descriptor.nested_type):
            message(scope, (*path, 3, i), nested)
        for i, nested in enumerate(descriptor.enum_type):
            enum(scope, (*path, 4, i), nested)

    for i, descriptor in enumerate(file.message_type):
        message("netwatch", (4, i), descriptor)
    for i, descriptor in enumerate(file.enum_type):
        enum("netwatch", (5, i), descriptor)
    return named


def test_meanings_are_the_comments(place, fields):
    import netwatch_pb2 as pb

    named = comments_of(*locations(place.new_path("descriptor")))
    top = pb.Event.DESCRIPTOR

    def check_values(field, descriptor):
        values = field.get("values", [])
        names = [] if descriptor.enum_type is None else [v.name for v in descriptor.enum_type.values]
        assert [value["name"] for value in values] == names
        for value in values:
            enum = descriptor.enum_type.full_name
            assert value["meaning"] == named[f"{enum}.{value['name']}"]

    for field in fields:
        name = field["name"]
        message = top
        if name not in ("time", "category"):
            category, _, name = ("." + name).rpartition(".")
            message = top.fields_by_name[category.strip(".") or "connection"].message_type
        if name == "category":
            for value in field["values"]:
                assert value["meaning"] == named[f"netwatch.Event.{value['name']}"]
        else:
            assert field["meaning"] == named[f"{message.full_name}.{name}"]
            check_values(field, message.fields_by_name[name])


def generate(path, text):
    path.write_text(text)
    return subprocess.run(["awk", "-f", AWK, path], capture_output=True, text=True, timeout=DEADLINE_S)


@pytest.mark.parametrize(
    "line, replacement, error",
    [
        ("uint32 lport = 3; .*", "uint32 lport = 3;", "netwatch.Connection.lport has no comment"),
        ("SYN_SENT = 2; .*", "SYN_SENT = 2;", "netwatch.Tcp.State.SYN_SENT has no comment"),
        ("(Lost lost = 3;).*", r"\1", "netwatch.Event.lost has no comment"),
        (r"(uint64 segs_in = 9;).*", r"\1  // [segments]", "segs_in has no comment"),
        (r"(uint64 segs_in = 9;).*", r"\1  // some [sgments]", 'unknown unit "sgments"'),
        (r"( *optional Lost lost = 3;)", r"  // two\n\1", "a comment above and one at the end"),
        (r"(uint32 lport = 3;) *//.*", r"\1 /* local port */", "only // comments"),
        (r"uint32 lport = 3;", "uint32\nlport = 3;", "not understood: optional uint32"),
        (r"(Role role = 6;.*)", r"\1\n// about nothing\n", "a comment about nothing"),
        (r"optional Role role = 6;", "optional Roll role = 6;", "unknown type Roll"),
        (r"^message Event {", "message Events {", "there is no netwatch.Event"),
    ],
)
def test_generator_refuses(place, line, replacement, error):
    """A member without a comment, and whatever it does not understand, fails with its place."""
    path = place.new_path("proto")
    text, count = re.subn(line, replacement, PROTO.read_text(), count=1, flags=re.M)
    assert count == 1
    done = generate(path, text)
    assert done.returncode == 1 and error in done.stderr, done
    assert re.match(rf"{path}:\d+: ", done.stderr)


def test_generator_accepts(place):
    """Comments above, of several lines; elsewhere than in events they may be missing."""
    text = PROTO.read_text()
    text = re.sub(r"( *)(optional uint32 lport = 3;) *// .*",
                  r'\1// the "local"\n\1// port [bytes]\n\1\2', text)
    text = re.sub(r"(optional uint32 last = 2;).*", r"\1", text)
    done = generate(place.new_path("proto"), text)
    assert done.returncode == 0, done
    assert '{"netwatch.Connection", "lport", "the \\"local\\" port", "bytes"},' in done.stdout
    assert "PortRange" not in done.stdout
