# SPDX-License-Identifier: GPL-2.0-only
"""Reads doc/interface.md, the contract: its tables by section, and what stands in their cells."""

import re
from pathlib import Path

TEXT = (Path(__file__).resolve().parents[2] / "doc" / "interface.md").read_text()


def section(number):
    """The text below the heading that begins with this number."""
    return re.search(rf"^## {number}\..*?\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]


def split_row(line):
    cells = re.split(r"(?<!\\)\|", line.strip()[1:-1])
    return [cell.replace(r"\|", "|").strip() for cell in cells]


def all_tables(text=TEXT):
    """{first cell of its head: rows}, a row being a list of cells."""
    found = {}
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        head, _, *rows = [split_row(line) for line in block.splitlines()]
        assert head[0] not in found, f"two tables begin with {head[0]}"
        found[head[0]] = rows
    return found


def table(head):
    return all_tables()[head]


def codes(cell):
    """What is set as code, in order."""
    return re.findall(r"`([^`]+)`", cell)


def numbers(cell):
    """The numbers in it: of bytes with their unit, and without the names of protocols."""
    found = re.findall(r"(?<![A-Za-z\d.])(\d+)( KiB| MiB)?", cell)
    return [int(number) * {"": 1, " KiB": 1 << 10, " MiB": 1 << 20}[unit] for number, unit in found]


def paragraph(text, beginning):
    """The paragraph that begins so, in which a list may follow directly."""
    start = text.index(beginning)
    return re.split(r"\n\s*\n|\n\* ", text[start:])[0]


def words(cell):
    """Options named in a cell, letters and long names, without arguments."""
    return [word for code in codes(cell) for word in re.findall(r"(?:^|(?<=[ ,]))-{1,2}[\w-]+", code)]


def command_words():
    """Names of commands; one row has two."""
    return [code.split()[0] for cell, _ in table("command") for code in codes(cell)]


def collector_options():
    """(option, its default): the text of the other cell, split where there are several."""
    rows = []
    for cell, meaning in table("collector option"):
        named = [word for word in words(cell) if word != "-o"]
        defaults = re.split(r", (?![^`]*`[^`]*$)", meaning.split(":")[0])
        for index, word in enumerate(named):
            default = defaults[index] if len(defaults) == len(named) else meaning
            rows.append((word, default.strip("`")))
    return rows


def categories():
    """(name, [letter, long name])"""
    rows = []
    for name, options, _ in table("category"):
        if codes(name):
            rows.append((codes(name)[0], [] if "with" in options else words(options)))
        else:
            rows.append((name, words(options)))
    return rows


def filter_options():
    return [word for cell, _ in table("option") for word in words(cell)]


def output_options():
    """The code of the first paragraph of section 4, each once."""
    return list(dict.fromkeys(codes(paragraph(section(4), "`-o table`"))))


def exit_codes():
    return {int(code): meaning for code, meaning in table("exit")}


def error_codes():
    return codes(paragraph(section(6), "Error codes:"))
