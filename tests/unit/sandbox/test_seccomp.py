"""The system call filter, run by an interpreter of its own small language, for machines that we are not."""

import errno
import struct

import pytest

from torpor.sandbox import seccomp, syscalls

KILL, ALLOW, ERROR = 0x80000000, 0x7FFF0000, 0x00050000
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


def verdict(machine, number, *arguments, architecture=None):
    """What the filter answers to one call: ALLOW, KILL, or an errno."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<iIQ6Q", number, architecture or MACHINES[machine][0], 0, *(word % (1 << 64) for word in words))
    code = seccomp.program(machine)
    steps = [struct.unpack_from("HBBI", code, at) for at in range(0, len(code), 8)]
    accumulator, at = 0, 0
    while True:
        kind, if_true, if_false, operand = steps[at]
        at += 1
        if kind == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, operand)
        elif kind == 0x05:
            at += operand
        elif kind == 0x06:
            return operand & 0xFFFF if operand >> 16 == ERROR >> 16 else operand
        else:
            met = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x45: bool(accumulator & operand)}[kind]
            at += if_true if met else if_false


@pytest.fixture(params=MACHINES)
def ask(request):
    """Asks for a verdict by a call's name on one of the machines."""
    column = MACHINES[request.param][1]
    names = syscalls.REFUSED | syscalls.ABSENT | syscalls.EXAMINED
    plain = {"read": (0, 63), "futex": (202, 98), "membarrier": (324, 283), "rseq": (334, 293)}
    plain |= {
        "mbind": (237, 235),
        "get_mempolicy": (236 + 3, 236),
        "memfd_create": (319, 279),
        "pkey_alloc": (330, 289),
    }
    names = names | plain

    def verdict_of(name, *arguments):
        number = names[name][column] if isinstance(name, str) else name
        return None if number is None else verdict(request.param, number, *arguments)

    return verdict_of


def test_what_libraries_need_is_allowed(ask):
    """Reading, locking, memory policies, anonymous files and protection keys pass."""
    for name in ("read", "futex", "membarrier", "rseq", "mbind", "get_mempolicy", "memfd_create", "pkey_alloc"):
        assert ask(name) == ALLOW, name


def test_what_touches_the_machine_is_refused(ask):
    """Every refused call answers EPERM, every absent one ENOSYS, on each machine that has it."""
    assert {ask(name) for name in syscalls.REFUSED} <= {errno.EPERM, None}
    assert {ask(name) for name in syscalls.ABSENT} <= {errno.ENOSYS, None}


def test_calls_unknown_when_it_was_written_do_not_exist(ask):
    """Numbers above the last known one, x32's among them, answer ENOSYS; the last known itself is judged by name."""
    for number in (syscalls.LAST_KNOWN + 1, 1000, 0x40000000, 0x40000000 | 39, 0x7FFFFFFF):
        assert ask(number) == errno.ENOSYS
    assert ask(syscalls.LAST_KNOWN) == ALLOW


def test_another_instruction_set_is_the_end():
    """A call that arrives by another architecture's entry ends the process."""
    assert verdict("x86_64", 39, architecture=0x40000003) == KILL
    assert verdict("aarch64", 39, architecture=0x40000028) == KILL


@pytest.mark.parametrize("flag", [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_threads_and_forks_pass_and_namespaces_do_not(ask, flag):
    """clone and unshare are judged by their flags, alone or among others."""
    threads = 0x003D0F00
    assert ask("clone", threads) == ask("clone", 17) == ask("unshare", 0x400) == ALLOW
    assert ask("clone", threads | flag) == ask("clone", flag | 17) == ask("unshare", flag) == errno.EPERM
    assert ask("unshare", 0x80) == errno.EPERM  # time


def test_socket_families_are_those_of_the_network_and_of_unix(ask):
    """UNIX, INET, INET6 and NETLINK for routes; high halves of the arguments, which the kernel ignores, change nothing."""
    for family in (1, 2, 10):
        assert ask("socket", family, 1, 0) == ask("socket", family | 1 << 40, 3, 255) == ALLOW
    assert ask("socket", 16, 3, 0) == ALLOW
    for family, protocol in ((16, 9), (16, 16), (40, 0), (17, 0), (38, 0), (0, 0), (45, 0)):
        assert ask("socket", family, 3, protocol) == errno.EAFNOSUPPORT
    assert ask("socketpair", 1, 1, 0) == ALLOW
    assert ask("socketpair", 30, 1, 0) == errno.EAFNOSUPPORT


def test_terminals_and_personalities(ask):
    """Characters cannot be pushed into a terminal; the personality can be asked for, and stay as it is."""
    assert ask("ioctl", 0, 0x5401) == ALLOW
    assert ask("ioctl", 0, 0x5412) == ask("ioctl", 0, 0x5412 | 1 << 32) == ask("ioctl", 0, 0x541C) == errno.EPERM
    assert ask("personality", 0) == ask("personality", 0xFFFFFFFF) == ALLOW
    assert ask("personality", 0x0400000) == errno.EPERM


def test_limits_are_ones_own_to_set_and_anyones_to_read(ask):
    """prlimit with a process id may only read."""
    assert (
        ask("prlimit64", 0, 7, 0x1000, 0)
        == ask("prlimit64", 0, 7, 1 << 40, 0)
        == ask("prlimit64", 1, 7, 0, 0x1000)
        == ALLOW
    )
    assert ask("setrlimit", 7, 0x1000) == ALLOW
    for new in (0x1000, 1 << 40, (1 << 40) + 1):
        assert ask("prlimit64", 1, 7, new, 0) == errno.EPERM


def test_the_size_of_core_files_stays(ask):
    """It can be read; setting it is said to be done, and is not: at 0 some hosts feed dumps to a program of root's."""
    core, done = 4, 0
    assert ask("prlimit64", 0, core, 0, 0x1000) == ALLOW
    assert ask("prlimit64", 0, core, 0x1000, 0) == ask("prlimit64", 0, core, 1 << 40, 0) == done
    assert ask("setrlimit", core, 0x1000) == done
