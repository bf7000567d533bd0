"""Names of functions as callers write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.arn import FunctionRef, Home, is_function_name, parse_function_ref
from torpor.core.errors import ValidationFailed

NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
QUALIFIERS = st.none() | st.just("$LATEST") | st.from_regex(r"[a-zA-Z0-9_-]{1,128}", fullmatch=True)


@given(NAMES, QUALIFIERS)
def test_every_spelling_of_a_function_means_the_same(name: str, qualifier: str | None) -> None:
    """A name, a partial ARN and a full ARN are read as one reference, qualifier and all."""
    meant = FunctionRef(name, qualifier)
    suffix = "" if qualifier is None else f":{qualifier}"
    for text in (
        f"function:{name}{suffix}",
        f"000000000000:function:{name}{suffix}",
        Home().function_arn(name, qualifier),
    ):
        assert parse_function_ref(text) == meant
    assert parse_function_ref(name, qualifier) == meant


@pytest.mark.parametrize(
    "text", ["", "a b", "../x", "arn:aws:s3:::bucket", "x" * 65, "f:", "f:a:b", "f\n", "f:$latest"]
)
def test_what_names_no_function_is_refused(text: str) -> None:
    """Anything else is a validation error that repeats what was written."""
    with pytest.raises(ValidationFailed, match="functionName"):
        parse_function_ref(text)


def test_two_different_qualifiers_are_refused() -> None:
    """A qualifier in the name and another beside it cannot both be meant."""
    assert parse_function_ref("f:1", "1") == FunctionRef("f", "1")
    with pytest.raises(ValidationFailed, match="does not match"):
        parse_function_ref("f:1", "2")
    with pytest.raises(ValidationFailed, match="qualifier"):
        parse_function_ref("f", "no spaces")


def test_a_bare_name_is_told_from_other_references() -> None:
    """Only letters, digits, dash and underscore make a name."""
    assert is_function_name("my-f_1")
    assert not is_function_name("my.f")
