# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and programs from Debian's archive: found by name, checked by apt against the archive's
keys, and kept unpacked in a cache outside of the tree."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

MIRROR = os.environ.get("NETWATCH_MIRROR", "http://deb.debian.org/debian")
CACHE = Path(os.environ.get("NETWATCH_CACHE", "/var/cache/netwatch-tests"))
SUITES = "bullseye", "bookworm", "trixie", "trixie-backports", "sid"
INDEX_AGE_S = 24 * 3600


class Unavailable(Exception):
    """No kernel or program, and why."""


def apt(program, *args, **options):
    """apt with lists and configuration of its own."""
    settings = {
        "Dir::Etc::SourceList": CACHE / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": CACHE / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": CACHE / "apt",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    flags = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
    return subprocess.run(
        [program, "-q", *flags, *args],
        check=True,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    ).stdout


def update():
    """The archive's lists, when they are missing or a day old. Old ones are better than none."""
    stamp = CACHE / "updated"
    if stamp.exists() and time.time() - stamp.stat().st_mtime < INDEX_AGE_S:
        return
    for directory in "lists/partial", "apt/archives/partial", "kernels":
        (CACHE / directory).mkdir(parents=True, exist_ok=True)
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (CACHE / "sources.list").write_text(
        "".join(f"deb [signed-by={keys}] {MIRROR} {suite} main\n" for suite in SUITES)
    )
    try:
        apt("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
    except subprocess.CalledProcessError as error:
        if not stamp.exists():
            raise Unavailable(f"{MIRROR}: {error.stdout.strip().splitlines()[-1]}") from None
        return
    stamp.touch()


def version_key(name):
    """Sorts 6.1.0-9 before 6.1.0-10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def newest(pattern):
    """Release of the newest kernel whose release matches the pattern."""
    names = apt("apt-cache", "pkgnames", "linux-image-").split()
    found = [name.removeprefix("linux-image-") for name in names]
    found = [name for name in found if re.fullmatch(pattern, name)]
    if not found:
        raise Unavailable(f"no kernel {pattern} at {MIRROR}")
    return max(found, key=version_key)


def packages_of(release):
    """From 7.x on, linux-image is only a reference to two others."""
    names = set(apt("apt-cache", "pkgnames", "linux-").split())
    split = {f"linux-binary-{release}", f"linux-modules-{release}"}
    return split if split <= names else {f"linux-image-{release}"}


class Kernel:
    """An unpacked kernel: its image, and the tree in which modprobe finds its modules."""

    def __init__(self, release):
        self.release = release
        self.tree = CACHE / "kernels" / release
        images = [self.tree / "boot" / f"vmlinuz-{release}"]
        images += [self.tree / f"usr/lib/modules/{release}/vmlinuz"]
        self.image = next((path for path in images if path.exists()), None)


def unpack(release):
    partial = CACHE / "kernels" / f"{release}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for package in sorted(packages_of(release)):
        apt("apt-get", "download", package, cwd=partial)
    for archive in partial.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, partial], check=True)
        archive.unlink()
    lib = partial / "lib"
    if not lib.exists():
        lib.symlink_to("usr/lib")
    subprocess.run(["depmod", "-b", partial, release], check=True)
    partial.rename(CACHE / "kernels" / release)


def fetch(pattern):
    """The newest kernel that matches, from the cache if it is there."""
    try:
        update()
        release = newest(pattern)
        if not (CACHE / "kernels" / release).exists():
            unpack(release)
    except (subprocess.CalledProcessError, OSError) as error:
        output = (getattr(error, "stdout", None) or str(error)).strip().splitlines()
        raise Unavailable(output[-1]) from None
    kernel = Kernel(release)
    if not kernel.image:
        raise Unavailable(f"no vmlinuz in the packages of {release}")
    return kernel


def fetch_tree(package, suite):
    """Where the package of that suite is unpacked: nothing of it is installed, so that no service
    starts. From the cache if it is there."""
    tree = CACHE / "trees" / suite / package
    partial = tree.with_name(f"{package}.partial{os.getpid()}")
    try:
        if not tree.exists():
            update()
            partial.mkdir(parents=True)
            apt("apt-get", "download", f"{package}/{suite}", cwd=partial)
            for archive in partial.glob("*.deb"):
                subprocess.run(["dpkg", "-x", archive, partial], check=True)
                archive.unlink()
            partial.rename(tree)
    except (subprocess.CalledProcessError, OSError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        output = (getattr(error, "stdout", None) or str(error)).strip().splitlines()
        raise Unavailable(f"{package}: {output[-1]}") from None
    return tree
