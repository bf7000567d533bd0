"""Runs the attempts of attempts.py inside an instance, beside a victim; as any user, on the standard library alone.

`python driver.py FOLDER [forked]`: FOLDER is empty and ours; `forked` from a zygote. Prints JSON: how the sandboxes are set up, and each attempt's outcome.
"""

import asyncio
import ctypes
import json
import os
import platform
import socket
import sys
from pathlib import Path

from torpor.core.invocation import Depth
from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import LaunchSpec, Mount, SandboxOptions, open_sandboxes
from torpor.runtime.spec import ZygoteSpec

HERE = Path(__file__).parent
ENVIRONMENT = {"LANG": "C.UTF-8", "GIVEN": "on purpose"}
SHM_KEY = 0x70707
HOST_PLACES = ("/root", "/home", "/etc/shadow", "/etc/ssl/private", "/run", "/boot", "/var/lib", "/mnt")
HOST_PLACES += ("/sys/fs", "/sys/class", "/sys/kernel")
VICTIM = """
import os, socket, sys, time
with open("/tmp/secret", "w") as f: f.write("the victim's")
a = socket.socket(socket.AF_UNIX); a.bind("\\0victims"); a.listen()
t = socket.create_server(("127.0.0.1", 7777))
print("up", flush=True)
time.sleep(600)
"""


def interpreter():
    """(an interpreter, the folders that it needs): the system's own where there is one, so that /root stays unseen."""
    if Path("/usr/bin/python3").exists():
        return "/usr/bin/python3", ()
    base = os.path.realpath(sys.base_prefix)
    return os.path.realpath(sys.executable), (Mount(source=base, target=base),)


def read(fd):
    try:
        return os.read(fd, 1 << 20)
    except BlockingIOError:
        return b""


async def output_until(live, wanted):
    """What it prints, until `wanted` holds for it or it has ended."""
    text = b""
    end = asyncio.create_task(live.wait())
    while not wanted(text) and not end.done():
        await asyncio.wait([end], timeout=0.01)
        text += read(live.output)
    end.cancel()
    return text + read(live.output)


def zygote():
    """What instances of these tests are forked from, where they are."""
    python, needed = interpreter()
    return ZygoteSpec(key="tests", python=python, site_packages="", env=ENVIRONMENT, mounts=needed)


async def prepare(box, modules=("json", "socket", "ctypes", "subprocess")):
    """Wait until instances are forked from a zygote, which has imported `modules`."""
    box.learn(LaunchSpec(instance_id="x", argv=(), env={}, zygote=zygote()), modules)
    while box.zygote_state("tests")[0] is Depth.SPAWN:  # noqa: ASYNC110 -- it tells nobody when it changes
        await asyncio.sleep(0.01)


def start(box, code, *arguments, mounts=(), **changes):
    python, needed = interpreter()
    values = {"instance_id": "x", "env": ENVIRONMENT, "cwd": "/tmp", "memory_mb": 256, "tmp_mb": 64, "open_files": 256}
    values |= {"argv": (python, "-I", *code, *arguments), "mounts": (*needed, *mounts)}
    return box.start(LaunchSpec(**(values | changes)))


async def report(folder, *, forked=False):
    data = folder / "data"
    data.mkdir(mode=0o700)
    (data / "key.json").write_text("secret")
    listener = socket.create_server(("127.0.0.1", 0))
    named = socket.socket(socket.AF_UNIX)
    named.bind(f"\0torpor-test-{os.getpid()}")
    named.listen()
    libc = ctypes.CDLL(None)
    segment = libc.shmget(SHM_KEY, 4096, 0o1666)
    box = await open_sandboxes(SandboxOptions(data_dir=data, run_dir=folder / "run"))
    try:
        victim = await start(box, ("-c", VICTIM))
        await output_until(victim, lambda text: b"up" in text)
        outside = {
            "files": [*HOST_PLACES, "/tmp/secret", *map(str, (data, data / "key.json", folder, HERE))],
            "tcp": listener.getsockname()[1],
            "victim_tcp": 7777,
            "host_abstract": f"torpor-test-{os.getpid()}",
            "victim_abstract": "victims",
            "shm_key": SHM_KEY,
            "pids": {"server": os.getpid(), "victim": host_pid(victim._birth.handle)},
        }
        if forked:
            await prepare(box)
        seen = (Mount(source=str(HERE), target="/var/task"),)
        born = {"zygote": zygote() if forked else None}
        live = await start(box, ("/var/task/attempts.py",), json.dumps(outside), mounts=seen, **born)
        assert live.depth is (Depth.ZYGOTE if forked else Depth.SPAWN), live.reason
        text = await output_until(live, lambda _: False)
        exit_ = await live.wait()
        return {
            "uid": os.getuid(),
            "own_ids": box.own_ids,
            "limits_memory": box.limits_memory,
            "machine": platform.machine(),
            "exit": [exit_.status, exit_.signal],
            "text": text.decode(errors="replace"),
        }
    finally:
        await box.close()
        libc.shmctl(segment, 0, None)
        listener.close()
        named.close()


if __name__ == "__main__":
    json.dump(asyncio.run(report(Path(sys.argv[1]), forked="forked" in sys.argv)), sys.stdout)
