"""CORS of function URLs, answered at the edge."""

import pytest

from torpor.core.http import HttpResponse
from torpor.gateway.cors import decorate, is_preflight, preflight

OPEN = {"AllowOrigins": ["*"], "AllowMethods": ["*"], "AllowHeaders": ["*"]}
NARROW = {
    "AllowOrigins": ["https://app.example.com", "https://*.example.org"],
    "AllowMethods": ["GET", "PUT"],
    "AllowHeaders": ["content-type", "X-Api-Key"],
    "ExposeHeaders": ["x-total"],
    "AllowCredentials": True,
    "MaxAge": 300,
}


@pytest.fixture
def ask(request_):
    def ask(origin="https://app.example.com", method="PUT", headers="content-type"):
        given = [("origin", origin), ("access-control-request-method", method)]
        return request_("OPTIONS", headers=[*given, ("access-control-request-headers", headers)])

    return ask


def test_a_preflight_is_told_what_is_allowed(ask):
    """Origin, method, headers, credentials and age, as configured."""
    assert is_preflight(ask())
    assert dict(preflight(NARROW, ask(headers="content-type, x-api-key")).headers) == {
        "access-control-allow-origin": "https://app.example.com",
        "access-control-allow-credentials": "true",
        "vary": "Origin",
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "content-type,x-api-key",
        "access-control-max-age": "300",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://app.example.com.evil.example"},
        {"origin": "http://app.example.com"},
        {"origin": "null"},
        {"method": "DELETE"},
        {"headers": "authorization"},
    ],
)
def test_a_preflight_that_is_not_allowed_gets_no_headers(ask, change):
    """The browser takes an answer without the headers as a no."""
    headers = dict(preflight(NARROW, ask(**change)).headers)
    assert not any(name.startswith("access-control-") for name in headers)


def test_wildcards_allow_what_they_cover(ask):
    """`*` is everybody, and a wildcard in a host its subdomains."""
    assert (
        dict(preflight(OPEN, ask("https://any.example", "DELETE", "x-any")).headers)["access-control-allow-origin"]
        == "*"
    )
    assert (
        dict(preflight(NARROW, ask("https://a.example.org")).headers)["access-control-allow-origin"]
        == "https://a.example.org"
    )


def test_the_configuration_replaces_the_functions_own_headers(request_):
    """Two Access-Control-Allow-Origin would be refused by browsers: the configuration wins."""
    own = HttpResponse(headers=(("access-control-allow-origin", "*"), ("x-total", "3")), body=b"x")
    asked = request_(headers=[("origin", "https://app.example.com")])
    made = decorate(NARROW, asked, own)
    assert [value for name, value in made.headers if name == "access-control-allow-origin"] == [
        "https://app.example.com"
    ]
    assert dict(made.headers)["access-control-expose-headers"] == "x-total"
    assert dict(made.headers)["x-total"] == "3"
    assert made.body == b"x"


def test_an_ordinary_options_request_is_no_preflight(request_):
    """Only a browser's question about another request is answered here; any other OPTIONS is the function's."""
    assert not is_preflight(request_("OPTIONS", headers=[("origin", "https://a.example")]))
    assert not is_preflight(request_("GET", headers=[("origin", "x"), ("access-control-request-method", "GET")]))
