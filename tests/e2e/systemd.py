# SPDX-License-Identifier: GPL-2.0-only
"""A systemd of the tests' own, as process 1 of a few namespaces: it runs the collector's very units,
with all that they forbid. The network, the kernel and the place's files are those of the tests;
/run, /tmp and processes are not."""

import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from conftest import ROOT
from harness import DEFAULT_SOCKET, wait_until

UNITS = ROOT / "collector"
SERVICE, SOCKET = "netwatch-collector.service", "netwatch.socket"
INIT = "/lib/systemd/systemd"
TARGETS = "sysinit basic sockets shutdown umount final paths timers slices local-fs swap".split()

# Its cgroup is below the root of the one hierarchy there is, and no namespace hides that root: hooks
# of the collector are on it. The manager takes files from SYSTEMD_UNIT_PATH only: of this host's
# services none is started.
BOOT = """set -e
echo 0 >"$CGROUP/cgroup.procs"
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system /run/units "/run/keep$PLACE"
mount --bind "$PLACE" "/run/keep$PLACE"
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mkdir -p "$PLACE"
mount --bind "/run/keep$PLACE" "$PLACE"
[ "$HIERARCHY" = /sys/fs/cgroup ] || mount -t cgroup2 cgroup2 /sys/fs/cgroup
for dir in /usr/lib/systemd/user-generators /usr/lib/systemd/user-environment-generators; do
	[ ! -d $dir ] || mount -t tmpfs tmpfs $dir
done
for target in $TARGETS; do ln -s /lib/systemd/system/$target.target /run/units; done
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' >/run/units/default.target
exec env -i PATH="$PATH" XDG_RUNTIME_DIR=/run SYSTEMD_UNIT_PATH=/run/units \\
	"$INIT" --user --log-target=console --log-level=notice --show-status=no"""


def hierarchy():
    """Where cgroup v2 is mounted, or None."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, path, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(path)
    return None


def missing():
    """Why there can be none here, or None."""
    if not os.path.exists(INIT) or not shutil.which("systemctl"):
        return "there is no systemd (package systemd)"
    return None if hierarchy() else "no cgroup v2 hierarchy is mounted"


class Systemd:
    def __init__(self, place):
        self.place = place
        self.numbers = itertools.count()
        self.cgroup = hierarchy() / f"nw-test-systemd-{os.getpid()}"
        self.cgroup.mkdir()
        self.log = place.new_path("systemd")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", BOOT],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env={
                    "PATH": place.environment["PATH"], "CGROUP": str(self.cgroup), "INIT": INIT,
                    "HIERARCHY": str(hierarchy()), "PLACE": str(place.path),
                    "TARGETS": " ".join(TARGETS),
                },
            )  # fmt: skip
        self.pid = self.process.pid
        try:
            wait_until(self.runs, "systemd runs")
        except AssertionError:
            self.end()
            raise
        # A manager of one user expects no others to tell it something; that of a system does.
        self.path("/run/systemd/notify").chmod(0o777)

    def runs(self):
        assert self.process.poll() is None, f"systemd ended: {self.log.read_text()}"
        return self.call("systemctl", "--user", "is-system-running").stdout.strip() == "running"

    def call(self, *words):
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--mount", *words],
            env={**self.place.environment, "XDG_RUNTIME_DIR": "/run"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )

    def systemctl(self, *words):
        done = self.call("systemctl", "--user", *words)
        assert done.returncode == 0, (done, self.log.read_text())
        return done.stdout

    def show(self, unit, *names):
        text = self.systemctl("show", unit, *(f"--property={name}" for name in names))
        return dict(line.split("=", 1) for line in text.splitlines())

    def path(self, name):
        """Of a file below its root, for the tests."""
        return Path(f"/proc/{self.pid}/root") / name.lstrip("/")

    def install(self, name, text):
        self.path(f"/run/units/{name}").write_text(text)

    def pids(self, unit):
        """As the tests see them."""
        try:
            return [int(word) for word in
                    (self.cgroup / "app.slice" / unit / "cgroup.procs").read_text().split()]
        except FileNotFoundError:
            return []

    def end(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)  # and so all in its namespace
        self.process.wait()
        wait_until(self.remove_cgroups, "its cgroups are empty")

    def remove_cgroups(self):
        try:
            for path in sorted(self.cgroup.rglob("*/"), reverse=True):
                path.rmdir()
            self.cgroup.rmdir()
            return True
        except OSError:
            return False


def service_unit(place, *options, log=None, **settings):
    """The unit of the tree, for the place's program; settings replace or add lines of [Service]."""
    text = (UNITS / SERVICE).read_text()
    # With PrivateTmp it could not see the program.
    settings = {"BindReadOnlyPaths": place.path, **settings}
    if log:
        settings["StandardOutput"] = settings["StandardError"] = f"file:{log}"
    for name, value in settings.items():
        text = re.sub(rf"^{name}=.*\n", "", text, flags=re.M)
        text = text.replace("[Service]\n", f"[Service]\n{name}={value}\n")
    command = " ".join([place.collector, *options])
    return re.sub(r"^ExecStart=\S+", lambda _: f"ExecStart={command}", text, flags=re.M)


class ServiceProcess:
    """A collector that a systemd has started, for who knows subprocess.Popen."""

    def __init__(self, systemd, place, command, env):
        self.args, self.systemd, self.returncode = command, systemd, None
        number = next(systemd.numbers)
        self.unit, self.socket_unit = f"nw{number}.service", f"nw{number}.socket"
        options = dict(zip(command[1:], command[2:]))
        fifo = place.new_path("said")
        os.mkfifo(fifo)
        self.stdout = open(os.open(fifo, os.O_RDWR), "rb")
        environment = " ".join(f"{name}={value}" for name, value in env.items() if name != "PATH")
        unit = service_unit(
            place, *command[3:], log=fifo, Restart="no", Environment=environment
        )
        systemd.install(self.unit, unit.replace(SOCKET, self.socket_unit))
        text = (UNITS / SOCKET).read_text().replace(DEFAULT_SOCKET, options["--socket"])
        text = text.replace(SERVICE, self.unit)
        if "--socket-mode" in options:
            text = text.replace("=0666", f"={options['--socket-mode']}")
        systemd.install(self.socket_unit, text)
        systemd.systemctl("daemon-reload")
        started = systemd.call("systemctl", "--user", "start", self.unit)
        pids = systemd.pids(self.unit)
        self.pid = pids[0] if pids else None
        assert pids or "control process" in started.stderr, started
        # From here on the pipe ends when the collector does.
        reader = open(fifo, "rb", opener=lambda path, _: os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        os.set_blocking(reader.fileno(), True)
        self.stdout.close()
        self.stdout = reader

    def poll(self):
        if self.returncode is None and not (self.pid and os.path.exists(f"/proc/{self.pid}")):
            shown = self.systemd.show(self.unit, "ExecMainCode", "ExecMainStatus")
            status = int(shown["ExecMainStatus"])
            self.returncode = status if shown["ExecMainCode"] == "1" else -status
            self.systemd.call("systemctl", "--user", "stop", self.socket_unit)
        return self.returncode

    def wait(self, timeout=None):
        end = time.monotonic() + (timeout or 60)
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


class ServicePlace:
    """Mixed into a place: collectors are services (NETWATCH_TEST_AS_SERVICE=1)."""

    systemd = None

    def popen(self, command, *, env, **more):
        import pytest

        # Its user and its socket are the units'; hooks are hidden from root alone.
        unable = set(more) - {"stdin", "stdout", "stderr"}
        unable |= {"--user", "--group"} & set(command) | {"NETWATCH_HIDE_HOOKS"} & set(env)
        if unable:
            pytest.skip(f"NOT TRIED as a service: it cannot be started with {', '.join(unable)}")
        if ServicePlace.systemd is None:
            ServicePlace.systemd = Systemd(self)
        return ServiceProcess(ServicePlace.systemd, self, command, env)
