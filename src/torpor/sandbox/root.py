"""The file system of an instance: a small tmpfs with the host's programs read-only, and everything else made up.

Built by init before it gives up its rights, below an empty folder of the host that nobody else sees change.
"""

# Plain calls of os: the sentinel loads as little as it can, since each instance's init is a copy of it.
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH123, PTH211

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from torpor.sandbox import mounts
from torpor.sandbox.mounts import NODEV, NOEXEC, NOSUID, RDONLY

TEMPORARY = "/tmp"  # noqa: S108 -- the instance's own, which nobody else sees
_SCRATCH = (TEMPORARY, "/dev/shm")  # noqa: S108 -- likewise
USER, USER_ID, GROUP_ID = "sbx_user1051", 993, 990

SEALED = RDONLY | NOSUID | NODEV
_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_DEVICE_LINKS = {"fd": "self/fd", "stdin": "self/fd/0", "stdout": "self/fd/1", "stderr": "self/fd/2"}
# Of the host's /etc, what libraries read and what holds no secret (never /etc/ssl/private).
_SHARED_ETC = (
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "pki/ca-trust/extracted",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
)
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"  # how every /etc/hosts begins
_TEXTS = {
    "group": f"root:x:0:\n{USER}:x:{GROUP_ID}:\nnogroup:x:65534:\n",
    "hosts": HOSTS,
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
    "passwd": (
        "root:x:0:0:root:/:/sbin/nologin\n"
        f"{USER}:x:{USER_ID}:{GROUP_ID}::/tmp:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/:/sbin/nologin\n"
    ),
}
_PROC_SEALED = ("sys", "bus", "fs", "irq", "acpi", "scsi", "driver", "tty", "dynamic_debug")
_PROC_HIDDEN = (
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
)
_MIB = 1024 * 1024


def build(root: str, *, tmp_mb: int, shm_mb: int, owner: int, resolver: bool) -> None:
    """Assemble the root at `root`. `owner` is the worker's uid and gid as its creator sees it."""
    lay_out(root, resolver=resolver)
    fill(root, tmp_mb=tmp_mb, shm_mb=shm_mb, owner=owner)


def lay_out(root: str, *, resolver: bool) -> None:
    """What of a root is the same for all its instances: programs, configuration, devices, empty folders."""
    mounts.make_private()
    mounts.tmpfs(root, "size=4m,nr_inodes=4k,mode=0755")
    _programs(root)
    _configuration(f"{root}/etc", resolver=resolver)
    _devices(f"{root}/dev")
    for name in ("cpu", "node"):
        _bind_if_there(f"/sys/devices/system/{name}", f"{root}/sys/devices/system/{name}", SEALED | NOEXEC)
    # The loader that finds no folder `lib` when it first looks there never looks again, nor do processes forked later.
    for name in ("proc", "tmp", "var/task/lib", "opt/lib"):
        os.makedirs(f"{root}/{name}", mode=0o755, exist_ok=True)


def fill(root: str, *, tmp_mb: int, shm_mb: int, owner: int) -> None:
    """What is each instance's own: its processes, /tmp and shared memory."""
    show_processes(root)
    make_scratch(root, tmp_mb=tmp_mb, shm_mb=shm_mb, owner=owner)


def show_processes(root: str) -> None:
    """A /proc of the caller's own PID namespace."""
    mounts.proc(f"{root}/proc")
    _mask_proc(f"{root}/proc")


def make_scratch(root: str, *, tmp_mb: int, shm_mb: int, owner: int) -> None:
    """Where it may write: /tmp and shared memory."""
    for place, size_mb in zip(_SCRATCH, (tmp_mb, shm_mb), strict=True):
        mounts.tmpfs(root + place, _text(_owned(size_mb, owner)))


def refill(*, tmp_mb: int, shm_mb: int, owner: int, shared: Iterable[str]) -> None:
    """The same in a copy of a sealed root: fresh ones in the place of those that the copy came with.

    Of what is mounted at the places in `shared`, those within what is replaced are put back.
    """
    processes = mounts.detached("proc", {}, NOSUID | NODEV | NOEXEC)  # first: the kernel wants to see another meanwhile
    mounts.exchange(processes, "/proc")
    _mask_proc("/proc")
    within = [place for place in shared if place.startswith(tuple(f"{scratch}/" for scratch in _SCRATCH))]
    kept = [(mounts.copy_tree(place), place) for place in within]
    for place, size_mb in zip(_SCRATCH, (tmp_mb, shm_mb), strict=True):
        mounts.exchange(mounts.detached("tmpfs", _owned(size_mb, owner), NOSUID | NODEV), place)
    for tree, place in kept:
        mounts.attach_at(tree, place)
        os.close(tree)


def resize(*, tmp_mb: int, shm_mb: int) -> None:
    """Give /tmp and shared memory of this root other sizes."""
    for place, size_mb in zip(_SCRATCH, (tmp_mb, shm_mb), strict=True):
        mounts.resize(place, f"size={size_mb * _MIB},nr_inodes={_inodes(size_mb)}")


def add(root: str, wanted: Iterable[tuple[str, str, bool]]) -> None:
    """Show host folders or files inside: (source, target, read-only)."""
    for source, target, read_only in wanted:
        mounts.bind(source, root + os.path.normpath(target), SEALED if read_only else NOSUID | NODEV)


def seal(root: str) -> None:
    """Enter the root and make its own tmpfs read-only; what is mounted in it keeps its attributes."""
    mounts.pivot(root)
    mounts.set_attributes(-1, SEALED, path="/", recursive=False)


def _owned(size_mb: int, owner: int) -> dict[str, str]:
    own = str(owner)
    inodes = str(_inodes(size_mb))
    return {"size": str(size_mb * _MIB), "nr_inodes": inodes, "mode": "1777", "uid": own, "gid": own}


def _inodes(size_mb: int) -> int:
    """An inode costs a kilobyte of the instance's memory; 64 for each megabyte keep them within reason."""
    return max(size_mb * 64, 1024)


def _text(options: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items())


def _programs(root: str) -> None:
    for name in _PROGRAMS:
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        else:
            _bind_if_there(f"/{name}", f"{root}/{name}", SEALED)


def _configuration(etc: str, *, resolver: bool) -> None:
    os.makedirs(etc, mode=0o755)
    for name, text in {**_TEXTS, "resolv.conf": _resolver() if resolver else ""}.items():
        with open(f"{etc}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    os.symlink("../usr/lib/os-release", f"{etc}/os-release")
    os.symlink("../proc/self/mounts", f"{etc}/mtab")
    for name in _SHARED_ETC:
        # Followed to its end: what lies behind a link out of /etc is not in the new root.
        _bind_if_there(os.path.realpath(f"/etc/{name}"), f"{etc}/{name}", SEALED | NOEXEC)


def _resolver() -> str:
    with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
        return file.read()


def _devices(dev: str) -> None:
    mounts.tmpfs(dev, "size=64k,nr_inodes=64,mode=0755", NOSUID | NOEXEC)
    for name in _DEVICES:
        mounts.bind(f"/dev/{name}", f"{dev}/{name}", RDONLY | NOSUID | NOEXEC)  # not NODEV: these must open
    for name, target in _DEVICE_LINKS.items():
        os.symlink(f"/proc/{target}", f"{dev}/{name}")
    os.mkdir(f"{dev}/shm")
    mounts.set_attributes(-1, RDONLY | NOSUID | NOEXEC, path=dev, recursive=False)


def _mask_proc(proc: str) -> None:
    """Make the kernel's switches read-only and empty what tells about the machine and its other users."""
    for name in _PROC_SEALED:
        if os.path.isdir(f"{proc}/{name}"):
            mounts.cover(f"{proc}/{name}", f"{proc}/{name}", SEALED | NOEXEC)
    for name in _PROC_HIDDEN:
        if os.path.exists(f"{proc}/{name}"):
            mounts.cover("/dev/null", f"{proc}/{name}", RDONLY | NOSUID | NOEXEC)


def _bind_if_there(source: str, target: str, attributes: int) -> None:
    if os.path.exists(source):
        mounts.bind(source, target, attributes)
