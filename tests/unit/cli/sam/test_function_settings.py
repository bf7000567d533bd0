"""A function's properties as the whole configuration that the server takes."""

import pytest

from torpor.cli.failures import WrongUse
from torpor.cli.sam.kinds.functions import config_of, split_arn
from torpor.core.function import FunctionConfig

LEAST = {"Handler": "app.handler", "Runtime": "python3.11"}


def test_what_is_not_said_goes_back_to_its_default():
    """Every setting is sent, in the server's words: what a template says no longer does not linger."""
    config = config_of(LEAST)
    plain = FunctionConfig(name="x", handler="app.handler", runtime="python3.11").as_json()
    assert {name: plain[name] for name in config} | {
        "layers": [],
        "reach": [],
        "secrets": [],
        "permissions": [],
    } == config


def test_properties_are_settings():
    """Numbers may be given as text; tags set what only torpor has; policies are permissions beside those of a tag."""
    policy = {"PolicyDocument": {"Statement": {"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": "*"}}}
    config = config_of(
        LEAST
        | {
            "Timeout": "7",
            "MemorySize": 300,
            "EphemeralStorage": {"Size": "1024"},
            "Environment": {"Variables": {"A": 1, "B": True}},
            "Layers": ["arn:1"],
            "SnapStart": {"ApplyOn": "PublishedVersions"},
            "LoggingConfig": {"LogFormat": "JSON"},
            "Policies": [["arn:aws:iam::aws:policy/service-role/AWSLambdaRole"], [policy]],
            "Tags": [
                {"Key": "torpor:reach", "Value": "db:5432"},
                {"Key": "torpor:permissions", "Value": "lambda:GetFunction"},
                {"Key": "team", "Value": "a"},
            ],
        }
    )
    assert (config["timeout_s"], config["memory_mb"], config["tmp_mb"]) == (7, 300, 1024)
    assert config["variables"] == {"A": "1", "B": "true"}
    assert (config["layers"], config["snap_start"], config["reach"]) == (["arn:1"], True, ["db:5432"])
    assert (config["log_format"], config["system_log_level"]) == ("JSON", "INFO")
    assert config["permissions"] == ["lambda:InvokeFunction", "ssm:GetParameter", "lambda:GetFunction"]
    assert config["tags"]["team"] == "a"


@pytest.mark.parametrize("properties", [{"Handler": "a.b"}, LEAST | {"PackageType": "Image"}])
def test_what_cannot_run_is_refused(properties):
    """Without a runtime, or as an image."""
    with pytest.raises(WrongUse):
        config_of(properties)


def test_arns_are_names_and_qualifiers():
    """Plain names, ARNs, and both with a version or an alias behind."""
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert [split_arn(one) for one in ("f", "f:live", arn, f"{arn}:7")] == [
        ("f", None), ("f", "live"), ("f", None), ("f", "7"),
    ]  # fmt: skip
