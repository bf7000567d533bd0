"""The legal transitions of a function, and nothing else."""

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.errors import BuildFailed
from torpor.core.function import Bundle, Environment, FunctionConfig, State, UpdateStatus
from torpor.functions import lifecycle

CONFIG = FunctionConfig(name="f", handler="a.h")
BUNDLE = Bundle("ab" * 32, 7)
ENVIRONMENT = Environment("cd" * 32, "/py", "/site", ())


def test_a_built_function_cannot_be_built_again_without_an_update():
    """An illegal step raises instead of being taken."""
    built = lifecycle.succeeded(lifecycle.created(CONFIG, BUNDLE), ENVIRONMENT)
    with pytest.raises(lifecycle.IllegalTransition, match="f cannot go from Active/Successful to Active/Successful"):
        lifecycle.succeeded(built, ENVIRONMENT)
    with pytest.raises(lifecycle.IllegalTransition):
        lifecycle.failed(built, BuildFailed())


@given(st.lists(st.sampled_from(["update", "settings", "succeed", "fail"]), max_size=12))
def test_invariants_hold_along_every_legal_path(steps):
    """Whatever happens: active means something serves, pending and failed mean nothing ever did, each step is new."""
    record = lifecycle.created(CONFIG, BUNDLE)
    seen = {record.function.revision_id}
    for step in steps:
        settled = lifecycle.is_settled(record.function)
        if step in ("succeed", "fail") and settled:
            continue
        record = {
            "update": lambda r: lifecycle.updating(r, CONFIG.evolve(timeout_s=9), Bundle("ef" * 32, 8)),
            "settings": lambda r: lifecycle.updating(r, CONFIG.evolve(memory_mb=256)),
            "succeed": lambda r: lifecycle.succeeded(r, ENVIRONMENT),
            "fail": lambda r: lifecycle.failed(r, BuildFailed("no")),
        }[step](record)
        function = record.function
        assert function.revision_id not in seen
        seen.add(function.revision_id)
        assert (record.serving is not None) == (function.state is State.ACTIVE)
        assert (function.state_reason != "") == (function.state is not State.ACTIVE)
        assert (function.update_reason == "") == (function.update_status is UpdateStatus.SUCCESSFUL or len(seen) == 1)
        if function.update_status is UpdateStatus.SUCCESSFUL:
            assert record.serving.config is function.config


def test_reason_codes_are_of_the_service_model():
    """Clients that check enumerations accept every code that a failed build can have."""
    model = Loader().load_service_model("lambda", "service-2")
    codes = {lifecycle.reason_of(error)[1] for error in lifecycle_errors()}
    assert codes <= set(model["shapes"]["StateReasonCode"]["enum"])
    assert codes <= set(model["shapes"]["LastUpdateStatusReasonCode"]["enum"])


def lifecycle_errors():
    from torpor.core.errors import InterpreterMissing, InvalidBundle, PlatformFault

    return [BuildFailed(), InterpreterMissing(), InvalidBundle(), PlatformFault(), OSError("x")]
