"""What a function is told that meets a closed network."""

import errno
import socket

import pytest

from torpor.guest import closed


def raised(work):
    try:
        work()
    except Exception as error:
        return error
    return None


def test_a_name_that_is_not_declared_is_named_with_its_port():
    """Whatever the client library made of the error."""

    def resolve(host, port):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    def library():
        try:
            resolve("api.example.com", "https")
        except OSError as error:
            raise RuntimeError("connection failed") from error

    assert 'reach = ["api.example.com:443"]' in closed.hint(raised(library))


@pytest.mark.parametrize(
    ("address", "entry"), [(("10.0.0.5", 5432), "10.0.0.5:5432"), (("fd12::1", 80, 0, 0), "[fd12::1]:80")]
)
def test_an_address_that_is_not_declared_is_named(address, entry):
    """The kernel has no route to it."""

    def connect(address):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    assert f"--reach {entry}" in closed.hint(raised(lambda: connect(address)))


def test_other_errors_have_no_hint():
    """Nor has one that does not tell where it was going, nor a chain without end."""
    looped = ValueError()
    looped.__context__ = looped
    for error in (ValueError("x"), ConnectionRefusedError(errno.ECONNREFUSED, "no"), socket.gaierror("x"), looped):
        assert closed.hint(error) == ""
