"""A server to be killed: `python server.py FOLDER [forked]` starts stubborn instances and a command, prints what there is, and waits."""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path

from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import SandboxOptions, open_sandboxes

STUBBORN = """
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
os.setsid() if os.getpid() != os.getsid(0) else None
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""
COMMAND = "trap '' TERM INT HUP; setsid sleep 600 & sleep 600"


async def main():
    folder = Path(sys.argv[1])
    spec = importlib.util.spec_from_file_location("driver", Path(__file__).parent / "driver.py")
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    box = await open_sandboxes(SandboxOptions(data_dir=folder, run_dir=folder / "run"))
    born = {}
    if "forked" in sys.argv:
        await driver.prepare(box)
        born = {"zygote": driver.zygote()}
    live = [await driver.start(box, ("-c", STUBBORN), **born) for _ in range(3)]
    assert len({one.depth for one in live}) == 1
    for one in live:
        await driver.output_until(one, lambda text: b"up" in text)
    command = asyncio.create_task(
        box.run(["sh", "-c", COMMAND], env={"PATH": os.environ["PATH"]}, cwd="/", timeout_s=600)
    )
    await asyncio.sleep(0.2)
    live[0].freeze()  # where it can be; what is frozen must not outlive us either
    json.dump(
        {
            "sentinel": host_pid(box._link._handle),
            "janitor": box._lifeline[1].pid,
            "groups": [str(root) for _, root in box._cgroups.roots],
            "run": str(folder / "run"),
        },
        sys.stdout,
    )
    sys.stdout.write("\n")
    sys.stdout.flush()
    await command


asyncio.run(main())
