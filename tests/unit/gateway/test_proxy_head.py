"""What the proxy reads of a request."""

import pytest

from torpor.gateway import proxy_head
from torpor.policy.reach import Target


def test_a_tunnel_is_asked_for_by_host_and_port():
    """Nothing of its head is passed on."""
    request = proxy_head.parse(b"CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
    assert request == proxy_head.ProxyRequest(Target("api.example.com", 443), tunnel=True)


def test_a_plain_request_is_passed_on_without_what_concerns_the_proxy():
    """In origin form, for the host of its address whatever else it claims, and for one exchange only."""
    request = proxy_head.parse(
        b"POST http://api.example.com:8080/a%20b?c=d#e HTTP/1.1\r\nHost: other\r\nProxy-Authorization: Basic x\r\n"
        b"Proxy-Connection: keep-alive\r\nConnection: keep-alive\r\nContent-Length: 3\r\nX-Own: 1\r\n\r\n"
    )
    assert request.target == Target("api.example.com", 8080)
    assert request.forward == (
        b"POST /a%20b?c=d HTTP/1.1\r\nHost: api.example.com:8080\r\nContent-Length: 3\r\nX-Own: 1\r\n"
        b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://127.1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a:b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x00\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ],
)
def test_anything_else_is_refused_in_words(head):
    """A ValueError for the client to read, and nothing worse."""
    with pytest.raises(ValueError, match=r"\w"):
        proxy_head.parse(head)
