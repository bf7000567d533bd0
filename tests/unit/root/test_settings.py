"""Settings: the order of their sources, and errors that name the key."""

from pathlib import Path

import pytest

from torpor.settings import SettingsInvalid, client_settings, server_settings


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    """Each source covers the one below it, key by key."""
    (tmp_path / "settings.toml").write_text(
        'port = 1\nkeep_alive_s = 1\nregion = "eu-west-1"\n[limits]\nlog_rate = 7\n'
    )
    settings = server_settings(
        {"port": 3, "auth": None},
        {
            "TORPOR_DATA": str(tmp_path),
            "TORPOR_KEEP_ALIVE_S": "2",
            "TORPOR_PORT": "2",
            "TORPOR_LIMITS__CONCURRENCY": "9",
        },
    )
    assert (settings.port, settings.keep_alive_s, settings.region, settings.auth) == (3, 2.0, "eu-west-1", "on")
    assert (settings.limits.log_rate, settings.limits.concurrency, settings.limits.timeout_s) == (7, 9, 900)
    assert settings.data == tmp_path


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"TORPOR_KEEPALIVE": "3"}, "did you mean keep_alive_s"),
        ({"TORPOR_PORT": "99999"}, "TORPOR_PORT"),
        ({"TORPOR_PORT": "http"}, "port"),
        ({"TORPOR_LIMITS__FOO": "1"}, "no limit named foo"),
        ({"TORPOR_REGION": "moon"}, "us-east-1"),
        ({"TORPOR_PUBLIC_URL": "https://x/y"}, "without a path"),
        ({"TORPOR_AUTH": "maybe"}, "auth"),
        ({"TORPOR_SETTINGS": "/nonexistent.toml"}, "no such file"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_key(environ: dict[str, str], told: str, tmp_path: Path) -> None:
    """Whoever misspells a setting or its value reads what was wrong and what to write."""
    with pytest.raises(SettingsInvalid, match=told):
        server_settings({}, {"TORPOR_DATA": str(tmp_path), **environ})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """A settings file that is not TOML says which file it is."""
    (tmp_path / "settings.toml").write_text("port = = 1")
    with pytest.raises(SettingsInvalid, match=r"settings\.toml is not valid TOML"):
        server_settings({"data": tmp_path}, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder in the file's place is told; a data folder that is a file is left to who opens it."""
    (tmp_path / "settings.toml").mkdir()
    with pytest.raises(SettingsInvalid, match=r"settings\.toml cannot be read: Is a directory"):
        server_settings({"data": tmp_path}, {})
    (tmp_path / "file").touch()
    assert server_settings({"data": tmp_path / "file"}, {}).data == tmp_path / "file"


def test_the_client_reads_where_the_server_is() -> None:
    """The command line's own variables need no server settings."""
    settings = client_settings({"TORPOR_URL": "http://h:1", "TORPOR_TOKEN": "t", "TORPOR_DATA": "/d"})
    assert (settings.url, settings.token, settings.data) == ("http://h:1", "t", Path("/d"))
