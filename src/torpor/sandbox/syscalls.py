"""System call numbers as (x86_64, aarch64), from the kernel's own headers; None where a machine lacks the call."""

from __future__ import annotations

from typing import Dict, Optional, Tuple  # noqa: UP035 -- a zygote's interpreter may be a Python 3.9

Table = Dict[str, Tuple[Optional[int], Optional[int]]]  # noqa: UP006 -- likewise

LAST_KNOWN = 462  # mseal (Linux 6.10): whatever came later is answered with ENOSYS until someone has looked at it

# Answered with EPERM: what changes or inspects the machine, other processes, or the file system's shape.
REFUSED: Table = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "syslog": (103, 116),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "userfaultfd": (323, 282),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "statmount": (457, 457),
    "listmount": (458, 458),
}

# Answered with ENOSYS, as on an older kernel, so that callers fall back: clone3's flags cannot be read by a filter, and
# Python's threads and Node break when it answers EPERM.
ABSENT: Table = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "memfd_secret": (447, 447),
    "io_setup": (206, 0),
    "create_module": (174, None),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
    "_sysctl": (156, None),
    "vserver": (236, None),
    "afs_syscall": (183, None),
    "getpmsg": (181, None),
    "putpmsg": (182, None),
    "tuxcall": (184, None),
    "security": (185, None),
}

# Allowed or not by their arguments.
EXAMINED: Table = {
    "clone": (56, 220),
    "unshare": (272, 97),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
    "personality": (135, 92),
    "prlimit64": (302, 261),
    "setrlimit": (160, 164),
}
