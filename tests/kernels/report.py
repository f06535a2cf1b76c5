# SPDX-License-Identifier: GPL-2.0-only
"""The table category x kernel, for the terminal and for doc/kernels.md."""

HEADER = """# Kernels

Written by `sudo make test-kernels`, which runs the same end-to-end tests on each of these
kernels: what is here was seen to pass. `native` is the kernel of the machine that ran them, the
others are Debian's, booted under qemu.

"""


def count(by_file, wanted):
    """How many of these tests are of a row, which names files, or one test: file::test."""
    return sum(
        file in wanted or f"{file}::{name.partition('[')[0]}" in wanted
        for file, names in by_file.items()
        for name in names
    )


def cell(result, wanted):
    """What was verified of one row on one kernel, in a word."""
    if result.problem:
        return "NO RESULT"
    failed = count(result.failed, wanted)
    passed = count(result.passed, wanted)
    skipped = count(result.skipped, wanted)
    if failed:
        return f"FAILED {failed}"
    if not passed:
        return "no test"
    return f"{passed} passed" + (f", {skipped} skipped" if skipped else "")


def refusal(result):
    return result.start_said.removeprefix("netwatch-collector: ")


def lines_of(results, found, refused):
    """Header and rows, each a list of cells."""
    shown = [result for result in results if result.name not in refused]
    yield ["", *(f"{result.release} ({result.name})" for result in shown)]
    for name, files in found.items():
        yield [name, *(cell(result, files) for result in shown)]


def table(results, found, refused):
    rows = list(lines_of(results, found, refused))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    text = ["  ".join(word.ljust(width) for word, width in zip(row, widths)) for row in rows]
    for result in results:
        if result.name in refused:
            text.append(f"{result.release}: refused with {result.start_rc}: {refusal(result)}")
    return "\n".join(line.rstrip() for line in text)


def hooks(result, category):
    """Hooks that serve the category there, and what of it is missing, by `check`."""
    for entry in (result.check or {}).get("category", []):
        if entry.get("name") != category:
            continue
        used = [hook["hook"] for hook in entry.get("hook", []) if hook.get("usable")]
        left = [hook for hook in entry.get("hook", []) if not hook.get("usable")]
        text = ", ".join(f"`{name}`" for name in used)
        return text + "".join(f"; not `{h['hook']}`: {h.get('reason', '')}" for h in left)
    return ""


def markdown(results, found, refused):
    rows = list(lines_of(results, found, refused))
    text = [HEADER]
    text.append("| " + " | ".join(rows[0]) + " |\n")
    text.append("|---" * len(rows[0]) + "|\n")
    text += ["| " + " | ".join(row) + " |\n" for row in rows[1:]]
    text.append("\nVerified by\n\n")
    for name, files in found.items():
        text.append(f"* {name}: {', '.join(f'`tests/e2e/{file}`' for file in files)}\n")
    for result in results:
        if result.name in refused:
            text.append(f"\nRefused: {result.release}, exit {result.start_rc}: {refusal(result)}\n")
    text.append("\n## Hooks\n\nAs `netwatch check` tells them.\n")
    for name in found:
        for result in results:
            if used := hooks(result, name):
                text.append(f"\n{name}, {result.release} ({result.name}): {used}\n")
    return "".join(text)


def progress(result):
    print(f"{result.release} ({result.name}): {result.seconds:.0f} s", flush=True)


def failure(result):
    print(f"\n== {result.release} ({result.name})")
    if result.problem:
        print("HARNESS OR EXPECTATION, no failed test:", result.problem)
    print(result.output[-20000:])
