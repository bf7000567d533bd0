"""Blanks: made for what is called, used by the next start, and gone with what they were made of."""

import pytest

from torpor.core.invocation import Depth

PLAIN = "def handler(event, context): return 1"


@pytest.mark.slow
async def test_a_start_takes_a_blank_and_it_is_replaced(nursery):
    """There are as many as allowed; the next start uses one of them, and another is made."""
    await nursery.warm()
    await nursery.answer(nursery.revision(PLAIN))
    await nursery.until(lambda: len(nursery.place.blanks) == 2)
    ready = list(nursery.place.blanks)
    assert await nursery.answer(nursery.revision(PLAIN)) == (1, Depth.ZYGOTE)
    assert nursery.place.blanks[0] is ready[1]
    await nursery.until(lambda: len(nursery.place.blanks) == 2)


@pytest.mark.slow
async def test_a_blank_takes_on_the_size_of_its_function(nursery):
    """Memory, /tmp and shared memory are those of the function, though the blank was made for another."""
    await nursery.warm(memory_mb=128)
    await nursery.answer(nursery.revision(PLAIN, memory_mb=128, tmp_mb=512))
    await nursery.until(lambda: len(nursery.place.blanks) == 2)
    sizes = "import os\ndef handler(e, c): return [s.f_blocks * s.f_frsize >> 20 for s in map(os.statvfs, ('/tmp', '/dev/shm'))]"
    large = nursery.revision(sizes, memory_mb=512, tmp_mb=700)
    assert await nursery.answer(large) == ([700, 256], Depth.ZYGOTE), nursery.node.start_of(large.name)
    greedy = "def handler(e, c): return len(bytearray(e << 20))"
    revision = nursery.revision(greedy, memory_mb=900)
    assert await nursery.answer(revision, 800) == (800 << 20, Depth.ZYGOTE)
    small = nursery.revision("def handler(e, c): return len(b'x' * (e << 20))", memory_mb=128, tmp_mb=512)
    assert (await nursery.call(small, 3000)).function_error == "Unhandled"


@pytest.mark.slow
async def test_a_dead_blank_is_not_used(nursery):
    """Blanks that were killed are passed over, and replaced."""
    await nursery.warm()
    await nursery.answer(nursery.revision(PLAIN))
    await nursery.until(lambda: len(nursery.place.blanks) == 2)
    for blank in nursery.place.blanks:
        blank._birth.kill()
    await nursery.until(lambda: not any(blank.alive for blank in nursery.place.blanks))
    assert await nursery.answer(nursery.revision(PLAIN)) == (1, Depth.ZYGOTE)
    await nursery.until(lambda: [blank.alive for blank in nursery.place.blanks] == [True, True])


@pytest.mark.slow
async def test_new_modules_build_a_better_zygote_and_retire_the_old(nursery):
    """What a forked instance still had to import is imported beforehand the next time; instances of the old one live on."""
    first = await nursery.warm()
    nursery.module("extra", "import os\nborn = os.getpid()")
    code = "import extra\nn = 0\ndef handler(e, c):\n    global n; n += 1; return [extra.born, n]"
    revision = nursery.revision(code)
    assert await nursery.answer(revision) == ([2, 1], Depth.ZYGOTE)
    await nursery.until(lambda: nursery.place.zygote is not first)
    assert await nursery.answer(revision) == ([2, 2], Depth.WARM)
    (born, _), depth = await nursery.answer(nursery.revision(code))
    assert (born, depth) == (3, Depth.ZYGOTE)
    await nursery.until(lambda: all(blank.zygote is nursery.place.zygote for blank in nursery.place.blanks))


@pytest.mark.slow
async def test_what_was_learned_outlives_the_server(nursery):
    """The modules of an environment are kept, and read when it is called again."""
    nursery.module("extra", "")
    await nursery.warm("import extra\ndef handler(e, c): return 1")
    await nursery.until(lambda: "extra" in nursery.sandboxes._zygotes._store.load("own"))
