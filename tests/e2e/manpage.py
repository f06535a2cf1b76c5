# SPDX-License-Identifier: GPL-2.0-only
"""Reads a manual page in man(7) macros: its sections, its items, its examples, and what it
looks like on a terminal."""

import re
import subprocess
from collections import namedtuple
from pathlib import Path

DOC = Path(__file__).resolve().parents[2] / "doc"

Item = namedtuple("Item", "section subsection tag text")
ESCAPES = {r"\-": "-", r"\e": "\\", r"\(aq": "'", r"\(bu": "*", r"\|": "", r"\(lq": '"', r"\(rq": '"'}


def plain(line):
    """Without escapes and fonts."""
    line = re.sub(r"\\f[BIRP]", "", line)
    return re.sub("|".join(map(re.escape, ESCAPES)), lambda found: ESCAPES[found[0]], line)


def words(line):
    """A line of text, or the arguments of a macro of fonts, as they are printed."""
    macro = re.match(r"\.([BIR]+) (.*)", line)
    if not macro:
        return plain(line)
    arguments = [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', macro[2])]
    return plain(("" if len(macro[1]) > 1 else " ").join(arguments))


class Page:
    def __init__(self, name):
        self.path = DOC / name
        self.source = self.path.read_text()
        self.head = plain(re.search(r"^\.TH (.*)", self.source, re.M)[1])
        self.items = list(self.read_items())

    def read_items(self):
        section = subsection = tag = None
        text = []
        lines = iter(self.source.splitlines())
        for line in lines:
            if re.match(r"\.(SH|SS|TP|PP|IP)\b", line):
                if tag:
                    yield Item(section, subsection, tag, " ".join(text))
                tag, text = None, []
            if line.startswith(".SH "):
                section, subsection = line[4:], None
            elif line.startswith(".SS "):
                subsection = line[4:]
            elif line == ".TP":
                tag = words(next(lines))
            else:
                text.append(words(line))

    def tags(self, section, subsection=None):
        return [item.tag for item in self.items
                if (item.section, item.subsection) == (section, subsection)]

    def introduction(self, subsection):
        """The text between a heading and its first item."""
        text = re.search(rf"^\.SS {re.escape(subsection)}\n(.*?)^\.(?:TP|SH|SS)", self.source,
                         re.M | re.S)[1]
        return " ".join(map(words, text.splitlines()))

    def examples(self):
        """Blocks of lines, as one would type them."""
        section = re.search(r"^\.SH EXAMPLES\n(.*?)^\.SH", self.source, re.M | re.S)[1]
        blocks = re.findall(r"^\.EX\n(.*?)^\.EE", section, re.M | re.S)
        # What these become depends on the system.
        assert not re.search(r"(?<!\\)-|['`^~]", "".join(blocks)), "not escaped in an example"
        return [plain(block) for block in blocks]

    def shown(self):
        """The page on a terminal, by both programs that show such pages."""
        for command in (["mandoc", "-Tutf8"], ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=100n"]):
            done = subprocess.run([*command, self.path], capture_output=True, text=True, check=True)
            yield re.sub(".\b", "", done.stdout) if command[0] == "mandoc" else done.stdout
