"""A FastAPI application as a function: an ordinary web application, and one line for Mangum at the end."""

import struct
import zlib
from typing import Annotated

from fastapi import Cookie, FastAPI, HTTPException, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from mangum import Mangum
from pydantic import BaseModel, Field

app = FastAPI(title="Notes")
notes: dict[int, dict] = {}  # of this instance: another has its own


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=200)
    stars: int = Field(default=0, ge=0, le=5)


@app.get("/")
def index(visits: Annotated[int, Cookie()] = 0, name: str = "world"):
    response = PlainTextResponse(f"Hello, {name}! You were here {visits} times.\n")
    response.set_cookie("visits", str(visits + 1))
    response.set_cookie("last", name)
    return response


@app.post("/notes", status_code=201)
def add(note: Note):
    number = len(notes) + 1
    notes[number] = note.model_dump()
    return {"id": number, **notes[number]}


@app.get("/notes/{number}")
def read(number: int):
    if number not in notes:
        raise HTTPException(404, "no such note")
    return {"id": number, **notes[number]}


@app.get("/latest")
def latest():
    return RedirectResponse(f"/notes/{len(notes)}")


@app.get("/files/{path:path}")
def file(path: str, size: int = 8):
    """A small picture, drawn here: what is sent is bytes, not text."""
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(size)) for y in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    image = b"".join(_chunk(kind, data) for kind, data in chunks)
    headers = {"content-disposition": f'attachment; filename="{path.rpartition("/")[2]}"'}
    return Response(b"\x89PNG\r\n\x1a\n" + image, media_type="image/png", headers=headers)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


handler = Mangum(app, lifespan="off")
