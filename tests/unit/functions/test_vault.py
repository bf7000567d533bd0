"""Secrets on a real database: sealed there, read again by the next server, and by no other."""

import pytest

from torpor.core.errors import InvalidValue, NotInvocable
from torpor.core.function import FunctionConfig
from torpor.functions.vault import Vault
from torpor.store.database import Database
from torpor.store.sealing import Sealer, SealingKeyLost
from torpor.store.secret_table import SecretTable

VALUE = b"hunter2-the-value"


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "torpor.db") as database:
        yield database


def vault_of(database, key=b"k"):
    return Vault(SecretTable(database), Sealer(key * 32))


async def test_the_next_server_reads_it_and_a_copy_does_not(database, tmp_path):
    """Values, stages and tags are there again; no file of the database holds a value; another key opens nothing."""
    vault = vault_of(database)
    await vault.create_with("prod/db", VALUE, tags={"k": "v"})
    await vault.put("prod/db", b"newer", description="d")
    again = vault_of(database)
    await again.open()
    secret = again.get("prod/db")
    assert (secret.tags, secret.description, again.text("prod/db")) == ({"k": "v"}, "d", "newer")
    assert again.value(secret, secret.staged("AWSPREVIOUS")) == VALUE
    stolen = vault_of(database, b"x")
    await stolen.open()
    with pytest.raises(SealingKeyLost):
        stolen.text("prod/db")
    assert not any(VALUE in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert VALUE.decode() not in repr(secret)


async def test_set_makes_changes_and_restores(database):
    """What the command line does, whatever was there."""
    vault = vault_of(database)
    assert (await vault.set("s", b"1")).versions[-1].number == 1
    assert (await vault.set("s", b"2")).versions[-1].number == 2
    await vault.delete("s", recovery_days=7)
    await vault.set("s", b"3")
    assert vault.text("s") == "3"
    await vault.delete("s")
    assert vault.all() == ()


async def test_old_versions_do_not_pile_up(database):
    """Those with a stage stay, and some before them."""
    vault = vault_of(database)
    for number in range(100):
        secret = await vault.set("s", f"{number}".encode())
    assert len(secret.versions) == 22
    assert secret.versions[-1].number == 100


async def test_a_function_s_variables(database):
    """By name; a missing, deleted or unfit secret is named, with the variable and what to do."""
    vault = vault_of(database)
    await vault.set("prod/db", VALUE)
    config = FunctionConfig(name="f", handler="a.b", secrets=("DB=prod/db", "OTHER=prod/db"))
    assert vault.variables_of(config) == {"DB": VALUE.decode(), "OTHER": VALUE.decode()}
    disguised = config.evolve(secrets=(f"DB=prod/db-{vault.get('prod/db').suffix}",))
    with pytest.raises(NotInvocable):  # rights are held to the name
        vault.variables_of(disguised)
    for value in (b"a\0b", None):
        await (vault.set("prod/db", value) if value else vault.delete("prod/db", recovery_days=7))
        with pytest.raises(NotInvocable, match="without the secret prod/db, which it takes as DB"):
            vault.variables_of(config)


@pytest.mark.parametrize(("name", "value"), [("bad name", b"x"), ("", b"x"), ("n", b""), ("n", b"x" * 65_537)])
async def test_names_and_values_are_checked(database, name, value):
    """And nothing is stored."""
    vault = vault_of(database)
    with pytest.raises(InvalidValue):
        await vault.set(name, value)
    assert vault.all() == ()
