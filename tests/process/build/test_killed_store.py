"""A server killed while it stores code leaves nothing that is used, and nothing that a sweep does not remove."""

import asyncio
import io
import sys
import textwrap
import zipfile

import pytest

from torpor.build.bundles import Bundles
from torpor.core.limits import Limits

pytestmark = pytest.mark.slow

STORE = textwrap.dedent(
    """
    import asyncio, sys, threading
    from pathlib import Path
    from torpor.build import bundles
    from torpor.core.limits import Limits

    data, archive, stop = sys.argv[1:]

    def hang(*_):
        print("reached", flush=True)
        threading.Event().wait(60)

    if stop != "nothing":
        setattr(bundles, stop, hang)
    store = bundles.Bundles(Path(data), Limits())
    print(asyncio.run(store.add(Path(archive))).digest, flush=True)
    """
)


@pytest.fixture
async def storing(data, tmp_path):
    """Starts another process that stores an archive, and stops when it calls this function."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(20):
            archive.writestr(f"pkg/m{number}.py", f"x = {number}\n")
    upload = tmp_path / "upload.zip"
    upload.write_bytes(made.getvalue())
    processes = []

    async def started(stop):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STORE, str(data), str(upload), stop, stdout=asyncio.subprocess.PIPE
        )
        processes.append(process)
        return process, upload

    yield started
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("stop", ["sync_file", "unpack", "sync_tree"])
async def test_after_a_kill_in_mid_store_the_next_try_succeeds(storing, data, stop):
    """Killed at any step, the store holds no bundle; the next server stores it, and its sweep removes the strays."""
    process, upload = await storing(stop)
    assert await process.stdout.readline() == b"reached\n"
    process.kill()
    await process.wait()
    assert not list((data / "artifacts").glob("*.zip"))
    assert not list((data / "code").glob("[!.]*"))
    assert list(data.rglob(".new-*"))
    bundles = Bundles(data, Limits())
    bundle = await bundles.add(upload)
    assert len(list(bundles.code_dir(bundle).rglob("*.py"))) == 20
    bundles.sweep({bundle.digest})
    assert not list(data.rglob(".new-*"))
    assert bundles.code_dir(bundle).is_dir()


async def test_two_processes_that_store_one_bundle_agree(storing, data):
    """Several servers that store the same archive at once all succeed, and leave one copy and no stray."""
    processes = [await storing("nothing") for _ in range(3)]
    outputs = {(await process.communicate())[0].decode().strip() for process, _ in processes}
    assert len(outputs) == 1
    assert sorted(path.name for path in (data / "artifacts").iterdir()) == [".lock", f"{outputs.pop()}.zip"]
    assert not list(data.rglob(".new-*"))
