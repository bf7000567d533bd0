"""Instances of a user without rights: `python rootless.py FOLDER` prints what came of them as JSON."""

import asyncio
import importlib.util
import json
import os
import sys
from pathlib import Path

from torpor.runtime.launch import Mount, SandboxOptions, open_sandboxes

GREEDY = "import os, time\nif os.fork() == 0:\n    x = []\n    while True: x.append(bytearray(1 << 20))\ntime.sleep(60)"
FORKS = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0: time.sleep(60)
        made += 1
except OSError as error: print(error.errno, made)
"""
FULL = """
import errno
try:
    with open("/tmp/big", "wb") as file:
        while True: file.write(b"x" * (1 << 20))
except OSError as error: print(errno.errorcode[error.errno])
"""
BUSY = """
import time
x = bytearray(50 << 20)
end = time.process_time() + 0.1
while time.process_time() < end: pass
print("done", flush=True); time.sleep(60)
"""
WRITES = "open('/out/made', 'w').write('x')"


async def report(driver, folder):
    box = await open_sandboxes(SandboxOptions(data_dir=folder, run_dir=folder / "run"))

    async def run(code, wanted=lambda _: False, **changes):
        live = await driver.start(box, ("-c", code), **changes)
        text = await driver.output_until(live, wanted)
        used = [live.max_memory_mb(), live.cpu_ms()]
        if wanted(text):
            live.kill()
        exit_ = await live.wait()
        await live.close()
        return {"text": text.decode(), "exit": [exit_.status, exit_.signal], "oom": exit_.out_of_memory, "used": used}

    out = folder / "out"
    out.mkdir()
    try:
        return {
            "uid": os.getuid(),
            "greedy": await run(GREEDY, memory_mb=64),
            "forks": await run(FORKS, processes=30),
            "full": await run(FULL, tmp_mb=16),
            "busy": await run(BUSY, lambda text: b"done" in text),
            "writes": await run(WRITES, mounts=(Mount(source=str(out), target="/out", read_only=False),)),
            "owner": (out / "made").stat().st_uid,
            "status": await run("import os; os._exit(9)"),
        }
    finally:
        await box.close()


def main():
    spec = importlib.util.spec_from_file_location("driver", Path(__file__).parent / "driver.py")
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    json.dump(asyncio.run(report(driver, Path(sys.argv[1]))), sys.stdout)


main()
