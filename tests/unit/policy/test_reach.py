"""Which addresses a function may be connected to, and what its entries mean inside an instance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import reach
from torpor.policy.reach import Target, Way


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        ("api.example.com:443", Target("api.example.com", 443)),
        ("DB.Local:5432", Target("db.local", 5432)),
        ("10.0.0.5:1", Target("10.0.0.5", 1)),
        ("[2001:DB8::1]:65535", Target("2001:db8::1", 65535)),
        ("[::1]:80", Target("::1", 80)),
        ("my_service:80", Target("my_service", 80)),
    ],
)
def test_an_entry_is_a_host_and_a_port(entry, target):
    """Names in small letters, addresses in their shortest form."""
    assert reach.parse(entry) == target
    assert reach.parse(str(target)) == target


@pytest.mark.parametrize(
    "entry",
    ["", "*", "host", "host:", ":80", "host:0", "host:65536", "http://host:80", "a b:80", "::1:80", "[host]:80", "-a:1",
     "127.1:80", "2130706433:80", "0x7f000001:80", "*.example.com:443", "host:80\n", "a..b:80", "[::1%lo]:80"],
)  # fmt: skip
def test_what_is_no_entry_is_refused(entry):
    """Also what resolvers take for an address though it does not look like one."""
    with pytest.raises(ValueError, match=r"^"):
        reach.parse(entry)


def test_each_name_has_an_address_of_its_own():
    """Several ports of a host share its address; addresses stay themselves; the proxy comes last."""
    entries = ["b.example:1", "*", "a.example:2", "b.example:3", "10.0.0.5:4", "localhost:5"]
    assert reach.names(entries) == {"a.example": "127.0.1.1", "b.example": "127.0.1.2"}
    assert reach.ways(entries) == (
        Way("10.0.0.5", 4, Target("10.0.0.5", 4)),
        Way("127.0.1.1", 2, Target("a.example", 2)),
        Way("127.0.1.2", 1, Target("b.example", 1)),
        Way("127.0.1.2", 3, Target("b.example", 3)),
        Way("127.0.0.1", 5, Target("localhost", 5)),
        Way("127.0.0.1", 9002, None),
    )


def test_web_clients_are_told_of_the_proxy_only_where_there_is_one():
    """And to leave out what has a way of its own, the platform's address above all."""
    assert reach.variables(["api.example.com:443"]) == {}
    variables = reach.variables(["api.example.com:443", "*"])
    assert variables["HTTPS_PROXY"] == variables["http_proxy"] == "http://127.0.0.1:9002"
    assert variables["no_proxy"].split(",") == ["localhost", "127.0.0.1", "::1", "api.example.com"]


@pytest.mark.parametrize("entry", ["localhost:9001", "127.0.0.1:9002", "localhost:9002"])
def test_the_platforms_own_ports_inside_cannot_be_named(entry):
    """They would hide the door or the proxy."""
    assert reach.in_the_way(["api.example.com:9001", entry]) is not None
    assert reach.in_the_way(["api.example.com:9001", "localhost:9003", "10.0.0.1:9001"]) is None


# fmt: off
CLOSED = ["127.0.0.1", "127.8.9.1", "::1", "0.0.0.0",  # noqa: S104
          "::", "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0",
          "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
          "64:ff9b::7f00:1", "2002:7f00:1::", "224.0.0.1", "ff02::1", "255.255.255.255", "0.1.2.3"]
# fmt: on


@pytest.mark.parametrize("address", CLOSED)
def test_what_is_this_machines_stays_closed(address):
    """Whatever dress the address comes in; the refusal names the line that would allow it."""
    assert 'reach = ["' in reach.why_closed(address, 80, [])
    assert reach.why_closed(address, 80, [Target("api.example.com", 80)])


@pytest.mark.parametrize("address", [one for one in CLOSED if "%" not in one])
def test_the_line_that_a_refusal_names_allows_it(address):
    """Following the advice helps, for that port and no other."""
    line = reach.why_closed(address, 80, []).rpartition('["')[2].removesuffix('"]')
    assert reach.why_closed(address, 80, [reach.parse(line)]) == ""
    assert reach.why_closed(address, 81, [reach.parse(line)])


@pytest.mark.parametrize("address", ["93.184.216.34", "10.0.0.5", "192.168.1.1", "2606:4700::1", "fd12::1"])
def test_other_machines_are_open(address):
    """Private networks too: that is where databases are; but not this machine under its outer address."""
    assert reach.why_closed(address, 443, []) == ""
    assert reach.why_closed(address, 443, [], own=True)
    assert reach.why_closed(address, 443, [Target(address, 443)], own=True) == ""


def test_localhost_means_both_loopback_addresses():
    """A service may listen on either."""
    named = [Target("localhost", 5432)]
    assert reach.why_closed("127.0.0.1", 5432, named) == reach.why_closed("::1", 5432, named) == ""
    assert reach.why_closed("127.0.0.2", 5432, named)


@given(st.ip_addresses(network="127.0.0.0/8") | st.ip_addresses(network="169.254.0.0/16"), st.integers(1, 65535))
def test_no_name_opens_loopback(address, port):
    """Only the exact address and port do, whatever else is named."""
    named = [Target("api.example.com", port), Target("10.0.0.1", port), Target(str(address), port % 65535 + 1)]
    assert reach.why_closed(str(address), port, named)
