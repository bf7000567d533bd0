"""Host and Origin checks."""

import pytest

from torpor.gateway.origins import Hosts, function_of_host, is_cross_site


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:7070", True),
        ("localhost.", True),
        ("hello.localhost:8080", True),
        ("127.0.0.1:7070", True),
        ("10.1.2.3:7070", True),
        ("[::1]:7070", True),
        ("torpor.example.com", True),
        ("box.lan:7070", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("notlocalhost", False),
        ("127.0.0.1.nip.example", False),
        ("localhost@evil.example", False),
        ("[evil.example]", False),
        ("", False),
        (":7070", False),
    ],
)
def test_a_server_answers_to_its_own_names_alone(host, allowed):
    """Loopback names, addresses, the bound name and the public one; a rebound name is refused."""
    assert Hosts.of("box.lan", "https://torpor.example.com/base").allows(host) is allowed


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("hello.localhost:7070", "hello"),
        ("Hello.LOCALHOST", "Hello"),
        ("localhost:7070", None),
        ("127.0.0.1", None),
        ("a.b.localhost", None),
        ("hello.localhost.evil.example", None),
    ],
)
def test_a_function_has_a_host_of_its_own(host, name):
    """NAME.localhost names a function, and nothing else does."""
    assert function_of_host(host) == name


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({}, False),
        ({"origin": "http://localhost:7070"}, False),
        ({"origin": "https://localhost:7070"}, False),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
    ],
)
def test_a_page_of_another_origin_is_known_by_what_browsers_send(request_, headers, cross):
    """An Origin that is not ours, or Sec-Fetch-Site where a browser sends no Origin."""
    assert is_cross_site(request_(headers=list(headers.items()))) is cross
