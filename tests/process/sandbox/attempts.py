"""What an attacker tries from inside an instance, run there by the escape suite: prints each attempt's outcome as JSON.

An outcome is the name of the error, or what the attempt got hold of. Standard library only; the argument is a JSON object
that tells what exists outside.
"""

# An attacker leaves files open and speaks to the system directly.
# ruff: noqa: PTH110, PTH112, PTH123, PTH208, SIM115

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys

OUTSIDE = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
# Before anything here opens one: all but the descriptor that lists them.
AT_START = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
X86 = platform.machine() == "x86_64"
ATTEMPTS = {}


def attempt(name):
    def register(function):
        ATTEMPTS[name] = function
        return function

    return register


def call(x86_number, arm_number, *arguments):
    """A raw system call; raises OSError."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    words += [ctypes.c_long(0)] * (6 - len(words))
    number = x86_number if X86 else arm_number
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "succeeded"


CALLS = {
    "mount a tmpfs": (165, 40, b"none", b"/tmp", b"tmpfs", 0, 0),
    "remount a read-only mount": (165, 40, b"none", b"/usr", 0, 32 | 4096, 0),
    "make a bind mount": (165, 40, b"/proc", b"/tmp", 0, 4096, 0),
    "unmount /proc/sys": (166, 39, b"/proc/sys", 2),
    "pivot the root": (155, 41, b"/tmp", b"/tmp"),
    "open_tree": (428, 428, -100, b"/", 1),
    "move_mount": (429, 429, 3, b"", -100, b"/tmp", 4),
    "fsopen": (430, 430, b"tmpfs", 0),
    "fsmount": (432, 432, 3, 0, 0),
    "mount_setattr": (442, 442, -100, b"/", 0, b"\0" * 32, 32),
    "chroot": (161, 51, b"/tmp"),
    "unshare a user namespace": (272, 97, 0x10000000),
    "unshare a mount namespace": (272, 97, 0x00020000),
    "unshare a time namespace": (272, 97, 0x80),
    "clone a user namespace": (56, 220, 0x10000000 | 17),
    "clone a network namespace": (56, 220, 0x40000000 | 17),
    "clone3": (435, 435, b"\0" * 88, 88),
    "enter a namespace": (308, 268, 0, 0),
    "bpf": (321, 280, 5, b"\0" * 64, 64),
    "perf events": (298, 241, b"\0" * 112, 0, -1, -1, 0),
    "io_uring": (425, 425, 8, b"\0" * 120),
    "userfaultfd": (323, 282, 0),
    "kexec": (246, 104, 0, 0, 0, 0),
    "kexec from a file": (320, 294, -1, -1, 0, 0, 0),
    "load a module": (175, 105, b"\0", 1, b""),
    "load a module from a file": (313, 273, 0, b"", 0),
    "unload a module": (176, 106, b"dummy", 0),
    "open by handle": (304, 265, -100, b"\0" * 16, 0),
    "make a handle": (303, 264, -100, b"/", b"\0" * 128, b"\0" * 8, 0),
    "fanotify": (300, 262, 0, 0),
    "keyctl": (250, 219, 0, -3, 0),
    "add_key": (248, 217, b"user", b"stolen", b"x", 1, -3),
    "request_key": (249, 218, b"user", b"stolen", 0, -3),
    "ptrace init": (101, 117, 16, 1, 0, 0),
    "ptrace oneself": (101, 117, 0, 0, 0, 0),
    "read init's memory": (310, 270, 1, b"\0" * 16, 1, b"\0" * 16, 1, 0),
    "write init's memory": (311, 271, 1, b"\0" * 16, 1, b"\0" * 16, 1, 0),
    "steal a descriptor of init": (438, 438, 0, 0, 0),
    "compare with init": (312, 272, 1, os.getpid(), 0, 0, 0),
    "reboot": (169, 142, 0xFEE1DEAD, 672274793, 0, 0),
    "set the host name": (170, 161, b"owned", 5),
    "set the time": (227, 112, 0, b"\0" * 16),
    "adjust the time": (159, 171, b"\0" * 208),
    "read the kernel's log": (103, 116, 3, b"\0" * 64, 64),
    "switch swap on": (167, 224, b"/tmp", 0),
    "account processes": (163, 89, b"/tmp/accounts"),
    "quotas": (179, 60, 0, 0, 0, 0),
    "hang up the terminal": (153, 58),
    "move pages of init": (279, 239, 1, 0, 0, 0, 0, 0),
    "personality": (135, 92, 0x0400000),
    "limit init's resources": (302, 261, 1, 7, b"\1" + b"\0" * 15, 0),
    "a call from the future": (463, 463),
    "a call that never was": (9999, 9999),
    "push characters into a terminal": (16, 29, 0, 0x5412, b"x"),
    "drop into the caller's group list": (116, 159, 0, 0),
    "secret memory": (447, 447, 0),
}
for name, words in CALLS.items():
    ATTEMPTS[name] = lambda words=words: call(*words)
if X86:
    ATTEMPTS["an x32 call"] = lambda: call(0x40000000 | 39, 0)
    ATTEMPTS["change the local descriptor table"] = lambda: call(154, 0, 1, b"\0" * 16, 16)
    ATTEMPTS["ports"] = lambda: call(172, 0, 3)

for place in OUTSIDE["files"]:
    ATTEMPTS[f"read {place}"] = lambda place=place: os.listdir(place) if os.path.isdir(place) else open(place).read(9)
for place in (
    "root/etc/shadow",
    "cwd/etc/shadow",
    "environ",
    "mem",
    "maps",
    "fd",
    "fd/3",
    "ns/mnt",
    "syscall",
    "stack",
):
    path = f"/proc/1/{place}"
    ATTEMPTS[f"open {path}"] = lambda path=path: f"succeeded: {os.open(path, os.O_RDONLY)}"
for place in ("/usr/x", "/etc/x", "/x", "/dev/x", "/proc/x", "/opt/x", "/var/task/x", "/lib/x"):
    ATTEMPTS[f"create {place}"] = lambda place=place: f"succeeded: {os.open(place, os.O_CREAT | os.O_WRONLY)}"
for place in (
    "/etc/passwd",
    "/etc/hosts",
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    "/proc/sys/vm/overcommit_memory",
    "/proc/1/oom_score_adj",
    "/proc/self/oom_score_adj",
    "/proc/1/uid_map",
    "/proc/self/uid_map",
    "/proc/irq/default_smp_affinity",
    "/sys/devices/system/cpu/cpu0/uevent",
    "/sys/devices/system/cpu/online",
):
    ATTEMPTS[f"write {place}"] = lambda place=place: f"succeeded: {os.write(os.open(place, os.O_WRONLY), b'-900')}"
for place in ("kcore", "keys", "kallsyms", "sysrq-trigger", "timer_list", "slabinfo", "kmsg", "vmallocinfo"):
    ATTEMPTS[f"read /proc/{place}"] = lambda path=f"/proc/{place}": f"{len(open(path, 'rb').read(100))} bytes"
for place in ("mem", "kmsg", "kvm", "fuse", "net/tun", "vsock", "vda", "sda", "tty", "ptmx", "mapper/control", "input"):
    ATTEMPTS[f"device /dev/{place}"] = lambda path=f"/dev/{place}": f"succeeded: {os.open(path, os.O_RDWR)}"

FAMILIES = {
    "vsock": 40,
    "packet": 17,
    "alg": 38,
    "bluetooth": 31,
    "can": 29,
    "tipc": 30,
    "rds": 21,
    "xdp": 44,
    "key": 15,
}
for name, family in FAMILIES.items():
    ATTEMPTS[f"socket of family {name}"] = lambda family=family: (
        socket.socket(family, socket.SOCK_DGRAM).close() or "ok"
    )
for name, protocol in {"generic": 16, "audit": 9, "netfilter": 12, "uevent": 15, "diagnosis": 4, "xfrm": 6}.items():
    ATTEMPTS[f"netlink {name}"] = lambda p=protocol: (
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, p).close() or "ok"
    )
ATTEMPTS["raw socket"] = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close() or "ok"
ATTEMPTS["raw socket of version 6"] = lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58).close() or "ok"


def connect(address):
    with socket.create_connection(tuple(address), timeout=2):
        return "connected"


ATTEMPTS["the host's loopback"] = lambda: connect(("127.0.0.1", OUTSIDE["tcp"]))
ATTEMPTS["another instance's loopback"] = lambda: connect(("127.0.0.1", OUTSIDE["victim_tcp"]))
ATTEMPTS["the world"] = lambda: connect(("192.0.2.1", 80))
ATTEMPTS["the metadata service"] = lambda: connect(("169.254.169.254", 80))


@attempt("give itself an address")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        address = struct.pack("16sHH4s8x", b"lo", socket.AF_INET, 0, socket.inet_aton("10.0.0.1"))
        fcntl.ioctl(any_socket, 0x8916, address)
    return "succeeded"


for kind in ("host", "victim"):
    ATTEMPTS[f"an abstract socket of the {kind}"] = lambda kind=kind: abstract(OUTSIDE[f"{kind}_abstract"])


def abstract(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)
    return "connected"


for kind, pid in OUTSIDE["pids"].items():
    ATTEMPTS[f"signal the {kind}"] = lambda pid=pid: os.kill(pid, 0) or "succeeded"
    ATTEMPTS[f"look at the {kind}"] = lambda pid=pid: open(f"/proc/{pid}/status").read(9)


@attempt("kill init")
def _():
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGTERM)
    os.kill(1, signal.SIGSEGV)
    return "no effect" if os.path.exists("/proc/1") else "killed"


@attempt("a System V segment of the host")
def _():
    if libc.shmget(OUTSIDE["shm_key"], 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return "succeeded"


ATTEMPTS["become root"] = lambda: os.setuid(0) or "succeeded"
ATTEMPTS["become root's group"] = lambda: os.setgid(0) or "succeeded"
ATTEMPTS["join groups"] = lambda: os.setgroups([0]) or "succeeded"
ATTEMPTS["make a device"] = lambda: os.mknod("/tmp/device", 0o20666, os.makedev(1, 1)) or "succeeded"
ATTEMPTS["give a file away"] = lambda: os.chown(_file(), 0, 0) or "succeeded"
ATTEMPTS["raise its limits"] = lambda: call(302, 261, 0, 7, struct.pack("QQ", 1 << 20, 1 << 20), 0)
ATTEMPTS["raise its priority"] = lambda: os.setpriority(os.PRIO_PROCESS, 0, -10) or "succeeded"
ATTEMPTS["run in real time"] = lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5)) or "succeeded"


def _file():
    with open("/tmp/mine", "w"):
        return "/tmp/mine"


@attempt("set the user id by a program of root's")
def _():
    """Exec the setuid programs there are: none may gain a right, so the mounts and the process say that they cannot."""
    suid = [p for p in ("/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd") if os.path.exists(p)]
    mounts = {os.statvfs(p).f_flag & os.ST_NOSUID for p in [*suid, "/tmp", "/dev/shm", "/"]}
    return "nosuid" if mounts == {os.ST_NOSUID} and _status("NoNewPrivs") == "1" else "possible"


def _status(field):
    with open("/proc/self/status") as status:
        return next(line.split(":")[1].strip() for line in status if line.startswith(field + ":"))


@attempt("dump core")
def _():
    """Lowering the limit to 0 would make a host that pipes core files into a program of root's do so."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return list(resource.getrlimit(resource.RLIMIT_CORE))


@attempt("call as a 32-bit program")
def _():
    if not X86:
        return "SIGSYS"
    pid = os.fork()
    if pid == 0:
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return signal.Signals(-status).name if status < 0 else "succeeded"


ATTEMPTS["its descriptors"] = lambda: AT_START
ATTEMPTS["its variables"] = lambda: dict(os.environ)
ATTEMPTS["its capabilities"] = lambda: [
    _status(f"Cap{kind}").strip("0") for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")
]
ATTEMPTS["its filter"] = lambda: _status("Seccomp")
ATTEMPTS["its host name"] = platform.node
ATTEMPTS["its cgroups"] = lambda: sorted({line.strip().split(":")[2] for line in open("/proc/self/cgroup")})
ATTEMPTS["its place"] = lambda: [os.getpid(), os.getppid(), os.getuid(), os.getgid(), os.getgroups()]
ATTEMPTS["who is there"] = lambda: sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
ATTEMPTS["what is there"] = lambda: sorted(os.listdir("/"))
ATTEMPTS["its interfaces"] = lambda: [name for _, name in socket.if_nameindex()]
ATTEMPTS["writable mounts"] = lambda: sorted(
    line.split()[1] for line in open("/proc/self/mounts") if line.split()[3].startswith("rw")
)


def outcome(function):
    try:
        return function()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


signal.signal(signal.SIGSYS, signal.SIG_DFL)
results = {name: outcome(function) for name, function in ATTEMPTS.items()}
json.dump(results, sys.stdout)
