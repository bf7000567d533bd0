"""A deployment as the command line sends it: configuration in a header, the archive streamed to a file of its own."""

from __future__ import annotations

import asyncio
import base64
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from torpor.core.arn import is_function_name
from torpor.core.errors import InvalidBundle, InvalidValue, PlatformFault, RequestTooLarge
from torpor.core.function import Function, FunctionConfig, FunctionLayer
from torpor.gateway.asgi import BodyTooSlow, Disconnected

ARCHIVE_BYTES = 4 * 1024**3
_WRITE_BYTES = 1024 * 1024
_PREFIX = "upload-"


LayersOf = Callable[[Sequence[str]], tuple[FunctionLayer, ...]]


def _no_layers(wanted: Sequence[str]) -> tuple[FunctionLayer, ...]:
    if wanted:
        raise InvalidValue(f"There is no layer {wanted[0]}.")
    return ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function as it shall be. `public` opens or closes its URL, which may be `streaming`; None: as it is."""

    config: FunctionConfig
    public: bool | None
    streaming: bool | None
    reserved_concurrency: int | None


class Uploads:
    """Reads deployments; archives lie in `spool` while they are taken in."""

    def __init__(self, spool: Path, *, limit: int = ARCHIVE_BYTES, patience_s: float = 60.0) -> None:
        self._spool = spool
        self._limit = limit
        self._patience_s = patience_s
        for left in spool.glob(f"{_PREFIX}*"):  # by a server that was killed
            left.unlink(missing_ok=True)

    def wanted(self, name: str, header: str, existing: Function | None, *, layers_of: LayersOf = _no_layers) -> Wanted:
        """The configuration that `x-torpor-config` asks for: of an existing function, what it leaves out stays.

        `layers_of` finds the layers it names. Raises InvalidValue, naming the field.
        """
        if not is_function_name(name):
            raise InvalidValue(f"'{name[:100]}' cannot name a function: letters, digits, - and _, 64 at most.")
        plain = _decoded(header)
        public, streaming = (_switch(plain, key) for key in ("public", "streaming"))
        reserved = plain.pop("reserved_concurrency", None)
        if reserved is not None and type(reserved) is not int:
            raise InvalidValue("x-torpor-config: `reserved_concurrency` must be a whole number.")
        unknown = sorted(set(plain) - set(FunctionConfig.__dataclass_fields__))
        if unknown:
            raise InvalidValue(f"x-torpor-config: there is no setting `{unknown[0]}`.")
        if "layers" in plain:
            if not isinstance(plain["layers"], list):
                raise InvalidValue("x-torpor-config: `layers` must be a list of NAME:VERSION or ARNs.")
            plain["layers"] = [asdict(layer) for layer in layers_of(plain["layers"])]
        before = existing.config.as_json() if existing else {}
        return Wanted(_config({**before, **plain, "name": name}), public, streaming, reserved)

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Path]:
        """The request's body as a file, gone afterwards. Raises RequestTooLarge, InvalidBundle, PlatformFault."""
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._limit:
            raise self._too_large()
        with _storing():
            descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=".zip", dir=self._spool)
        try:
            try:
                with _storing():
                    size = await self._copy(request, descriptor)
            finally:
                os.close(descriptor)
            if not size:
                raise InvalidBundle("The request has no body: send the archive, a zip, as the body.")
            yield Path(name)
        finally:
            with suppress(FileNotFoundError):  # whoever took it in may have moved it
                os.unlink(name)  # noqa: PTH108  (a name is all there is, and it is in the cache)

    async def _copy(self, request: Request, descriptor: int) -> int:
        """The body, in writes large enough to be worth a thread; returns its size."""
        size, pieces, gathered = 0, list[bytes](), 0
        chunks = aiter(request.stream())
        while (chunk := await self._next(chunks)) is not None:
            size += len(chunk)
            gathered += len(chunk)
            if size > self._limit:
                raise self._too_large()
            pieces.append(chunk)
            if gathered >= _WRITE_BYTES:
                await _write(descriptor, b"".join(pieces))
                pieces, gathered = [], 0
        await _write(descriptor, b"".join(pieces))
        return size

    async def _next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        try:
            async with asyncio.timeout(self._patience_s):
                return await anext(chunks, None)
        except TimeoutError:
            raise BodyTooSlow from None
        except ClientDisconnect:
            raise Disconnected from None

    def _too_large(self) -> RequestTooLarge:
        return RequestTooLarge(f"Archives may have at most {self._limit} bytes.")


@contextmanager
def _storing() -> Iterator[None]:
    """A disk that is full or broken is said so, and not taken for a failure of ours."""
    try:
        yield
    except OSError as error:
        raise PlatformFault(f"The archive could not be stored: {error.strerror or error}.") from error


def _switch(plain: dict[str, Any], key: str) -> bool | None:
    """Take a setting that is on, off, or left as it is. Raises InvalidValue."""
    value = plain.pop(key, None)
    if value is not None and not isinstance(value, bool):
        raise InvalidValue(f"x-torpor-config: `{key}` must be true or false.")
    return value


def _decoded(header: str) -> dict[str, Any]:
    try:
        plain = msgspec.json.decode(base64.b64decode(header, validate=True)) if header else None
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        raise InvalidValue(f"x-torpor-config must be base64 of JSON: {error}") from error
    if not isinstance(plain, dict):
        raise InvalidValue('x-torpor-config must hold a JSON object with at least "handler", in base64.')
    return plain


def _config(plain: Mapping[str, Any]) -> FunctionConfig:
    try:
        return msgspec.convert(plain, FunctionConfig)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"x-torpor-config: {error}") from error


async def _write(descriptor: int, data: bytes) -> None:
    """In a thread. When cancelled it waits all the same: the descriptor must not be closed under the thread."""
    writing = asyncio.ensure_future(asyncio.to_thread(_write_all, descriptor, data))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait({writing})
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
