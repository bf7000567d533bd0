"""pip's configuration is found where pip finds it, and told to uv in uv's own words."""

import os

import pytest

from torpor.build.pip_settings import local_path, present, read_pip_settings, uv_variables


@pytest.fixture
def home(tmp_path):
    """A home with a pip.conf of this text, as an environment mapping."""

    def made(text="", **variables):
        (tmp_path / ".config/pip").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".config/pip/pip.conf").write_text(text)
        # An absent XDG_CONFIG_DIRS would let the machine's own settings in.
        return {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none"), **variables}

    return made


@pytest.fixture
def settings(home, tmp_path, monkeypatch):
    """Reads settings as pip would, without the machine's own global file."""
    monkeypatch.setattr("torpor.build.pip_settings._GLOBAL", tmp_path / "etc-pip.conf")
    return lambda text="", **variables: read_pip_settings(home(text, **variables), prefix=tmp_path / "prefix")


def test_files_and_variables_are_merged_in_pips_order(settings, tmp_path):
    """Global, user, site, PIP_CONFIG_FILE and PIP_* variables: the later one wins, and [install] over [global]."""
    (tmp_path / "etc-pip.conf").write_text("[global]\nindex-url = global\ncert = global\nproxy = global\n")
    (tmp_path / "prefix").mkdir()
    (tmp_path / "prefix/pip.conf").write_text("[global]\ncert = site\n")
    (tmp_path / "chosen.conf").write_text("[global]\ntimeout = 7\n")
    found = settings(
        "[global]\nindex_url = user\ncert = user\ntrusted-host = a\n[install]\ntrusted-host = b\n[freeze]\nretries = 1\n",
        PIP_CONFIG_FILE=str(tmp_path / "chosen.conf"),
        PIP_DEFAULT_TIMEOUT="9",
        PIP_FIND_LINKS="/srv/wheels",
    )
    assert found == {
        "index-url": "user",
        "cert": "site",
        "proxy": "global",
        "trusted-host": "b",
        "timeout": "7",
        "default-timeout": "9",
        "find-links": "/srv/wheels",
    }


def test_no_file_is_read_where_pip_reads_none(settings):
    """PIP_CONFIG_FILE=/dev/null switches all files off, as it does for pip; broken files are passed over."""
    assert settings("[global]\nindex-url = x\n", PIP_CONFIG_FILE=os.devnull) == {}
    assert settings("no section\n") == {}


def test_everything_is_told_in_uvs_words(home, tmp_path, monkeypatch):
    """Each of pip's settings becomes uv's variable; local folders that do not exist are left out."""
    monkeypatch.setattr("torpor.build.pip_settings._GLOBAL", tmp_path / "none")
    (tmp_path / "wheels").mkdir()
    text = f"""[global]
index-url = https://one.example/simple
extra-index-url = https://two.example/simple
    file://{tmp_path}/missing/simple
    file://{tmp_path}/wheels
find-links = {tmp_path}/wheels {tmp_path}/nothing https://links.example/
trusted-host = one.example two.example
cert = /etc/own.pem
client-cert = /etc/mine.pem
retries = 4
proxy = http://proxy.example:3128
pre = true
"""
    found = uv_variables(home(text, SSL_CERT_FILE="/etc/all.pem", PIP_TIMEOUT="12", SECRET="x"), prefix=tmp_path)
    assert found == {
        "HOME": str(tmp_path),
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_INDEX": f"https://two.example/simple file://{tmp_path}/wheels",
        "UV_FIND_LINKS": f"{tmp_path}/wheels,https://links.example/",
        "UV_INSECURE_HOST": "one.example two.example",
        "SSL_CERT_FILE": "/etc/own.pem",
        "SSL_CLIENT_CERT": "/etc/mine.pem",
        "UV_HTTP_RETRIES": "4",
        "UV_HTTP_TIMEOUT": "12",
        "UV_PRERELEASE": "allow",
        "ALL_PROXY": "http://proxy.example:3128",
    }


def test_what_is_set_for_uv_itself_stands(home, tmp_path, monkeypatch):
    """An index set for uv replaces pip's; proxies, certificates and credentials of indexes pass, nothing else does."""
    monkeypatch.setattr("torpor.build.pip_settings._GLOBAL", tmp_path / "none")
    own = {
        "UV_DEFAULT_INDEX": "https://uv.example/",
        "UV_INDEX_CORP_PASSWORD": "p",
        "https_proxy": "http://p",
        "REQUESTS_CA_BUNDLE": "/b.pem",
        "PATH": "/bin",
    }
    found = uv_variables(
        home(
            "[global]\nindex-url = https://pip.example/\nextra-index-url = https://more.example/\n",
            **own,
            UV_CACHE_DIR="/c",
        ),
        prefix=tmp_path,
    )
    assert found == {"HOME": str(tmp_path), "LANG": "C.UTF-8", **own}


def test_no_index_is_kept(home, tmp_path, monkeypatch):
    """no-index reaches uv, so that a machine which must stay offline does."""
    monkeypatch.setattr("torpor.build.pip_settings._GLOBAL", tmp_path / "none")
    assert uv_variables(home("[install]\nno-index = yes\n"), prefix=tmp_path)["UV_NO_INDEX"] == "1"


def test_local_places_are_told_from_remote_ones(tmp_path):
    """file: addresses and plain paths are local, and only existing ones are present."""
    assert str(local_path("file:///a%20b/c")) == "/a b/c"
    assert str(local_path("/srv/x")) == "/srv/x"
    assert local_path("https://x.example/") is None
    assert present([str(tmp_path), str(tmp_path / "no"), "https://x.example/"]) == [str(tmp_path), "https://x.example/"]
