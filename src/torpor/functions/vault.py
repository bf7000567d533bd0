"""Secrets: kept sealed, read in memory, opened only for whoever was let through to the value.

One store serves Secrets Manager's interface, SSM's parameters, the command line and functions' variables: what one of
them writes, the others read. Texts in errors never hold a value.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import string
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from torpor.core.errors import Conflict, InvalidValue, NotInvocable, ResourceNotFound, UserError
from torpor.core.function import FunctionConfig
from torpor.core.secret import CURRENT, NAME, PREVIOUS, Secret, SecretKind, SecretVersion, split_variable
from torpor.functions.keys import Seals

MAX_BYTES = 65_536
_MOST_SECRETS = 100_000
_MOST_UNSTAGED = 20  # earlier values without a stage; those with one stay
_ALPHABET = string.ascii_letters + string.digits
_name = re.compile(NAME)


class SecretNotFound(ResourceNotFound):
    """Secrets Manager can't find the specified secret."""


class SecretDeleted(UserError):
    """You can't perform this operation on the secret because it was marked for deletion."""

    code = "InvalidRequestException"


class SecretExists(Conflict):
    """There is a secret of this name already."""


class Table(Protocol):
    """Where secrets are kept. Everything blocks."""

    def read_all(self) -> list[Secret]: ...
    def put(self, secret: Secret) -> None: ...
    def delete(self, name: str) -> None: ...


class Vault:
    """Every secret, in memory and sealed. Changes are made one at a time."""

    def __init__(self, table: Table, seals: Seals, clock: Callable[[], float] = time.time) -> None:
        self._table = table
        self._seals = seals
        self._clock = clock
        self._secrets: dict[str, Secret] = {}
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Read what is stored; what was to be gone by now goes."""
        for secret in await asyncio.to_thread(self._table.read_all):
            if self._is_over(secret):
                await asyncio.to_thread(self._table.delete, secret.name)
            else:
                self._secrets[secret.name] = secret

    # Reading

    def get(self, name: str, *, deleted: bool = False) -> Secret:
        """The secret, by its name or its name with its suffix. Raises SecretNotFound; SecretDeleted unless wanted."""
        secret = self._secrets.get(name)
        if secret is None and name[-7:-6] == "-":
            secret = self._secrets.get(name[:-7])
            secret = secret if secret is not None and secret.suffix == name[-6:] else None
        if secret is None or self._is_over(secret):
            raise SecretNotFound
        if secret.deletes is not None and not deleted:
            raise SecretDeleted
        return secret

    def all(self) -> tuple[Secret, ...]:
        """In order of their names, those that were deleted and may be restored included."""
        return tuple(
            sorted((one for one in self._secrets.values() if not self._is_over(one)), key=lambda one: one.name)
        )

    def value(self, secret: Secret, version: SecretVersion) -> bytes:
        """The value in clear. Raises PlatformFault where it cannot be opened."""
        return self._seals.open(version.sealed, _context(secret.name, version.id))

    def text(self, name: str) -> str:
        """The current value as text. Raises SecretNotFound, SecretDeleted, InvalidValue for what no variable holds."""
        secret = self.get(name)
        if secret.name != name:
            raise SecretNotFound  # by its suffix, too, a secret would answer to a name that nobody has a right to
        if secret.current is None or secret.current.binary:
            raise InvalidValue(f"The secret {name} has no current value that is text.")
        text = self.value(secret, secret.current).decode()
        if "\0" in text:
            raise InvalidValue(f"The secret {name} holds a NUL character, which no environment can carry.")
        return text

    def variables_of(self, config: FunctionConfig) -> Mapping[str, str]:
        """The environment variables that a function takes from secrets. Raises NotInvocable, naming the secret."""
        found = {}
        for entry in config.secrets:
            variable, name = split_variable(entry) or ("", "")
            try:
                found[variable] = self.text(name)
            except (SecretNotFound, SecretDeleted, InvalidValue) as error:
                raise NotInvocable(
                    f"The function {config.name} cannot start without the secret {name}, which it takes as {variable} "
                    f"({error.message}): make it with `torpor secret set {name}`."
                ) from None
        return found

    # Changing

    async def create(self, name: str, *, kind: SecretKind = SecretKind.SECURE, **about: Any) -> Secret:
        """A new secret without a value; `about` are its description and tags. Raises SecretExists, InvalidValue."""
        _check_name(name)
        async with self._writing:
            self._check_free(name)
            return await self._store(Secret(name=name, suffix=_suffix(), kind=kind, **about))

    async def create_with(
        self,
        name: str,
        value: bytes,
        *,
        kind: SecretKind = SecretKind.SECURE,
        binary: bool = False,
        version_id: str | None = None,
        **about: Any,
    ) -> Secret:
        """A new secret with its first value. Once more with the same id and value changes nothing."""
        _check_name(name)
        _check_value(value)
        async with self._writing:
            known = self._secrets.get(name)
            if known is not None and version_id and self._same(known, version_id, value):
                return known
            self._check_free(name)
            secret = Secret(name=name, suffix=_suffix(), kind=kind, **about)
            return await self._store(self._with_value(secret, value, (CURRENT,), version_id, binary=binary))

    async def put(
        self,
        name: str,
        value: bytes,
        *,
        binary: bool = False,
        version_id: str | None = None,
        stages: tuple[str, ...] = (CURRENT,),
        **about: Any,
    ) -> tuple[Secret, SecretVersion]:
        """A new value; the one before becomes AWSPREVIOUS. Raises SecretNotFound, SecretExists for a used id."""
        _check_value(value)
        async with self._writing:
            secret = self.get(name)
            used = _version(secret, version_id) if version_id else None
            if used is not None:
                if not self._same(secret, used.id, value):
                    raise SecretExists("You can't use this ClientRequestToken: it was used with another value.")
                return secret, used
            secret = await self._store(
                self._with_value(secret, value, stages, version_id, binary=binary).evolve(**about)
            )
            return secret, secret.versions[-1]

    async def set(self, name: str, value: bytes, *, kind: SecretKind | None = None, **about: Any) -> Secret:
        """Make the secret, or give it a new value; one that was deleted is restored."""
        about = about if kind is None else {**about, "kind": kind}
        if name not in self._secrets or self._is_over(self._secrets[name]):
            return await self.create_with(name, value, **about)
        if self._secrets[name].deletes is not None:
            await self.change(name, lambda secret: secret.evolve(deletes=None), deleted=True)
        return (await self.put(name, value, **about))[0]

    async def change(self, name: str, change: Callable[[Secret], Secret], *, deleted: bool = False) -> Secret:
        """Store what `change` makes of the secret. Raises SecretNotFound, and SecretDeleted unless wanted."""
        async with self._writing:
            return await self._store(change(self.get(name, deleted=deleted)))

    async def delete(self, name: str, *, recovery_days: int | None = None) -> tuple[Secret, datetime]:
        """Remove it: for good, or after some days in which it can be restored. Raises SecretNotFound."""
        async with self._writing:
            secret = self.get(name, deleted=True)
            now = datetime.fromtimestamp(self._clock(), UTC)
            if recovery_days is None:
                await asyncio.shield(asyncio.to_thread(self._table.delete, secret.name))
                self._secrets.pop(secret.name, None)
                return secret, now
            if secret.deletes is not None:
                raise SecretDeleted
            deletes = now + timedelta(days=recovery_days)
            return await self._store(secret.evolve(deletes=deletes)), deletes

    async def _store(self, secret: Secret) -> Secret:
        stored = secret.evolve(changed=datetime.fromtimestamp(self._clock(), UTC))
        await asyncio.shield(asyncio.to_thread(self._table.put, stored))
        self._secrets[stored.name] = stored
        return stored

    def _with_value(
        self, secret: Secret, value: bytes, stages: tuple[str, ...], version_id: str | None, *, binary: bool
    ) -> Secret:
        version_id = version_id or str(uuid.uuid4())
        version = SecretVersion(
            id=version_id,
            number=secret.versions[-1].number + 1 if secret.versions else 1,
            sealed=self._seals.seal(value, _context(secret.name, version_id)),
            binary=binary,
            created=datetime.fromtimestamp(self._clock(), UTC),
        )
        secret = secret.evolve(versions=(*secret.versions, version))
        for stage in stages:
            secret = move_stage(secret, stage, version.id)
        return secret.evolve(versions=_thinned(secret.versions))

    def _same(self, secret: Secret, version_id: str, value: bytes) -> bool:
        version = _version(secret, version_id)
        return version is not None and self.value(secret, version) == value

    def _check_free(self, name: str) -> None:
        known = self._secrets.get(name)
        if known is not None and not self._is_over(known):
            if known.deletes is not None:
                raise SecretDeleted(
                    "You can't create this secret because a secret with this name is already scheduled for deletion."
                )
            raise SecretExists("The operation failed because the secret already exists.")
        if len(self._secrets) >= _MOST_SECRETS:
            raise InvalidValue(f"There are {_MOST_SECRETS} secrets, and no more can be made: remove some.")

    def _is_over(self, secret: Secret) -> bool:
        return secret.deletes is not None and secret.deletes.timestamp() <= self._clock()


def move_stage(secret: Secret, stage: str, version_id: str | None) -> Secret:
    """The secret with a stage on this version alone (None: on none); what AWSCURRENT leaves becomes AWSPREVIOUS."""
    before = secret.staged(stage)
    if before is not None and before.id == version_id:
        return secret
    versions = []
    for version in secret.versions:
        stages = tuple(one for one in version.stages if one != stage)
        if version.id == version_id:
            stages = (*stages, stage)
        versions.append(replace(version, stages=stages))
    moved = secret.evolve(versions=tuple(versions))
    if stage == CURRENT and before is not None:
        return move_stage(moved, PREVIOUS, before.id)
    return moved


def _thinned(versions: Iterable[SecretVersion]) -> tuple[SecretVersion, ...]:
    versions = tuple(versions)
    kept = {version.id for version in [one for one in versions if not one.stages][-_MOST_UNSTAGED:]}
    return tuple(version for version in versions if version.stages or version.id in kept)


def _version(secret: Secret, version_id: str) -> SecretVersion | None:
    return next((version for version in secret.versions if version.id == version_id), None)


def _check_name(name: str) -> None:
    if _name.fullmatch(name) is None:
        raise InvalidValue(
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@"
        )


def _check_value(value: bytes) -> None:
    if not 1 <= len(value) <= MAX_BYTES:
        raise InvalidValue(f"A secret holds 1 to {MAX_BYTES} bytes; this one has {len(value)}.")


def _suffix() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def _context(name: str, version_id: str) -> bytes:
    return f"secret:{name}:{version_id}".encode()
