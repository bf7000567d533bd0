"""What pip is configured to use, told to uv, which reads neither pip's files nor its variables.

Where uv has its own variable set by the operator, that one stands. Local folders that do not exist are left out, since
pip passes over them and uv does not.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Handed on as they are. UV_CACHE_DIR and the like are not: where things go is torpor's to say.
_PASSED = (
    *("PATH", "HOME", "LANG", "LC_ALL", "NETRC", "PYENV_ROOT", "XDG_DATA_HOME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *(name for low in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (low, low.upper())),
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX"),
    *("UV_INDEX_STRATEGY", "UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES"),
    *(
        "UV_NATIVE_TLS",
        "UV_SYSTEM_CERTS",
        "UV_OFFLINE",
        "UV_PYTHON_INSTALL_DIR",
        "UV_EXCLUDE_NEWER",
        "UV_CONCURRENT_DOWNLOADS",
    ),
)
_GLOBAL = Path("/etc/pip.conf")
_PASSED_PREFIXES = ("UV_INDEX_",)  # UV_INDEX_NAME_USERNAME and _PASSWORD


def uv_variables(environ: Mapping[str, str], *, prefix: Path | None = None) -> dict[str, str]:
    """The environment to run uv in: `environ`'s proxies, certificates and own settings, and pip's translated.

    `prefix` is where pip's site configuration lies, by default this interpreter's own.
    """
    settings = read_pip_settings(environ, prefix=Path(sys.prefix) if prefix is None else prefix)
    passed = {name: value for name, value in environ.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)}
    translated = _translate(settings)
    if any(name in passed for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")):
        for name in ("UV_DEFAULT_INDEX", "UV_INDEX"):
            translated.pop(name, None)
    if settings.get("cert"):  # pip's goes before what is meant for everyone
        passed.pop("SSL_CERT_FILE", None)
    return {"PATH": os.defpath, "LANG": "C.UTF-8"} | translated | passed


def read_pip_settings(environ: Mapping[str, str], *, prefix: Path) -> dict[str, str]:
    """Pip's settings for `pip install`, by its own order: global, user, site, PIP_CONFIG_FILE, PIP_* variables."""
    merged: dict[str, str] = {}
    for path in _files(environ, prefix):
        merged |= _read(path)
    for name, value in environ.items():
        if name.startswith("PIP_") and name not in {"PIP_CONFIG_FILE", "PIP_VERSION", "PIP_HELP"} and value:
            merged[_key(name.removeprefix("PIP_"))] = value
    return merged


def _files(environ: Mapping[str, str], prefix: Path) -> list[Path]:
    chosen = environ.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(environ.get("HOME") or "/nonexistent")
    shared = [
        Path(folder, "pip/pip.conf") for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder
    ]
    own = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [*shared, _GLOBAL, home / ".pip/pip.conf", own / "pip/pip.conf", prefix / "pip.conf"]
    return [*files, Path(chosen)] if chosen else files


def _read(path: Path) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return {}  # pip itself complains of it; a function's build can do without
    found: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            found |= {_key(name): value.strip() for name, value in parser.items(section)}
    return found


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _translate(settings: Mapping[str, str]) -> dict[str, str]:
    variables = {
        "UV_NO_INDEX": "1" if _on(settings, "no-index") else "",
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(present(settings.get("extra-index-url", "").split())),
        "UV_FIND_LINKS": ",".join(present(settings.get("find-links", "").split())),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "UV_PRERELEASE": "allow" if _on(settings, "pre") else "",
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout", ""),
        "UV_HTTP_RETRIES": settings.get("retries", ""),
        "ALL_PROXY": settings.get("proxy", ""),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "SSL_CLIENT_CERT": settings.get("client-cert", ""),
    }
    return {name: value for name, value in variables.items() if value}


def _on(settings: Mapping[str, str], name: str) -> bool:
    return settings.get(name, "").lower() in {"1", "true", "yes", "on"}


def present(places: Iterable[str]) -> list[str]:
    """`places` without local folders that do not exist; plain paths become absolute."""
    kept = []
    for place in places:
        path = local_path(place)
        if path is None or place.startswith("file:"):
            kept += [place] if path is None or path.exists() else []
        elif path.exists():
            kept.append(str(path.absolute()))
    return kept


def local_path(place: str) -> Path | None:
    """The path that a file: address or a plain path means; None for anything on a network."""
    parts = urlsplit(place)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(place).expanduser()
