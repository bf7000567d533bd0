"""Functions and revisions as values."""

import json

from torpor.core.function import (
    Bundle,
    Environment,
    FunctionConfig,
    FunctionLayer,
    environment_as_json,
    environment_from_json,
    revision_key,
)

CONFIG = FunctionConfig(name="f", handler="app.h", variables={"A": "1"}, reach=("db:5432",), tags={"t": "1"})
BUNDLE = Bundle("00" * 32, 10)
ENVIRONMENT = Environment("e", "/p/bin/python", "/p/site", ("/p",))


def test_a_configuration_survives_the_way_through_json() -> None:
    """What is stored is what is read back, unknown keys aside."""
    plain = json.loads(json.dumps(CONFIG.as_json())) | {"from_the_future": 1}
    assert FunctionConfig.from_json(plain) == CONFIG
    assert environment_from_json(json.loads(json.dumps(environment_as_json(ENVIRONMENT)))) == ENVIRONMENT


def test_a_revision_is_named_by_what_its_instances_depend_on() -> None:
    """A new description keeps instances; new code, a variable or an environment replaces them."""
    key = revision_key(CONFIG, BUNDLE, ENVIRONMENT, "$LATEST")
    assert key == revision_key(CONFIG.evolve(description="new", role="r"), BUNDLE, ENVIRONMENT, "$LATEST")
    others = {
        revision_key(CONFIG.evolve(variables={"A": "2"}), BUNDLE, ENVIRONMENT, "$LATEST"),
        revision_key(CONFIG, Bundle("11" * 32, 10), ENVIRONMENT, "$LATEST"),
        revision_key(CONFIG, BUNDLE, Environment("o", "/p/bin/python", "/p/site", ("/p",)), "$LATEST"),
        revision_key(CONFIG, BUNDLE, ENVIRONMENT, "1"),
    }
    assert key not in others
    assert len(others) == 4


def test_code_sha256_is_the_digest_in_base64() -> None:
    """Lambda spells the same digest in base64."""
    assert BUNDLE.code_sha256 == "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def test_what_a_function_is_given_has_to_be_held() -> None:
    """Each permission, secret, layer and connection is a right of its own; what was there before is not asked again."""
    layer = FunctionLayer(arn="arn:aws:lambda:us-east-1:000000000000:layer:tools:3", digest="ab", size=1, unpacked=2)
    before = FunctionConfig(name="f", handler="a.b", secrets=("DB=prod/db",), layers=(layer,))
    assert before.grants == ("secretsmanager:GetSecretValue/prod/db", "lambda:GetLayerVersion/tools")
    after = before.evolve(reach=("db.local:5432",), permissions=("lambda:Get*",), source_builds=True, debug_port=5678)
    assert after.grants_beyond(None) == after.grants
    assert after.grants_beyond(before) == (
        "lambda:Get*", "torpor:Connect/db.local:5432", "torpor:BuildSources", "torpor:Debug",
    )  # fmt: skip
