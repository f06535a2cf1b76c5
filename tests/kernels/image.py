# SPDX-License-Identifier: GPL-2.0-only
"""What a guest boots into: an initramfs of the host's own programs, the tree's tests and
programs, and the kernel's modules. Archives are put one behind the other, as the kernel allows;
nothing is compressed, since unpacking would cost the guest more than loading."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"

# What the tests and their harness call.
PACKAGES = f"""dash coreutils util-linux mount iproute2 kmod nftables sed grep findutils procps
{PYTHON}-minimal lib{PYTHON}-minimal lib{PYTHON}-stdlib python3-minimal python3-pytest
python3-pluggy python3-iniconfig python3-packaging python3-attr python3-py python3-more-itertools
python3-protobuf protobuf-compiler""".split()
CHECKOUT = "/mnt"  # in a guest; a directory that hosts have, too
EXTRA = ["/usr/include/google/protobuf/timestamp.proto", "/usr/bin/python3"]
LEFT_OUT = re.compile(
    r"/usr/share/(?!nftables)|/usr/lib/systemd|/etc/|/var/"
    rf"|/usr/lib/{PYTHON}/(idlelib|lib2to3|pydoc_data|ensurepip|turtledemo|distutils|tkinter|test)/"
)
# Of these, those that the kernel has as modules.
MODULES = """veth tun sch_netem sch_ingress cls_bpf act_bpf nf_tables nft_numgen nft_ct nft_limit
nft_counter tls tcp_diag 8021q af_packet""".split()


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


def merged(path):
    """Packages may name /bin/sh, which is in /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"/usr/\1/", path)


def package_files():
    listed = run("dpkg", "-L", *PACKAGES, text=True).splitlines() + EXTRA
    files = {merged(line) for line in listed if line.startswith("/")}
    files = {name for name in files if not LEFT_OUT.match(name + "/") and not Path(name).is_dir()}
    files = {name for name in files if Path(name).exists()}
    compiled = set()
    for name in files:
        if name.endswith(".py"):
            path = Path(name)
            compiled |= {str(p) for p in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")}
    return files | compiled


def is_elf(name):
    with open(name, "rb") as file:
        return file.read(4) == b"\x7fELF"


def libraries(programs):
    """Shared libraries of programs and of the libraries themselves."""
    output = subprocess.run(
        ["ldd", *sorted(programs)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ).stdout
    found = set(re.findall(r"(/\S+) \(0x", output))
    files = set()
    for name in map(merged, found):
        path = Path(name)
        files |= {name, str(path.parent.resolve() / path.name), str(path.resolve())}
    return {merged(name) for name in files}


def with_directories(files):
    """cpio makes no directories by itself."""
    parents = {str(parent) for name in files for parent in Path(name).parents}
    return sorted((parents | set(files)) - {"/", "."})


def archive(directory, names, target):
    """Appends names (relative to directory) as a cpio archive. All of it belongs to root."""
    with open(target, "ab") as out:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-D", directory],
            input="\n".join(name.lstrip("/") for name in names).encode(),
            stdout=out,
            check=True,
        )


def archive_tree(directory, target):
    names = [str(path.relative_to(directory)) for path in sorted(directory.rglob("*"))]
    archive(directory, names, target)


def userland(target, programs):
    files = package_files()
    elf = {name for name in files if is_elf(name)} | set(map(str, programs))
    archive("/", with_directories(files | libraries(elf)), target)


def compile_tests(source, files):
    """As pytest does with asserts of its own, which would take a guest seconds; at the path that
    they will have there, since tracebacks show lines of the source."""
    there = 'mount --bind "$1" "$2" && shift && cd "$1/tests/e2e" && shift && exec "$@"'
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    ours = "B", "PYTHONDONTWRITEBYTECODE"
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    run("unshare", "-m", "sh", "-c", there, "sh", source, CHECKOUT, *command, *files,
        env=environment)


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def tree(target, stage, build, files):
    """/init, users, and the tests with the programs that they test; files: of the tests that are
    to run."""
    for name in "bin", "sbin", "lib", "lib64":
        (stage / name).symlink_to(f"usr/{name}")
    for name in "proc", "sys", "dev", "tmp", "run", "var/tmp", "root":
        (stage / name).mkdir(parents=True)
    write(stage / "init", (HERE / "guest.sh").read_text(), 0o755)
    write(
        stage / "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n"
        "netwatch:x:990:990::/:/usr/sbin/nologin\n"
        "nobody:x:65534:65534::/:/usr/sbin/nologin\n",
    )
    write(stage / "etc/group", "root:x:0:\ngames:x:60:\nnetwatch:x:990:\nnogroup:x:65534:\n")
    write(stage / "etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    source = stage / CHECKOUT.lstrip("/")
    shutil.copytree(ROOT / "tests/e2e", source / "tests/e2e", ignore=shutil.ignore_patterns("__*"))
    shutil.copytree(ROOT / "proto", source / "proto")
    if (ROOT / "tests/data").exists():
        shutil.copytree(ROOT / "tests/data", source / "tests/data")
    (source / "build").mkdir()
    for program in "netwatch", "netwatch-collector":
        shutil.copy(build / program, source / "build")
    compile_tests(source, files)
    for path in [stage, *stage.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    (stage / "tmp").chmod(0o1777)
    archive_tree(stage, target)


def modules(target, stage, kernel):
    """Modules with what they depend on, as files in the order in which to load them."""
    order = []
    for module in MODULES:
        found = subprocess.run(
            ["modprobe", "-d", kernel.tree, "-S", kernel.release, "--show-depends", module],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout
        order += [line.split()[1] for line in found.splitlines() if line.startswith("insmod")]
    directory = stage / "modules"
    directory.mkdir()
    for number, name in enumerate(dict.fromkeys(order)):
        path = Path(name)
        packed = {".xz": "xz", ".zst": "zstd"}.get(path.suffix)
        data = run(packed, "-dc", path) if packed else path.read_bytes()
        (directory / f"{number:03}-{path.name.split('.')[0]}.ko").write_bytes(data)
    archive_tree(stage, target)
