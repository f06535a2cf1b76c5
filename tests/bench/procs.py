# SPDX-License-Identifier: GPL-2.0-only
"""Processes of the benchmark: the traffic program, tracers, and what /proc tells of them."""

import json
import os
import re
import signal
import subprocess
import time

START_S = 30  # until a tracer is attached
STOP_S = 10  # until it has ended and written its output
DRAIN_S = 3  # until it has handled what was under way
CPUS = sorted(os.sched_getaffinity(0))


class Unmeasured(Exception):
    """A row cannot be measured; the text says why."""


def wait_for(condition, seconds, what):
    """Returns the first true value of condition(); Unmeasured when none came in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise Unmeasured(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return value


def read(path):
    """A file's text; empty when it, or its process, is gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Traffic:
    """The traffic program of traffic.c, on the last CPU. Its connections go to self.port."""

    def __init__(self, program):
        # Below 1024 no other program's connection gets it by chance.
        self.port = 600 + os.getpid() % 400
        self.crr_done = 0
        self._process = subprocess.Popen(
            [program, str(self.port), str(CPUS[-1])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def command(self, text):
        """One command of traffic.c, and its answer as a dictionary."""
        try:
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Unmeasured(f"the traffic program ended at '{text}'")
        return json.loads(answer)

    def run(self, mode, ops):
        """Runs ops operations; all of rr and bulk count as one connection."""
        self.crr_done += ops if mode == "crr" else 1
        return self.command(f"{mode} {ops}")

    @property
    def netns(self):
        return f"/proc/{self._process.pid}/ns/net"

    def close(self):
        self._process.stdin.close()
        self._process.wait(STOP_S)


class Process:
    """A tracer, its collector or its client: not on the traffic's CPU if there is another."""

    def __init__(self, argv, out):
        self.name = os.path.basename(argv[0])
        # Written over, not anew: on a virtual machine a fresh page may cost a fault of the
        # host, which can be more than all work of the tracer.
        self._out_path, self._err_path = out + ".out", out + ".err"
        self._out = os.open(self._out_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(self._err_path, "wb") as stderr:
            try:
                self._popen = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=self._out, stderr=stderr,
                    preexec_fn=lambda: os.sched_setaffinity(0, CPUS[:-1] or CPUS))
            except FileNotFoundError:
                os.close(self._out)
                raise Unmeasured(f"{argv[0]} is not installed") from None
        self.pid = self._popen.pid

    def check_runs(self):
        if self._popen.poll() is None:
            return
        text = self.stderr().strip() or self.stdout().strip()
        lines = text.splitlines() or ["without a word"]
        said = [line for line in lines if re.search("error|fail", line, re.I)] or lines
        raise Unmeasured(f"{self.name} ended with {self._popen.returncode}: {said[-1]}")

    def stderr(self):
        return read(self._err_path)

    def says(self, text):
        """True when a line on stderr begins with that, behind the program's name or not."""
        self.check_runs()
        return re.search(rf"^([\w-]+: )?{text}", self.stderr(), re.M)

    def stdout(self):
        """What it has written, once it has ended."""
        return read(self._out_path)

    def stop(self, sig=signal.SIGINT):
        """Ends it and waits until its output is complete."""
        if self._popen.poll() is None:
            self._popen.send_signal(sig)
        try:
            self._popen.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
            raise Unmeasured(f"{self.name} did not end within {STOP_S} s") from None
        finally:
            # The place of its next write, which it shared with us.
            os.ftruncate(self._out, os.lseek(self._out, 0, os.SEEK_CUR))
            os.close(self._out)

    def cpu_ns(self):
        """CPU time of all its threads, ended ones too, and of its living children."""
        pids = [self.pid]
        for pid in pids:
            for task in os.listdir(f"/proc/{pid}/task"):
                pids += map(int, read(f"/proc/{pid}/task/{task}/children").split())
        # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) makes it.
        return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids)

    def wakeups(self):
        """Context switches of all threads so far."""
        text = "".join(read(f"/proc/{self.pid}/task/{task}/status")
                       for task in os.listdir(f"/proc/{self.pid}/task"))
        return sum(map(int, re.findall(r"ctxt_switches:\s*(\d+)", text)))

    def rss_bytes(self):
        return int(re.search(r"VmRSS:\s*(\d+) kB", read(f"/proc/{self.pid}/status"))[1]) * 1024

    def _fdinfos(self):
        folder = f"/proc/{self.pid}/fdinfo"
        return [read(f"{folder}/{fd}") for fd in os.listdir(folder)]

    def bpf_links(self):
        return sum("link_type:" in info for info in self._fdinfos())

    def bpf_run_time(self):
        """{program id: (ns, runs)} of the BPF programs that it holds."""
        programs = {}
        for info in self._fdinfos():
            fields = dict(re.findall(r"^(\w+):\s*(\d+)$", info, re.M))
            if "run_cnt" in fields:
                programs[fields["prog_id"]] = (int(fields["run_time_ns"]), int(fields["run_cnt"]))
        return programs

    def has_attached(self):
        """True when it has attached something and rests. For tracers that do not tell."""
        self.check_runs()
        folder = f"/proc/{self.pid}/fd"
        files = [target_of(f"{folder}/{fd}") for fd in os.listdir(folder)]
        if not any("perf_event" in file or "bpf_link" in file for file in files):
            return False
        return cpu_share([self], 0.15) < 0.2


def target_of(link):
    """What a link points to; nothing once it is gone, as a descriptor may be."""
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def cpu_share(processes, seconds):
    """How much of a CPU they use for that long from now."""
    before = sum(process.cpu_ns() for process in processes)
    time.sleep(seconds)
    return (sum(process.cpu_ns() for process in processes) - before) / (seconds * 1e9)


def drain(processes):
    """Waits until they have handled what was under way, which traffic of others may prevent."""
    for process in processes:
        process.check_runs()
    end = time.monotonic() + DRAIN_S
    while processes and cpu_share(processes, 0.03) > 0.005 and time.monotonic() < end:
        pass
