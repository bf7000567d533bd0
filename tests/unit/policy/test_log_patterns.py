"""CloudWatch Logs' filter patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy.log_patterns import PatternInvalid, compile_pattern

RECORD = '{"level": "ERROR", "code": 42, "user": {"name": "ann", "admin": true}, "tags": ["a", {"k": 1}], "none": null, "a.b": 7}'
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR] it failed", True),
        ("ERROR", "[error] it failed", False),
        ("ERROR failed", "failed: ERROR", True),
        ("ERROR failed", "ERROR", False),
        ('"it failed"', "it failed", True),
        ('"it failed"', "failed it", False),
        (r'"say \"hi\""', 'say "hi"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("?ERROR WARN", "WARN", True),
        ("ERROR -timeout", "ERROR disk", True),
        ("ERROR -timeout", "ERROR timeout", False),
        ('ERROR -"time out"', "ERROR time out", False),
        ("-debug", "info", True),
        ('{ $.level = "ERROR" }', RECORD, True),
        ('{ $.level = "ERR*" }', RECORD, True),
        ("{ $.level = E*R }", RECORD, True),
        ('{ $.level = "WARN" }', RECORD, False),
        ('{ $.level != "WARN" }', RECORD, True),
        ('{ $.missing != "WARN" }', RECORD, False),
        ("{ $.code = 42 }", RECORD, True),
        ("{ $.code > 41.5 && $.code <= 42 }", RECORD, True),
        ("{ $.code < 42 || $.code >= 43 }", RECORD, False),
        ('{ ($.code = 1 || $.code = 42) && $.user.name = "a*" }', RECORD, True),
        ("{ $.user.admin IS TRUE }", RECORD, True),
        ("{ $.user.admin IS FALSE }", RECORD, False),
        ("{ $.none IS NULL }", RECORD, True),
        ("{ $.missing IS NULL }", RECORD, False),
        ("{ $.missing NOT EXISTS }", RECORD, True),
        ("{ $.user EXISTS }", RECORD, True),
        ('{ $.tags[0] = "a" }', RECORD, True),
        ('{ $.tags[*] = "a" }', RECORD, True),
        ("{ $.tags[1].k = 1 }", RECORD, True),
        ('{ $["a.b"] = 7 }', RECORD, True),
        ('{ $.level = "ERROR" }', "not JSON: ERROR", False),
        ("[ip, id, user, time, request, status = 4*, size]", ACCESS, True),
        ("[ip, id, user, time, request, status = 404, size > 1000]", ACCESS, True),
        ("[ip, id, user, time, request, status = 200, size]", ACCESS, False),
        ("[..., status = 4*, size]", ACCESS, True),
        ('[ip, ..., request = "GET *", status, size]', ACCESS, True),
        ('[ip = "127.*" && ip != "127.0.0.2", ...]', ACCESS, True),
        ("[a, b]", ACCESS, False),
        ("[w1 = ERROR || w1 = WARN, ...]", "WARN it is late", True),
    ],
)
def test_what_a_pattern_matches(pattern, line, matches):
    """As AWS describes it."""
    assert compile_pattern(pattern)(line) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        '"open', "{ $.a }", "{ $.a = }", "{ a = 1 }", "{ $.a = 1", "{ $.a = 1 && }", "{ ($.a = 1 }", '{ $.a > "x" }',
        "{ $.a IS 1 }", "{ $.a NOT 1 }", "{ $ = 1 }", "[a, ..., ...]", "[a", "[a = ]", "%re%", "{ $.a = %re% }",
        "{ " + "(" * 200 + "$.a = 1" + ")" * 200 + " }", "{ $.a = 1 $.b = 2 }",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(pattern):
    """Saying where, and never by another error."""
    with pytest.raises(PatternInvalid):
        compile_pattern(pattern)


@given(pattern=st.text(alphabet='{}[]()$.=!<>&|*?-%," aE1\\', max_size=40), line=st.text(max_size=40))
def test_any_pattern_is_read_or_refused(pattern, line):
    """No text makes it fail otherwise."""
    try:
        matches = compile_pattern(pattern)
    except PatternInvalid:
        return
    assert matches(line) in {True, False}


@pytest.mark.parametrize("line", ["[ " * 500_000, '" ' * 499_999 + '"', "[x" * 500_000, "a" * 1_000_000])
def test_a_line_made_to_hold_the_search_up_does_not(line):
    """Half a million brackets that nothing closes are read once, and not once for each."""
    assert not compile_pattern("[a, b, c]")(line)
