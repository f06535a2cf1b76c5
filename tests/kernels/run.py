# SPDX-License-Identifier: GPL-2.0-only
"""`make test-kernels`: the end-to-end tests of each category on each supported kernel.

The tests are those of tests/e2e, test_CATEGORY.py and test_CATEGORY_*.py for each category of
the protocol, and those of ALWAYS. Of a row with tests that are marked `kernels` only these run,
without --full: real traffic against a witness for each hook and each variant of one, not what
depends on the client, on options or on the collector alone. This machine's kernel runs them as
they are; the others boot in qemu. A guest that leaves no result is booted once more; it never
counts as a failed test. A test that fails runs once more, and that is told: emulated machines are
slow, and guests make the other one slow. A row without a test that passed fails.
"""

import argparse
import concurrent.futures
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

import debian
import image
import qemu
import report

ROOT = Path(__file__).resolve().parents[2]
E2E = ROOT / "tests/e2e"
ALWAYS = {
    "users": "test_privileges*.py test_visibility.py",
    "containers": "test_containers*.py",
}
MARKER = "kernels"
SECONDS = 1200  # for the tests of one kernel; a bound, not what they take
RELEASES = {
    "6.1": r"6\.1\.\d+-\d+-cloud-amd64",
    "6.12": r"6\.12\.[\w.+]+-cloud-amd64",
    "newest": r"(?!6\.)\d+\.[\w.+]+-cloud-amd64",
}
REFUSED = {"5.10": r"5\.10\.\d+-\d+-cloud-amd64", "locked": RELEASES["6.12"]}
BOOTED_WITH = {"locked": "lockdown=confidentiality"}
SENTENCE = {"5.10": "Linux 6.1 or newer is needed", "locked": "this kernel is locked down"}
NATIVE = "native"
NOT_RUN = 3  # exit code: no test failed, but a kernel could not be had


def categories():
    """Names of the categories, by the protocol."""
    text = (ROOT / "proto/netwatch.proto").read_text()
    event = re.search(r"^message Event \{(.*?)^\}", text, re.S | re.M)[1]
    members = re.findall(r"[\w.]+ (\w+) = \d+;", event)
    return [name for name in members if name not in ("time", "connection", "lost")]


def has_marked(file):
    return f"pytest.mark.{MARKER}" in (E2E / file).read_text()


def rows(wanted, full):
    """What is tested: a row of the table, and its files."""
    patterns = {name: f"test_{name}.py test_{name}_*.py" for name in categories()} | ALWAYS
    found = {}
    for name, globs in patterns.items():
        files = [path.name for glob in globs.split() for path in sorted(E2E.glob(glob))]
        if not full and any(map(has_marked, files)):
            files = list(filter(has_marked, files))
        if wanted in (None, name):
            found[name] = files
    if not found:
        raise SystemExit(f"T={wanted}: there is no such row; there are {', '.join(patterns)}")
    return found


def version_of(release):
    return re.match(r"\d+\.\d+", release)[0]


def name_of(release, name):
    """6.1, or 7.3 (newest)."""
    version = version_of(release)
    return version if version == name else f"{version} ({name})"


class Result:
    """What a kernel did: tests by file, hooks by category, or why there is none."""

    def __init__(self, name, release):
        self.name = name
        self.release = release
        self.title = self.native_title() if name == NATIVE else name_of(release, name)
        self.passed, self.failed, self.skipped = {}, {}, {}
        self.check = None
        self.check_rc = self.start_rc = None
        self.start_said = ""
        self.problem = None  # of the harness, or of the expectation
        self.output = ""
        self.seconds = 0

    def native_title(self):
        return f"{version_of(self.release)} ({NATIVE})"

    def read_junit(self, text):
        for case in xml.fromstring(text).iter("testcase"):
            children = {child.tag: child.get("message") for child in case}
            into, told = self.passed, case.get("name")
            if children.keys() & {"failure", "error"}:
                into = self.failed
            elif "skipped" in children:
                into, told = self.skipped, (told, children["skipped"])
            file = case.get("classname").split(".")[-1] + ".py"
            into.setdefault(file, []).append(told)

    def read_again(self, text):
        """What failed was run once more: it failed only if it failed twice, and it is told."""
        again = Result(self.name, self.release)
        again.read_junit(text)
        for file, tests in again.passed.items():
            for test in tests:
                if test in self.failed.get(file, []):
                    self.failed[file].remove(test)
                    self.passed.setdefault(file, []).append(test)
                    print(f"{self.title}: {file}::{test} FAILED ONCE, and passed at the second try",
                          flush=True)
        self.failed = {file: tests for file, tests in self.failed.items() if tests}

    def read_check(self, text):
        try:
            self.check = json.loads(text)
        except ValueError:
            self.check = None

    def add(self, other):
        """What another guest did with other tests of the same kernel, at the same time."""
        for name in "passed", "failed", "skipped":
            for file, tests in getattr(other, name).items():
                getattr(self, name).setdefault(file, []).extend(tests)
        self.problem = self.problem or other.problem
        self.output += other.output
        self.seconds = max(self.seconds, other.seconds)

    def good(self):
        return not self.problem and not self.failed


def run_native(files, marked, build):
    result = Result(NATIVE, platform.release())
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        junit = Path(directory) / "junit.xml"

        def run_pytest(tests):
            junit.unlink(missing_ok=True)
            return subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider"]
                + [f"--junit-xml={junit}", *tests],
                cwd=E2E,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "NETWATCH_MARKED": marked},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )

        done = run_pytest(files)
        result.output = done.stdout
        if junit.exists():
            result.read_junit(junit.read_text())
        problem = done.returncode and not result.failed
        if result.failed:
            failed = [f"{file}::{test}" for file, tests in result.failed.items() for test in tests]
            result.output += run_pytest(failed).stdout
            if junit.exists():
                result.read_again(junit.read_text())
    check = subprocess.run(
        [build / "netwatch-collector", "--check", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    result.check_rc = check.returncode
    result.read_check(check.stdout)
    result.seconds = time.monotonic() - begin
    if problem:
        result.problem = f"pytest ended with {done.returncode}"
    return result


def boot_twice(kernel, initrd, directory, append):
    """A guest without a result is a failure of the harness: once more, and it is told."""
    boot = qemu.boot(kernel, initrd, directory, SECONDS, append)
    if boot.rc is not None:
        return boot
    why = "a panic" if boot.panicked else "nothing"
    print(f"{kernel.release}: left {why} instead of a result; booting once more", flush=True)
    print(boot.console[-2000:], flush=True)
    return qemu.boot(kernel, initrd, directory, SECONDS, append)


def run_guests(number, name, kernel, base, files, marked, work):
    """Tests of one kernel, in so many guests that run side by side."""
    with concurrent.futures.ThreadPoolExecutor(number) as pool:
        first, *others = pool.map(
            lambda i: run_guest(f"{name}-{i}", name, kernel, base, files[i::number], marked, work),
            range(number),
        )
    for other in others:
        first.add(other)
    return first


def run_guest(label, name, kernel, base, files, marked, work):
    append = BOOTED_WITH.get(name, "")
    result = Result(name, f"{kernel.release} {append}".strip())
    begin = time.monotonic()
    initrd, stage = work / f"{label}.cpio", work / f"{label}.modules"
    shutil.copy(base, initrd)
    stage.mkdir()
    image.modules(initrd, stage, kernel)
    words = f"{append} files={','.join(files)} marked={marked}"
    boot = boot_twice(kernel, initrd, work / label, words)
    initrd.unlink()
    result.output = boot.output
    result.seconds = time.monotonic() - begin
    result.check_rc = int(boot.files.get("check.rc", "-1"))
    result.start_rc = int(boot.files.get("start.rc", "-1"))
    result.start_said = boot.files.get("start.err", "").strip()
    result.read_check(boot.files.get("check.json", ""))
    if boot.rc is None:
        result.problem = "the guest left no result, twice: " + boot.console[-1000:]
    elif "junit.xml" in boot.files:
        result.read_junit(boot.files["junit.xml"])
        if "again.xml" in boot.files:
            result.read_again(boot.files["again.xml"])
        if boot.rc and not result.failed:
            result.problem = f"pytest ended with {boot.rc}"
    elif files:
        result.problem = f"no results of tests, exit code {boot.rc}"
    return result


def judge_refusal(result):
    """A kernel that cannot do it: exit 78, also of --check, and one sentence that says why."""
    if result.problem:
        return
    if (result.start_rc, result.check_rc) != (78, 78):
        result.problem = f"exit codes {result.start_rc}, of --check {result.check_rc}; not 78"
    elif len(result.start_said.splitlines()) != 1:
        result.problem = f"not one sentence: {result.start_said}"
    elif SENTENCE[result.name] not in result.start_said:
        result.problem = f"not `{SENTENCE[result.name]}`: {result.start_said}"


def fetch(names):
    kernels, missing = {}, {}
    for name in names:
        try:
            kernels[name] = debian.fetch((RELEASES | REFUSED)[name])
        except debian.Unavailable as error:
            missing[name] = str(error)
    return kernels, missing


def run_all(names, found, marked, build):
    files = [file for row in found.values() for file in row]
    guests = [name for name in names if name != NATIVE]
    kernels, missing = fetch(guests)
    # A kernel that has the machine to itself gets a guest for each CPU: they have one each.
    idle = max(1, min(os.cpu_count() // len(names), len(files)))
    with tempfile.TemporaryDirectory(prefix="netwatch-kernels-") as directory:
        work = Path(directory)
        base, stage = work / "base.cpio", work / "stage"
        stage.mkdir()
        image.userland(base, [build / "netwatch", build / "netwatch-collector"])
        image.tree(base, stage, build, files)

        def run_one(name):
            if name == NATIVE:
                result = run_native(files, marked, build)
            else:
                refused = name in REFUSED
                result = run_guests(
                    1 if refused else idle, name, kernels[name], base,
                    [] if refused else files, marked, work,
                )
            report.progress(result)
            return result

        # Those that take long begin first.
        order = sorted(set(names) - set(missing), key=[*RELEASES, NATIVE, *REFUSED].index)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(run_one, order))
    for result in results:
        if result.name in REFUSED:
            judge_refusal(result)
    return results, missing


def unfilled(results, found):
    """Cells of the table that no test stands for."""
    return [
        f"{row} on {result.title}"
        for row, files in found.items()
        for result in results
        if result.name not in REFUSED and result.good() and not report.count(result.passed, files)
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kernel", help="one of " + ", ".join([*RELEASES, *REFUSED, NATIVE]))
    parser.add_argument("--row", help="one category, or one of " + ", ".join(ALWAYS))
    parser.add_argument("--full", action="store_true", help="all tests, not those marked alone")
    parser.add_argument("--write", type=Path, help="where the table goes as Markdown")
    arguments = parser.parse_args()
    everything = [*REFUSED, *RELEASES, NATIVE]
    names = arguments.kernel.split(",") if arguments.kernel else everything
    if unknown := set(names) - set(everything):
        raise SystemExit(f"K={','.join(unknown)}: there is {', '.join(everything)}")
    build = ROOT / os.environ.get("B", "build")
    found = rows(arguments.row, arguments.full)
    marked = "" if arguments.full else MARKER
    results, missing = run_all(names, found, marked, build)
    print(report.table(results, found, REFUSED))
    for name, why in missing.items():
        print(f"NOT RUN: kernel {name}: {why}")
    bad = [result for result in results if not result.good()]
    for result in bad:
        report.failure(result)
    for cell in (without := unfilled(results, found)):
        print(f"NO TEST PASSED: {cell}")
    if bad or without:
        return 1
    if missing:
        return NOT_RUN
    if arguments.write and not arguments.kernel and not arguments.row:
        arguments.write.write_text(report.markdown(results, found, REFUSED, arguments.full))
    return 0


if __name__ == "__main__":
    sys.exit(main())
