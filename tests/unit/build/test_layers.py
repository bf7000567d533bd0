"""The folders at /opt: order, conflicts between kinds, links, and what a sweep leaves."""

import pytest

from torpor.build.layers import LayerFolders
from torpor.core.errors import ResourceNotFound
from torpor.core.function import FunctionLayer


class Compiled:
    """Remembers what was to be byte-compiled."""

    def __init__(self):
        self.asked = []

    async def compile_code(self, folder, runtime):
        self.asked.append((folder.name, runtime))


@pytest.fixture
def compiled():
    return Compiled()


@pytest.fixture
def folders(root, bundles, compiled):
    return LayerFolders(root, bundles, compiled)


@pytest.fixture
def layer(bundles, archives):
    async def layer(*entries):
        bundle = await bundles.add(archives.of(*entries))
        return FunctionLayer(arn="arn", digest=bundle.digest, size=bundle.size, unpacked=1)

    return layer


async def test_later_layers_lie_over_earlier_ones(folders, layer):
    """Files of one name come from the last layer that has them, and folders are joined."""
    first = await layer(("python/a.py", "1"), ("python/b.py", "1"), ("bin/tool", "1"))
    second = await layer(("python/b.py", "2"), ("python/sub/c.py", "2"))
    place = await folders.prepare([first, second], "python3.11")
    assert {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()} == {
        "python/a.py": "1",
        "python/b.py": "2",
        "python/sub/c.py": "2",
        "bin/tool": "1",
    }
    other = await folders.prepare([second, first], "python3.11")
    assert other != place
    assert (other / "python/b.py").read_text() == "1"
    assert await folders.folder([first, second], "python3.11") == place


async def test_a_later_kind_replaces_an_earlier_one(folders, layer, archives):
    """A folder over a file, a file over a folder, and either over a link: the last one counts, and no link is followed."""
    first = await layer(("x", "file"), ("y/inside", "1"), ("real/keep", "1"), archives.link("z", "real"))
    second = await layer(("x/inside", "2"), ("y", "file"), ("z/new", "2"))
    place = await folders.prepare([first, second], "python3.11")
    assert (place / "x/inside").read_text() == "2"
    assert (place / "y").read_text() == "file"
    assert not (place / "z").is_symlink()
    assert [path.name for path in (place / "real").iterdir()] == ["keep"]
    back = await folders.prepare([second, first], "python3.11")
    assert str((back / "z").readlink()) == "real"


async def test_what_is_merged_takes_no_room_and_cannot_be_changed(folders, layer):
    """Merged files are the layers' own, and folders are read-only."""
    one, two = await layer(("python/a.py", "1")), await layer(("python/b.py", "2"))
    place = await folders.prepare([one, two], "python3.11")
    assert (place / "python/a.py").stat().st_nlink == 2
    assert (place / "python").stat().st_mode & 0o222 == 0
    assert place.stat().st_mode & 0o777 == 0o555


async def test_one_layer_is_its_own_folder(folders, layer, bundles, compiled):
    """A single layer is not merged; it is byte-compiled for the function's runtime."""
    one = await layer(("python/a.py", "1"))
    place = await folders.prepare([one], "python3.11")
    assert place.name == one.digest
    assert compiled.asked == [(one.digest, "python3.11")]
    assert await folders.folder([one], "python3.11") == place
    assert await folders.prepare([], "python3.11") is None


async def test_code_that_is_gone_is_told(folders, layer, bundles):
    """A layer whose archive was collected cannot be prepared any more."""
    one = await layer(("python/a.py", "1"))
    bundles.sweep(set())
    with pytest.raises(ResourceNotFound):
        await folders.prepare([one], "python3.11")


async def test_a_sweep_leaves_what_is_used(folders, layer, root):
    """Merged folders that no function has go, strays of killed servers too."""
    one, two = await layer(("a", "1")), await layer(("b", "2"))
    kept = await folders.prepare([one, two], "python3.11")
    gone = await folders.prepare([two, one], "python3.11")
    (root / "layers/.new-stray").mkdir()
    assert folders.sweep([([one, two], "python3.11"), ((), "python3.11")]).count == 1
    assert kept.is_dir()
    assert not gone.exists()
    assert {path.name for path in (root / "layers").iterdir()} == {".lock", kept.name}
