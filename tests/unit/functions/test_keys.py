"""Access keys and the sessions made with them."""

import base64

import pytest

from torpor.core.errors import Conflict, FunctionNotFound, InvalidValue, ResourceNotFound
from torpor.core.function import FunctionConfig
from torpor.core.identity import Key, Kind, Principal, SessionExpired
from torpor.functions.keys import AccessKeys
from torpor.functions.sessions import Sessions
from torpor.store.database import Database
from torpor.store.key_table import KeyTable
from torpor.store.sealing import Sealer

OWNER = Key("owner's secret", Principal(Kind.OWNER, key_id="ROOT"))


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "torpor.db") as database:
        yield database


def keys_of(database, home, sealer=None):
    return AccessKeys(KeyTable(database), sealer or Sealer(b"k" * 32), home, {"ROOT": OWNER})


@pytest.fixture
def keys(database, home):
    return keys_of(database, home)


@pytest.fixture
def home():
    from torpor.core.arn import Home

    return Home()


async def test_a_key_survives_the_server_and_its_secret_does_not_lie_open(keys, database, home, tmp_path):
    """The next server knows the secret again; no file of the database holds it."""
    key, secret = await keys.create("ci", ["lambda:InvokeFunction/spam-*"])
    again = keys_of(database, home)
    await again.open()
    assert again.by_id[key.id].secret == secret
    assert again.by_id[key.id].principal == Principal(
        Kind.KEY, "arn:aws:iam::000000000000:user/ci", permissions=("lambda:InvokeFunction/spam-*",), key_id=key.id
    )
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(key.id.encode() in path.read_bytes() for path in files)
    assert not any(secret.encode() in path.read_bytes() for path in files)


async def test_a_copied_database_lets_nobody_in(keys, database, home):
    """With another sealing key, keys are listed and refused."""
    key, _ = await keys.create("ci", ["*"])
    stolen = keys_of(database, home, Sealer(b"x" * 32))
    await stolen.open()
    assert [one.name for one in stolen.list()] == ["ci"]
    assert key.id not in stolen.by_id
    assert "ROOT" in stolen.by_id


async def test_a_removed_key_is_gone_at_once(keys):
    """By name or id; what has a view of the keys sees it go."""
    view = keys.by_id
    one, _ = await keys.create("one", ["*"])
    two, _ = await keys.create("two", ["*"])
    assert one.id in view
    assert (await keys.remove("one")).id == one.id
    await keys.remove(two.id)
    assert set(view) == {"ROOT"}
    with pytest.raises(ResourceNotFound, match="torpor keys ls"):
        await keys.remove("one")


@pytest.mark.parametrize(
    ("name", "permissions"),
    [("", ["*"]), ("a b", ["*"]), ("x" * 65, ["*"]), ("ok", []), ("ok", ["invoke"]), ("ok", ["lambda:*"] * 1 + ["?"])],
)
async def test_what_is_no_key_is_refused(keys, name, permissions):
    """Names and rights are checked, and nothing is stored."""
    with pytest.raises(InvalidValue):
        await keys.create(name, permissions)
    assert keys.list() == ()


async def test_two_keys_do_not_share_a_name(keys):
    """A name says whose key it is."""
    await keys.create("ci", ["*"])
    with pytest.raises(Conflict, match="torpor keys rm ci"):
        await keys.create("ci", ["*"])


class World:
    """Functions by name and version."""

    def __init__(self):
        self.configs = {}

    def __call__(self, name, version):
        if (name, version) not in self.configs:
            raise FunctionNotFound(name)
        return self.configs[name, version]


@pytest.fixture
def world():
    return World()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sessions(keys, world, home, clock):
    return Sessions(Sealer(b"k" * 32), keys.by_id, world, home, clock)


def config(*permissions):
    return FunctionConfig(name="f", handler="app.handler", permissions=permissions)


def test_a_function_has_the_rights_of_its_configuration_and_of_now(sessions, world, clock):
    """What is taken away ends at once, what comes later is for newer instances, and nothing outlives the function."""
    world.configs["f", "$LATEST"] = config("lambda:InvokeFunction", "lambda:GetFunction")
    given = sessions.of_function(world.configs["f", "$LATEST"], "$LATEST", 3600)
    found = sessions.find(given.access_key_id, given.token)
    assert found.secret == given.secret
    assert found.principal.permissions == ("lambda:InvokeFunction", "lambda:GetFunction")
    assert (found.principal.kind, found.principal.function) == (Kind.FUNCTION, "f")

    world.configs["f", "$LATEST"] = config("lambda:GetFunction", "iam:*")
    assert sessions.find(given.access_key_id, given.token).principal.permissions == ("lambda:GetFunction",)
    world.configs.clear()
    assert sessions.find(given.access_key_id, given.token) is None


def test_credentials_expire(sessions, world, clock):
    """To the second, whether or not the session was seen before; new ones are good again."""
    world.configs["f", "1"] = config()
    given = sessions.of_function(world.configs["f", "1"], "1", 3600)
    clock.now += 3599
    assert sessions.find(given.access_key_id, given.token)
    clock.now += 1
    with pytest.raises(SessionExpired):
        sessions.find(given.access_key_id, given.token)
    renewed = sessions.of_function(world.configs["f", "1"], "1", 3600)
    assert sessions.find(renewed.access_key_id, renewed.token)


def test_a_token_cannot_be_made_or_changed(sessions, world):
    """It is sealed, for its own id alone."""
    world.configs["f", "1"] = config()
    one, two = (sessions.of_function(world.configs["f", "1"], "1", 60) for _ in range(2))
    raw = bytearray(base64.b64decode(one.token))
    raw[-1] ^= 1
    for token in (two.token, "", "not base64 ☃", "AAAA", base64.b64encode(raw).decode(), "A" * 100_000):
        assert sessions.find(one.access_key_id, token) is None
    assert one.secret not in repr(one)
    assert one.token not in repr(one)


async def test_a_key_s_session_ends_with_the_key(sessions, keys):
    """It has the key's rights under its own name, cannot make further sessions, and is nothing without the key."""
    key, _ = await keys.create("ci", ["lambda:*"])
    given = sessions.of_key(key.id, "arn:aws:sts::000000000000:assumed-role/r/s", 900)
    principal = sessions.find(given.access_key_id, given.token).principal
    assert (principal.permissions, principal.key_id) == (("lambda:*",), "")
    assert principal.arn.endswith("assumed-role/r/s")
    await keys.remove("ci")
    assert sessions.find(given.access_key_id, given.token) is None
