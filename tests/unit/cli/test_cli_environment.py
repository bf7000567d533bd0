"""`torpor env` and `run`: the variables that keep boto3 here."""

from __future__ import annotations

import os
import shlex

import pytest

from torpor.cli.commands.environment import surrounded
from torpor.cli.context import ClientOptions


def test_env_prints_lines_for_a_shell(torpor, fake):
    """Every value is quoted, so that the lines may be evaluated whatever a key contains."""
    ran = torpor("env")
    words = [shlex.split(line) for line in ran.out.splitlines()]
    exported = dict(line[1].split("=", 1) for line in words if line[0] == "export")
    assert ran.code == 0
    assert exported == {
        "AWS_ENDPOINT_URL": fake.url,
        "AWS_ACCESS_KEY_ID": "TORPORKEY",
        "AWS_SECRET_ACCESS_KEY": "s3cret/+ with space",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    assert words[-1][0] == "unset"
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN"} <= set(words[-1])


def test_env_unsets_endpoints_of_single_services(torpor, monkeypatch):
    """An endpoint that is set for one service would win over ours: it is unset."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://elsewhere")
    assert "AWS_ENDPOINT_URL_S3" in torpor("env").out.splitlines()[-1].split()


def test_env_as_json(torpor, fake):
    """--json tells what to set and what to unset."""
    told = torpor("env", "--json").json
    assert told["set"]["AWS_ENDPOINT_URL"] == fake.url
    assert "AWS_PROFILE" in told["unset"]


def test_the_token_and_its_header(torpor):
    """--token prints the token alone, --header what `curl -H @-` reads."""
    assert torpor("env", "--token").out == "torpor-token\n"
    assert torpor("env", "--header").out == "Authorization: Bearer torpor-token\n"


def test_without_the_key_nothing_is_made_up(torpor, fake, tmp_path):
    """A server whose data folder is elsewhere has a token at most: env says where the key lies."""
    ran = torpor("env", options=ClientOptions(url=fake.url, token="torpor-token", data_dir=tmp_path / "none"))
    assert (ran.code, ran.out) == (3, "")
    assert "key.json" in ran.err


def test_run_hands_over_to_the_command(torpor, fake, monkeypatch):
    """The command takes the process's place, with the words after -- untouched and the variables set."""
    taken = []
    monkeypatch.setattr(os, "execvpe", lambda *given: taken.append(given))
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("KEPT", "yes")
    assert torpor("run", "--", "aws", "--json", "lambda", "-h").code == 0
    ((file, words, environ),) = taken
    assert (file, words) == ("aws", ["aws", "--json", "lambda", "-h"])
    assert (environ["AWS_ENDPOINT_URL"], environ["KEPT"]) == (fake.url, "yes")
    assert "AWS_PROFILE" not in environ


def test_run_needs_no_dashes_in_front_of_a_command(torpor, monkeypatch):
    """Words after the command's name are its own, options too."""
    taken = []
    monkeypatch.setattr(os, "execvpe", lambda *given: taken.append(given))
    torpor("run", "aws", "--url", "x")
    assert taken[0][1] == ["aws", "--url", "x"]


def test_run_of_nothing_and_of_no_command(torpor):
    """Without a command it is wrong use; a command that is not there is 127, as in every shell."""
    assert torpor("run").code == 2
    ran = torpor("run", "--", "no-such-command-anywhere")
    assert ran.code == 127
    assert "no-such-command-anywhere" in ran.err


@pytest.mark.parametrize(
    "name",
    ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_LAMBDA", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
     "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"],
)  # fmt: skip
def test_nothing_leads_elsewhere(name):
    """What would lead an SDK to a real cloud is taken out; configuration files are hidden."""
    environ = surrounded({name: "x", "HOME": "/h"}, {"AWS_ENDPOINT_URL": "http://here"})
    assert name not in environ
    assert environ["HOME"] == "/h"
    assert environ["AWS_CONFIG_FILE"] == environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull


@pytest.mark.slow
def test_boto3_believes_the_variables(torpor, fake, monkeypatch):
    """boto3 with the printed variables talks to this server, whatever was set before."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:1")
    environ = surrounded(os.environ, torpor("env", "--json").json["set"])
    for name in list(os.environ):
        if name not in environ:
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("lambda")
    assert client.meta.endpoint_url == fake.url
    assert client.meta.region_name == "us-east-1"
