"""`torpor deploy`: what is uploaded, what is waited for, and what is printed."""

from __future__ import annotations

import base64
import io
import json
import sys
import zipfile

import pytest

from torpor.cli import deploying
from torpor.cli.context import ClientOptions

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


def config_of(fake):
    """The configuration as the server got it last."""
    return json.loads(base64.b64decode(fake.called("PUT")[-1].headers["x-torpor-config"]))


def files_of(archive):
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_a_folder_is_packed_and_sent(torpor, fake, echo_folder):
    """The folder's files arrive as a zip, with the command line's own defaults."""
    ran = torpor("deploy", echo_folder)
    assert ran.code == 0, ran.err
    assert files_of(fake.archives["hello"]).keys() == {"app.py"}
    assert config_of(fake) == {
        "handler": "app.lambda_handler", "runtime": RUNTIME, "memory_mb": 1024, "timeout_s": 60, "tmp_mb": 512,
        "variables": {}, "reach": [], "permissions": [], "secrets": [], "layers": [], "source_builds": False,
        "max_concurrency": 1,
        "keep_alive_s": None, "description": "", "tags": {},
    }  # fmt: skip


def test_it_prints_the_address_and_a_curl_line(torpor, fake, echo_folder):
    """Standard output is the address, then a line to paste that keeps the token off every command line."""
    address, curl = torpor("deploy", echo_folder).out.splitlines()
    assert address == f"{fake.url}/fn/hello/"
    assert curl.endswith(f" env --header | curl -H @- -H 'content-type: application/json' -d '{{}}' {address}")
    assert "torpor-token" not in curl


def test_the_curl_line_of_a_public_function_needs_no_token(torpor, echo_folder, fake):
    """--public opens the URL, and anyone's curl will do."""
    ran = torpor("deploy", echo_folder, "--public")
    assert config_of(fake)["public"] is True
    assert ran.out.splitlines()[1] == f"curl -H 'content-type: application/json' -d '{{}}' {fake.url}/fn/hello/"


def test_the_curl_line_without_authentication(torpor, echo_folder, fake):
    """Where the server lets everyone in, no token is mentioned."""
    fake.auth = "off"
    assert torpor("deploy", echo_folder).out.splitlines()[1].startswith("curl -H 'content-type")


def test_the_curl_line_names_the_data_folder_that_was_named(torpor, echo_folder, data_dir, tmp_path):
    """What was needed to find the server is needed again when the line is pasted."""
    elsewhere = ClientOptions(url=None, token=None, data_dir=tmp_path / "none")
    ran = torpor("deploy", echo_folder, "--data", data_dir, options=elsewhere)
    assert f" env --header --data {data_dir} | curl" in ran.out


def test_redeploying_leaves_the_url_as_it_is(torpor, echo_folder, fake):
    """Without --public or --no-public nothing is said about the URL."""
    torpor("deploy", echo_folder)
    assert "public" not in config_of(fake)
    torpor("deploy", echo_folder, "--no-public")
    assert config_of(fake)["public"] is False


def test_flags_win_over_the_table(torpor, fake, project):
    """Flags over the table over the defaults; variables are merged, the flag's winning."""
    folder = project(
        main__py="def go(event, context): ...\n",
        torpor__toml='name = "named"\nhandler = "main.go"\nmemory = 256\ntimeout = 5\nsource_builds = true\n'
        'reach = ["db:5432"]\n[environment]\nA = "table"\nB = "table"\n',
    )
    ran = torpor("deploy", folder, "--memory", "512", "--env", "A=flag", "--env", "C=x=y", "--name", "other")
    assert ran.code == 0, ran.err
    sent = config_of(fake)
    assert list(fake.functions) == ["other"]
    assert (sent["memory_mb"], sent["timeout_s"], sent["handler"]) == (512, 5, "main.go")
    assert sent["variables"] == {"A": "flag", "B": "table", "C": "x=y"}
    assert (sent["source_builds"], sent["reach"]) == (True, ["db:5432"])


def test_a_single_file(torpor, fake, tmp_path):
    """One file is deployed under its own name, with the handler found in it."""
    (tmp_path / "shout.py").write_text("def handler(event, context):\n    return event\n")
    assert torpor("deploy", tmp_path / "shout.py").code == 0
    assert config_of(fake)["handler"] == "shout.handler"
    assert list(fake.functions) == ["shout"]


def test_a_zip_is_sent(torpor, fake, tmp_path):
    """A zip's files arrive."""
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("app.py", "def lambda_handler(event, context): ...\n")
    assert torpor("deploy", tmp_path / "packed.zip").code == 0
    assert files_of(fake.archives["packed"]).keys() == {"app.py"}


def test_it_waits_until_the_build_has_settled(torpor, fake, echo_folder):
    """The command returns when the function is active, however many polls that takes; progress is on standard error."""
    fake.polls_until_built = 3
    ran = torpor("deploy", echo_folder)
    assert ran.code == 0
    assert len([call for call in fake.calls if "wait_s" in call.query]) == 3
    assert "building hello" in ran.err
    assert "hello is ready" in ran.err


def test_no_wait_returns_at_once(torpor, fake, echo_folder):
    """--no-wait polls nothing, and says how to ask."""
    ran = torpor("deploy", echo_folder, "--no-wait")
    assert ran.code == 0
    assert not [call for call in fake.calls if "wait_s" in call.query]
    assert "describe hello" in ran.err


@pytest.mark.parametrize(
    ("built", "told"),
    [
        (
            {"state": "Failed", "update_status": "Failed", "state_reason": "no wheel for x"},
            "was not built: no wheel for x",
        ),
        (
            {"state": "Active", "update_status": "Failed", "update_reason": "no wheel for x"},
            "the previous code still runs: no wheel for x",
        ),
    ],
)
def test_a_failed_build_is_exit_code_1(torpor, fake, echo_folder, built, told):
    """A build that failed prints the server's reason, and what still runs."""
    fake.built = built
    ran = torpor("deploy", echo_folder)
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err


def test_interrupted_while_waiting(torpor, fake, echo_folder, monkeypatch):
    """Ctrl-C stops the waiting, not the build, and the message says so."""

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(deploying, "settled", interrupt)
    ran = torpor("deploy", echo_folder)
    assert ran.code == 130
    assert "the build goes on" in ran.err
    assert "describe hello" in ran.err


def test_json_is_the_description(torpor, echo_folder, fake):
    """--json prints the function with its address, and nothing on standard error."""
    ran = torpor("deploy", echo_folder, "--json")
    assert ran.err == ""
    assert ran.json["state"] == "Active"
    assert ran.json["address"] == f"{fake.url}/fn/hello/"
    assert ran.json["curl"].startswith(("torpor env", "/", "'"))


def test_json_of_an_error(torpor, tmp_path):
    """With --json an error is an object on standard error."""
    ran = torpor("deploy", tmp_path / "nowhere", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert json.loads(ran.err)["error"]["code"] == "WrongUse"


def test_a_refusal_is_exit_code_4(torpor, fake, echo_folder):
    """What the server will not have is told in its words."""
    fake.reply(
        "PUT", "/_torpor/functions/hello", _refusal(400, "InvalidParameterValueException", "Memory is too large.")
    )
    ran = torpor("deploy", echo_folder)
    assert ran.code == 4
    assert "Memory is too large." in ran.err


def test_wrong_use_is_noticed_before_anything_is_sent(torpor, fake, project, tmp_path):
    """A path that is not there, no handler, an unknown key or a bad --env send nothing."""
    empty = project(notes__txt="")
    assert torpor("deploy", tmp_path / "nowhere").code == 2
    assert torpor("deploy", empty).code == 2
    folder = project(app__py="def lambda_handler(e, c): ...\n", torpor__toml="memroy = 1\n")
    ran = torpor("deploy", folder)
    assert ran.code == 2
    assert "did you mean 'memory'" in ran.err
    (folder / "torpor.toml").unlink()
    assert torpor("deploy", folder, "--env", "A").code == 2
    assert torpor("deploy", folder, "--name", "a/b").code == 2
    assert fake.calls == []


def test_reach_flags_take_the_place_of_the_tables_reach(torpor, project, fake):
    """Whoever gives one on the command line says all that the function may connect to."""
    folder = project(app__py="def lambda_handler(e, c): ...\n", torpor__toml='reach = ["a.com:443"]\n')
    for flags, expected in (((), ["a.com:443"]), (("--reach", "b.com:1", "--reach", "*"), ["b.com:1", "*"])):
        assert torpor("deploy", folder, *flags).code == 0
        assert config_of(fake)["reach"] == expected


@pytest.mark.parametrize(("folder", "name"), [("Über uns", "Uber-uns"), ("ünï", "uni"), ("my.fn", "my-fn")])
def test_the_default_name_is_the_paths_own_in_plain_letters(torpor, fake, tmp_path, folder, name):
    """Accents go, and what has no place in a name becomes a hyphen."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "app.py").write_text("def lambda_handler(e, c): ...\n")
    assert torpor("deploy", tmp_path / folder).code == 0
    assert list(fake.functions) == [name]


@pytest.mark.parametrize("folder", ["関数", "fn関数", "…"])
def test_a_path_that_makes_no_name_is_wrong_use(torpor, fake, tmp_path, folder):
    """Nobody would look for what is left of it: --name is asked for."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "app.py").write_text("def lambda_handler(e, c): ...\n")
    ran = torpor("deploy", tmp_path / folder)
    assert (ran.code, fake.calls) == (2, [])
    assert "--name" in ran.err


def test_a_handler_that_is_not_there_is_warned_about(torpor, echo_folder):
    """A misspelt --handler is pointed out, and still deployed: the name may appear at run time."""
    ran = torpor("deploy", echo_folder, "--handler", "app.handle")
    assert ran.code == 0
    assert "warning: app.py does not define handle" in ran.err


def _refusal(status, code, message):
    from types import SimpleNamespace

    return SimpleNamespace(
        status=status, body=json.dumps({"error": {"code": code, "message": message}}).encode(), headers={}
    )
