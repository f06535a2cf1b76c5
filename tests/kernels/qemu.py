# SPDX-License-Identifier: GPL-2.0-only
"""One boot of a guest, without acceleration. Options and their reasons:

cx16=off        qemu 7.2 emulates CMPXCHG16B wrongly, and the kernel's allocator uses it
erms, fsrm=off  a string instruction copies byte by byte here, and programs that know it is fast
                on real CPUs use it for everything
slub_debug=F    without CMPXCHG16B, Linux 7.3 creates no socket storage unless this is set
thread=single   kernel text is patched while it runs; with several threads that went wrong once
"""

import re
import subprocess
from pathlib import Path

BOOT_S = 60  # beyond the time for the tests
PANIC = re.compile(r"Kernel panic|Oops|BUG:|general protection|double fault|Call Trace")


class Boot:
    """What a guest left behind: rc (None: nothing), output, files, and the console."""

    def __init__(self, directory):
        def text(name):
            path = directory / name
            return path.read_bytes().decode(errors="replace") if path.exists() else ""

        self.console = text("console")
        self.output = text("output")
        rc = re.search(r"rc=(\d+)", text("rc"))
        self.rc = int(rc[1]) if rc else None
        self.panicked = bool(PANIC.search(self.console))
        self.files = {}
        data = (directory / "files").read_bytes() if (directory / "files").exists() else b""
        while match := re.match(rb"=== (\S+) (\d+)\n", data):
            end = match.end() + int(match[2])
            self.files[match[1].decode()] = data[match.end() : end].decode(errors="replace")
            data = data[end:]


def boot(kernel, initrd, directory, seconds, append=""):
    directory.mkdir(parents=True, exist_ok=True)
    for name in "console", "output", "rc", "files":
        (directory / name).unlink(missing_ok=True)
    command = [
        "qemu-system-x86_64",
        *("-machine", "q35", "-accel", "tcg,thread=single", "-cpu", "max,cx16=off,erms=off,fsrm=off"),
        *("-smp", "2", "-m", "1024", "-nodefaults", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(initrd)),
        "-append",
        "console=ttyS0 panic=-1 quiet rdinit=/init mitigations=off nokaslr "
        f"{'slub_debug=F ' if kernel.release.startswith('7') else ''}"
        f"seconds={seconds} {append}",
    ]
    for name in "console", "output", "rc", "files":
        command += ["-serial", f"file:{directory / name}"]
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(directory / "qemu").open("wb"),
            timeout=seconds + BOOT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pass
    return Boot(Path(directory))
