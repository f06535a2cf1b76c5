# SPDX-License-Identifier: GPL-2.0-only
"""The table category x kernel, for the terminal and for doc/kernels.md."""

import re

HEADER = """# Kernels

Linux 6.1 and newer, with BTF. `sudo make test-kernels` runs the same end-to-end tests on each of
these kernels and, when all of them pass, writes this page. How is told in
[implement.md](implement.md#other-kernels).
"""
WHICH = {
    True: "All tests of each category (`FULL=1`).",
    False: "Of each category the tests that depend on the kernel most: those marked `kernels`. "
    "`FULL=1` runs all.",
}
MISSING = re.compile("this version of the collector does not have it")


def count(by_file, wanted):
    """How many of these tests are of a row, which names files."""
    return sum(len(names) for file, names in by_file.items() if file in wanted)


def cell(result, wanted):
    """What was verified of one row on one kernel, in a word."""
    if result.problem:
        return "NO RESULT"
    failed = count(result.failed, wanted)
    passed = count(result.passed, wanted)
    skipped = count(result.skipped, wanted)
    if failed:
        return f"FAILED {failed}"
    if not passed and not skipped:
        return "no test"
    return f"{passed} passed" + (f", {skipped} SKIPPED" if skipped else "")


def skips(results, found):
    """A sentence for each test that was skipped."""
    for result in results:
        for file in sorted({file for files in found.values() for file in files}):
            for name, why in sorted(result.skipped.get(file, [])):
                yield f"SKIPPED on {result.title}: {file}, {name}: {why}"


def refusal(result):
    return result.start_said.removeprefix("netwatch-collector: ")


def lines_of(results, found, refused):
    """Header and rows, each a list of cells."""
    shown = [result for result in results if result.name not in refused]
    yield ["", *(result.title for result in shown)]
    for name, files in found.items():
        yield [name, *(cell(result, files) for result in shown)]


def table(results, found, refused):
    rows = list(lines_of(results, found, refused))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = ["  ".join(word.ljust(width) for word, width in zip(row, widths)) for row in rows]
    for result in results:
        if result.name in refused:
            text.append(f"{result.title}: refused with {result.start_rc}: {refusal(result)}")
    return "\n".join([line.rstrip() for line in text] + list(skips(results, found)))


def grid(rows):
    """As a table of Markdown."""
    head, *rest = ["| " + " | ".join(row) + " |\n" for row in rows]
    return "".join([head, "|---" * len(rows[0]) + "|\n", *rest])


def findings(result):
    """{(category, hook) or (None, facility): None, or why it cannot be used}, by `check`."""
    check = result.check or {}
    found = {}
    for category in check.get("category", []):
        if MISSING.search(category.get("reason", "")):
            continue
        for hook in category.get("hook", []):
            found[category["name"], hook["name"]] = hook
    for facility in check.get("facility", []):
        found[None, facility["name"]] = facility
    return {
        key: None if entry.get("usable") else entry.get("reason", "no")
        for key, entry in found.items()
        if key[1] != "kernel addresses"  # of the command line, not of the kernel
    }


def hooks(results):
    """Rows (category, hook, one cell for each kernel), and what is missing where."""
    by_kernel = [(result, findings(result)) for result in results]
    keys = dict.fromkeys(key for _, found in by_kernel for key in found)
    rows = [["used by", "hook", *(result.title for result in results)]]
    remarks = []
    for key in keys:
        cells = ["yes" if found.get(key, "no") is None else "no" for _, found in by_kernel]
        rows.append([key[0] or "all", f"`{key[1]}`" if "/" in key[1] else key[1], *cells])
        remarks += [
            f"* `{key[1]}`, {result.title}: {found[key]}\n"
            for result, found in by_kernel
            if found.get(key)
        ]
    return grid(rows) + ("\n" + "".join(remarks) if remarks else "")


def markdown(results, found, refused, full):
    shown = [result for result in results if result.name not in refused]
    text = [HEADER, "\n## What was seen to work\n\n", grid(list(lines_of(results, found, refused)))]
    text.append(f"\n{WHICH[full]}\n")
    text.append("\nNative is the machine on which the tests ran. The others are Debian's:\n\n")
    text += [f"* {r.name}: {r.release}\n" for r in results if r.name != "native"]
    if skipped := list(skips(results, found)):
        text.append("\n" + "".join(f"* {line}\n" for line in skipped))
    if refusals := [result for result in results if result.name in refused]:
        text.append("\n## What is refused\n\n")
        text += [
            f"* {result.title}: exit code {result.start_rc}, \"{refusal(result)}\"\n"
            for result in refusals
        ]
    text += ["\n## What of the kernel is used\n\nAs `netwatch check` tells it there.\n\n"]
    text += [hooks(shown), "\n## Verified by\n\n"]
    for name, files in found.items():
        where = [f"[{file}](../tests/e2e/{file})" for file in files]
        text.append(f"* {name}: {', '.join(where) or 'no test yet'}\n")
    return "".join(text)


def progress(result):
    print(f"{result.release} ({result.name}): {result.seconds:.0f} s", flush=True)


def failure(result):
    print(f"\n== {result.release} ({result.name})")
    if result.problem:
        print("HARNESS OR EXPECTATION, no failed test:", result.problem)
    print(result.output[-20000:])
