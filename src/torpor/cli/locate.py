"""Finding the server: by address, or by the record that a running `torpor up` keeps in its data folder."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from torpor.cli.context import ClientOptions
from torpor.cli.failures import Unreachable, WrongUse

_LOOPBACK = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"}  # noqa: S104 - names to compare, nothing binds here


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the data folder's key.json holds."""

    access_key_id: str
    secret_access_key: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An address without a trailing slash, and what proves who we are there."""

    url: str
    token: str | None
    data_dir: Path
    key: Key | None = None  # None unless the data folder is this very server's


def find_server(options: ClientOptions, *, url: str | None = None, data: Path | None = None) -> Server:
    """The server that flags, the environment or the data folder name, in this order.

    The data folder's key goes to no address but the one its own server recorded, while that server runs, unless the
    folder was named with `data` beside the address: a token sent to a stranger is a token lost.
    Raises WrongUse for an address that is none, and Unreachable where nothing says where the server is.
    """
    folder = data or options.data_dir
    if options.token:
        options = replace(options, token=options.token.strip())  # tokens come from files, and those end in a newline
    record = read_json(folder / "server.json") if _is_held(folder) else None
    recorded = str(record["url"]).rstrip("/") if record and record.get("url") else None
    address = url or (None if data else options.url)
    if address is None:
        if recorded is None:
            raise Unreachable(no_server(folder), code="NoServer")
        return _with_key(recorded, options, folder)
    address = checked_url(address)
    if data is not None and url is not None:
        return _with_key(address, options, folder)
    if recorded is not None and _same(address, recorded):
        # As recorded: where `localhost` was written, ::1 is tried first, and may be somebody else's.
        return _with_key(recorded, options, folder)
    return Server(url=address, token=options.token, data_dir=folder)


def no_server(folder: Path) -> str:
    return (
        f"no server is running on the data folder {folder}: start one with `torpor up`, "
        "or say where it is with --url, --data or TORPOR_URL"
    )


def _is_held(folder: Path) -> bool:
    """Whether a server holds the folder's lock. The record of a killed one stays, and its port may be a stranger's."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True  # without a lock to look at, the record is all there is
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # a server that starts at this moment tries again
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file of the data folder; None where there is no such file."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise Unreachable(f"{path} belongs to another user: {error.strerror}", code="NotYours") from None
    except ValueError as error:
        raise Unreachable(f"{path} is damaged ({error}): stop the server and start it again") from None
    return value if isinstance(value, dict) else None


def checked_url(text: str) -> str:
    """The address, without a trailing slash. Raises WrongUse with what would do."""
    parts = urlsplit(text)
    try:
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        port_is_number = False
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_number:
        raise WrongUse(f"'{text}' is not a server's address: write it as http://127.0.0.1:7070")
    return text.rstrip("/")


def _with_key(url: str, options: ClientOptions, folder: Path) -> Server:
    plain = read_json(folder / "key.json")
    key = _key(plain, folder / "key.json") if plain is not None else None
    return Server(url=url, token=options.token or (key.token if key else None), data_dir=folder, key=key)


def _key(plain: dict[str, Any], path: Path) -> Key:
    missing = [name for name in Key.__dataclass_fields__ if name not in plain]
    if missing:
        raise Unreachable(f"{path} is damaged (it holds no {missing[0]}): stop the server and start it again")
    return Key(**{name: str(plain[name]) for name in Key.__dataclass_fields__})


def _same(address: str, recorded: str) -> bool:
    ours, theirs = urlsplit(address), urlsplit(recorded)
    hosts = {ours.hostname, theirs.hostname}
    return ours.scheme == theirs.scheme and ours.port == theirs.port and (len(hosts) == 1 or hosts <= _LOOPBACK)
