"""Which route of an HTTP API takes a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.errors import InvalidValue
from torpor.core.http_api import Route
from torpor.policy.api_routes import METHODS, RouteTable, parse_key


def table(*keys):
    return RouteTable([Route(id=str(number), key=key) for number, key in enumerate(keys)])


def taken(routes, method, path):
    found = routes.match(method, path.split("/")[1:])
    return found and (found.route.key, dict(found.parameters))


def test_the_most_specific_route_takes_a_request():
    """A literal path comes before parameters, these before a greedy one, and `$default` takes the rest."""
    routes = table(
        "GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default", "GET /pets"
    )
    assert taken(routes, "GET", "/pets/dog/1") == ("GET /pets/dog/1", {})
    assert taken(routes, "GET", "/pets/dog/2") == ("GET /pets/dog/{id}", {"id": "2"})
    assert taken(routes, "GET", "/pets/cat/1") == ("GET /pets/{proxy+}", {"proxy": "cat/1"})
    assert taken(routes, "POST", "/test/5") == ("ANY /{proxy+}", {"proxy": "test/5"})
    assert taken(routes, "POST", "/pets/dog/1") == ("ANY /{proxy+}", {"proxy": "pets/dog/1"})
    assert taken(routes, "GET", "/pets") == ("GET /pets", {})
    assert taken(routes, "GET", "/") == ("$default", {})


def test_a_whole_path_comes_before_a_greedy_one():
    """A route that fits segment by segment wins over a greedy one with a longer literal beginning."""
    routes = table("GET /a/{rest+}", "GET /{x}/b")
    assert taken(routes, "GET", "/a/b") == ("GET /{x}/b", {"x": "a"})
    assert taken(routes, "GET", "/a/c") == ("GET /a/{rest+}", {"rest": "c"})


def test_the_own_method_comes_before_any_on_one_path():
    """ANY takes what no route of the request's method takes, and a better path counts for more than a method."""
    routes = table("ANY /x", "GET /x", "ANY /y/1", "GET /y/{n}")
    assert taken(routes, "GET", "/x")[0] == "GET /x"
    assert taken(routes, "PUT", "/x")[0] == "ANY /x"
    assert taken(routes, "GET", "/y/1")[0] == "ANY /y/1"


def test_without_a_route_nothing_is_taken():
    """Neither another method, nor an empty parameter, nor a slash too many fits."""
    routes = table("GET /items/{id}", "GET /files/{path+}")
    for method, path in [
        ("POST", "/items/1"),
        ("GET", "/items/"),
        ("GET", "/items/1/"),
        ("GET", "/files/"),
        ("GET", "/"),
    ]:
        assert taken(routes, method, path) is None


def test_a_path_goes_back_to_a_parameter_where_a_literal_leads_nowhere():
    """The literal branch is tried first, and left again."""
    routes = table("GET /a/b", "GET /{x}/c")
    assert taken(routes, "GET", "/a/c") == ("GET /{x}/c", {"x": "a"})


@pytest.mark.parametrize(
    "key",
    ["", "GET", "GET items", "get /x", "FETCH /x", "GET /{a+}/b", "GET /x{a}", "GET /{}", "GET /{a}/{a}", "GET /a b"],
)
def test_keys_that_are_none_are_refused(key):
    """A route key is a method of HTTP and a path whose parameters are whole segments."""
    with pytest.raises(InvalidValue):
        parse_key(key)


def test_keys_that_take_the_same_requests_are_known():
    """Parameters' names make no difference; methods and greed do."""
    assert parse_key("GET /{a}/x").identity == parse_key("GET /{b}/x").identity
    assert parse_key("GET /{a}").identity != parse_key("GET /{a+}").identity
    assert parse_key("$default") is None


segments = st.lists(st.sampled_from(["a", "b", "{x}", "{y}", "{z+}"]), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["ANY", *METHODS]), segments)), st.lists(st.sampled_from("abc"), max_size=5))
def test_what_is_taken_fits_and_what_fits_is_taken(written, path):
    """Of any routes, the one taken fits the request; and where one fits, one is taken."""
    keys = []
    for method, parts in written:
        key = f"{method} /{'/'.join(parts)}"
        try:
            identity = parse_key(key).identity
        except InvalidValue:
            continue
        if identity not in [parse_key(known).identity for known in keys]:
            keys.append(key)
    found = taken(table(*keys), "GET", "/" + "/".join(path))
    fitting = [key for key in keys if _fits(key, path)]
    assert (found is not None) == bool(fitting)
    assert found is None or found[0] in fitting


def _fits(key, path):
    pattern = parse_key(key)
    if pattern.method not in ("ANY", "GET"):
        return False
    size = len(pattern.segments)
    if not (len(path) > size if pattern.greedy else len(path or [""]) == size):
        return False
    return all(got if want is None else want == got for want, got in zip(pattern.segments, path or [""], strict=False))
