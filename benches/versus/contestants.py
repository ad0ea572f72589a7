"""Who is measured, and how each is built."""

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
INTEROP = HERE.parents[1] / "interop"
BUILT = HERE / "target"
RELEASE = BUILT / "release"
PYTHON = INTEROP / ".venv/bin/python"

# What all others are compared with.
OURS = ["atonce-std", "atonce-tokio", "atonce-zmtp"]


@dataclass(frozen=True)
class Contestant:
    name: str
    what: str
    command: tuple
    # Which of the cases' needs it meets.
    does: frozenset
    environment: tuple = ()
    # How many messages, where atonce has one: who takes longer for each is measured as long with fewer.
    share: float = 1
    # Whether it finds others by beacons only, and so needs a network of its own.
    beacons: bool = False


def zyre_library():
    """Where the C API of Zyre is: what ZYRE_LIBRARY names, or the wheel that interop/install installs."""
    found = [os.environ["ZYRE_LIBRARY"]] if "ZYRE_LIBRARY" in os.environ else []
    found += map(str, INTEROP.glob(".venv/lib/python*/site-packages/ingescape/_ingescape*.so"))
    return found[0] if found else ""


PAIR = frozenset({"one-way", "round-trip"})
SECURE = PAIR | {"curve", "half-done"}
SECURE_BARE = SECURE | {"handshakes"}
NODES = PAIR | {"shout", "mesh"}
PATTERNS = frozenset({"push", "request", "publish"})

CONTESTANTS = [
    Contestant(
        "atonce-std",
        "WHISPER, SHOUT, meshes and sockets of atonce on threads",
        (RELEASE / "atonce",),
        NODES | SECURE | PATTERNS,
    ),
    Contestant("atonce-tokio", "the same as tasks of tokio", (RELEASE / "atonce-tokio",), NODES | SECURE | PATTERNS),
    Contestant(
        "atonce-zmtp",
        "bare connections of atonce's core on nonblocking sockets",
        (RELEASE / "atonce-zmtp",),
        frozenset({"handshakes"}),
    ),
    Contestant("raw TCP", "no messages at all: octets in pieces of 1 MiB", (RELEASE / "tcp",), PAIR),
    Contestant(
        "libzmq",
        "bare sockets, DEALER→ROUTER where none are named, C",
        (BUILT / "libzmq",),
        SECURE_BARE | PATTERNS,
    ),
    Contestant(
        "libzmq tuned",
        "the same with a high-water mark of 128 and a malloc that keeps its memory",
        (BUILT / "libzmq",),
        # Its PUB would drop what comes before an answer does.
        PAIR | {"curve"} | PATTERNS - {"publish"},
        (
            ("LIBZMQ_HWM", "128"),
            ("MALLOC_TRIM_THRESHOLD_", "1073741824"),
            ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
            ("MALLOC_TOP_PAD_", "67108864"),
        ),
    ),
    Contestant("zeromq", "the same, the crate zeromq on tokio", (RELEASE / "zeromq",), PAIR | PATTERNS),
    Contestant("rzmq", "the same, the crate rzmq", (RELEASE / "rzmq",), SECURE_BARE | PATTERNS),
    Contestant("omq", "the same, the crate omq-tokio", (RELEASE / "omq",), SECURE_BARE | PATTERNS),
    Contestant(
        "C Zyre",
        "WHISPER, SHOUT and meshes",
        (BUILT / "zyre",),
        NODES,
        # It ends itself where it has more sockets than it expected: 1,024, unless it is told otherwise.
        (("ZYRE_LIBRARY", zyre_library()), ("ZSYS_MAX_SOCKETS", "65000")),
        1 / 20,
    ),
    Contestant("Pyre", "WHISPER", (PYTHON, HERE / "python/pyre_contestant.py"), PAIR, (), 1 / 200, True),
]

BY_NAME = {it.name: it for it in CONTESTANTS}


def build():
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=HERE, check=True)
    cc = ["cc", "-O2", "-Wall", "-Wextra", "-o"]
    subprocess.run([*cc, BUILT / "libzmq", HERE / "c/libzmq.c", "-lzmq"], check=True)
    library = zyre_library()
    if not library or not PYTHON.exists():
        sys.exit("no C Zyre or no Pyre: run interop/install")
    # The extension of the wheel wants what only Python has, and uses none of it here.
    wanted = subprocess.run(
        ["nm", "-D", "--undefined-only", library], check=True, stdout=subprocess.PIPE, text=True
    )
    nowhere = re.findall(r"^\s*U (_?Py\w+)$", wanted.stdout, re.MULTILINE)
    (BUILT / "nowhere.c").write_text("".join(f"char {name}[512];\n" for name in nowhere))
    sources = [HERE / "c/zyre.c", BUILT / "nowhere.c"]
    subprocess.run([*cc, BUILT / "zyre", "-rdynamic", *sources, "-ldl", "-pthread"], check=True)


def versions():
    """What was measured, and on what, a line each."""

    def output(*command):
        return subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    lock = (HERE / "Cargo.lock").read_text()
    found = dict(re.findall(r'^name = "(.*)"\nversion = "(.*)"$', lock, re.MULTILINE))
    crates = [f"{name} {found[name]}" for name in ("zeromq", "rzmq", "omq-tokio", "tokio")]
    wheels = re.findall(r"^(ingescape|zeromq-pyre)==(.*)$", (INTEROP / "requirements.txt").read_text(), re.MULTILINE)
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return [
        f"atonce {output('git', 'rev-parse', '--short', 'HEAD')}, {output('rustc', '--version')}",
        f"libzmq {output('pkg-config', '--modversion', 'libzmq')}, " + ", ".join(crates),
        "C Zyre and Pyre as in the wheels " + ", ".join(" ".join(wheel) for wheel in wheels),
        f"{os.cpu_count()} processors, {processor[1] if processor else platform.machine()}, "
        f"{platform.system()} {platform.release()}",
    ]
