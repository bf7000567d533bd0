"""Where a server may be reached without authentication, and what its listener is."""

# ruff: noqa: S104  - that others would be served is what is tested

import pytest

from torpor.core.errors import InvalidValue
from torpor.gateway.auth import Auth, check_bind
from torpor.gateway.serve import listen, url_of


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_loopback_may_be_open(host):
    """`--auth off` is for this machine alone."""
    check_bind(host, Auth.OFF)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.lan", "localhost.example.com", ""])
def test_elsewhere_needs_authentication(host):
    """Serving others without authentication is refused, with what to do instead; with it, it is fine."""
    with pytest.raises(InvalidValue, match=r"--host 127\.0\.0\.1"):
        check_bind(host, Auth.OFF)
    check_bind(host, Auth.ON)


def test_port_0_is_any_free_one():
    """The listener knows its real port, and its address is one that clients can use."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert port
        assert url_of(listener) == f"http://127.0.0.1:{port}"
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_taken_port_is_told():
    """What is in the way, and the way around it."""
    with listen("127.0.0.1", 0) as listener, pytest.raises(InvalidValue, match="--port 0"):
        listen("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(InvalidValue, match=r"no\.such\.host\.invalid:1 cannot be served"):
        listen("no.such.host.invalid", 1)
