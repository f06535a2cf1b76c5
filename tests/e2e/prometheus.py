# SPDX-License-Identifier: GPL-2.0-only
"""Prometheus itself as a witness: its programs from Debian's package, which is unpacked into a
cache outside of the tree since installing it would start a server; its text format, read."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from harness import DEADLINE_S, Lines, end_process, free_port, wait_until

CACHE = Path(os.environ.get("NETWATCH_CACHE", "/var/cache/netwatch-tests")) / "prometheus"
PROXYLESS = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def unpack():
    """The package of this Debian, as apt finds and checks it."""
    partial = CACHE / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "prometheus"]
    done = subprocess.run(
        command, cwd=partial, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )
    if done.returncode:
        return done.stdout.strip().splitlines()[-1]
    archive, = partial.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, partial], check=True)
    archive.unlink()
    (partial / "usr/bin").rename(CACHE / "bin")
    shutil.rmtree(partial)
    return None


def program(name):
    """Path of prometheus or promtool; skips the test where there is none."""
    path = shutil.which(name) or CACHE / "bin" / name
    if not os.path.exists(path):
        try:
            CACHE.mkdir(parents=True, exist_ok=True)
            with open(CACHE / "lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                failure = None if os.path.exists(path) else unpack()
        except (OSError, subprocess.SubprocessError) as error:
            failure = error
        if failure:
            pytest.skip(f"NOT TRIED with Prometheus: its Debian package cannot be had: {failure}")
    return str(path)


def check_metrics(text):
    """promtool has nothing to say about it."""
    text = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0 and not done.stderr, (done.stderr.decode(), text[:2000])


def check_rules(path):
    done = subprocess.run(
        [program("promtool"), "check", "rules", path], capture_output=True, text=True, timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)')
UNQUOTED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def read_labels(text):
    labels, end = {}, 0
    for found in LABEL.finditer(text or ""):
        assert found.start() == end, text
        end = found.end()
        labels[found[1]] = re.sub(r"\\.", lambda escape: UNQUOTED[escape[0]], found[2])
    assert end == len(text or ""), text
    return labels


def read(text):
    """[(name, labels, value)], and {name: type}."""
    samples, types = [], {}
    assert text.endswith("\n")
    for line in text.split("\n"):
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types, name
            types[name] = kind
        elif line and not line.startswith("#"):
            found = SAMPLE.fullmatch(line)
            assert found, line
            samples.append((found[1], read_labels(found[2]), float(found[3])))
    series = [(name, *sorted(labels.items())) for name, labels, _ in samples]
    assert len(set(series)) == len(series), "the same series twice"
    return samples, types


def value(samples, name, **labels):
    """Sum of the series that have these labels; None: there is none."""
    found = [number for one, has, number in samples
             if one == name and all(has.get(key) == text for key, text in labels.items())]
    return sum(found) if found else None


def names(types):
    """All metric names of these families."""
    suffixes = {"histogram": ["_bucket", "_sum", "_count"]}
    return {name + suffix for name, kind in types.items() for suffix in suffixes.get(kind, [""])}


class Server:
    """A Prometheus that scrapes one target each second."""

    def __init__(self, place, target):
        path = place.new_path("prometheus")
        path.mkdir()
        (path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            f"- {{job_name: netwatch, static_configs: [{{targets: ['{target}']}}]}}\n"
        )
        self.port = free_port()
        self.process = subprocess.Popen(
            [program("prometheus"), f"--config.file={path}/prometheus.yml",
             f"--storage.tsdb.path={path}/data", f"--web.listen-address=127.0.0.1:{self.port}",
             "--log.level=debug"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=path,
        )
        self.said = Lines(self.process.stdout)
        try:
            wait_until(lambda: self.query("up") == [1], "Prometheus scrapes")
        except BaseException:
            self.stop()
            raise

    def get(self, path):
        with PROXYLESS.open(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def query(self, expression):
        """The values of the result."""
        assert self.process.poll() is None, self.said.text()
        try:
            text = self.get("/api/v1/query?query=" + urllib.parse.quote(expression))
        except ConnectionError:
            return []
        except urllib.error.HTTPError as error:
            assert error.code == 503, (expression, error.read())  # it has just begun
            return []
        except urllib.error.URLError as error:
            assert isinstance(error.reason, ConnectionError), error
            return []
        answer = json.loads(text)
        assert answer["status"] == "success" and not answer.get("warnings"), answer
        return [float(row["value"][1]) for row in answer["data"]["result"]]

    def rejected(self):
        """How many samples it would not take, and what it said of scrapes that failed."""
        samples, _ = read(self.get("/metrics"))
        counts = [number for name, _, number in samples
                  if re.match(r"prometheus_target_scrapes_.*(sample_|exceeded)", name)]
        assert counts
        words = r"append failed|scrape failed|error on ingest|duplicate|out.of.order|invalid"
        return sum(counts), [line for line in self.said.text().splitlines()
                             if re.search(words, line, re.I)]

    def stop(self):
        end_process(self.process)
        self.said.finish()
