# SPDX-License-Identifier: GPL-2.0-only
"""Boots WORK/system.cpio with Debian 12's own kernel, under qemu as tests/kernels does, and says
what tests/deb/guest.sh said: boot.py WORK."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kernels"))

import debian
import qemu

KERNEL = r"6\.1\.\d+-\d+-cloud-amd64"
SECONDS = 600  # a bound; emulated it takes some 90, on a busy machine more
OPTIONS = "systemd.getty_auto=no systemd.log_target=console systemd.show_status=no"


def main():
    work = Path(sys.argv[1])
    try:
        kernel = debian.fetch(KERNEL)
    except debian.Unavailable as error:
        return f"NOT RUN: the units under systemd. No kernel of Debian 12: {error}"
    boot = qemu.boot(kernel, work / "system.cpio", work / "qemu", SECONDS, OPTIONS)
    print(boot.output, end="", flush=True)
    if boot.rc is None:
        return f"FAILED: the system left no result: {boot.console[-3000:]}"
    return boot.rc


if __name__ == "__main__":
    sys.exit(main())
