"""Finding the server, and saying why it cannot be reached."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading

import pytest

from torpor.cli.context import ClientOptions
from torpor.cli.failures import Unreachable, WrongUse
from torpor.cli.locate import find_server


@pytest.fixture
def folder(tmp_path):
    """A data folder of a server at port 7070."""
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:7070"}))
    (tmp_path / "key.json").write_text(json.dumps({"access_key_id": "A", "secret_access_key": "S", "token": "T"}))
    return tmp_path


def options(tmp_path, url=None, token=None):
    return ClientOptions(url=url, token=token, data_dir=tmp_path)


def test_by_the_data_folders_record(folder):
    """Without any address, the record of the running server is used, with its key."""
    server = find_server(options(folder))
    assert (server.url, server.token) == ("http://127.0.0.1:7070", "T")
    assert server.key
    assert server.key.secret_access_key == "S"


def test_a_flag_wins_over_the_environment(folder):
    """--url over TORPOR_URL, and --data over TORPOR_URL."""
    surroundings = options(folder, url="http://env:1")
    assert find_server(surroundings, url="http://flag:2/").url == "http://flag:2"
    assert find_server(surroundings).url == "http://env:1"
    assert find_server(surroundings, data=folder).url == "http://127.0.0.1:7070"


def test_the_key_is_not_sent_to_strangers(folder):
    """An address that is not the data folder's own server gets neither token nor key, unless both were named."""
    assert find_server(options(folder), url="http://elsewhere:7070").token is None
    assert find_server(options(folder), url="http://127.0.0.1:9999").token is None
    assert find_server(options(folder), url="http://localhost:7070").token == "T"
    assert find_server(options(folder), url="https://proxy", data=folder).token == "T"


def test_another_spelling_of_loopback_leads_to_the_recorded_address(folder):
    """`localhost` is ::1 first, where another user may listen on the same port: the key must not go there."""
    for spelling in ("localhost", "LOCALHOST", "[::1]"):
        assert find_server(options(folder, url=f"http://{spelling}:7070")).url == "http://127.0.0.1:7070"


def test_the_key_is_not_sent_to_whoever_took_a_killed_servers_port(folder):
    """A record counts while its server holds the folder's lock."""
    with (folder / "lock").open("wb") as lock:
        with pytest.raises(Unreachable, match="no server is running"):
            find_server(options(folder))
        assert find_server(options(folder), url="http://127.0.0.1:7070").token is None
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert find_server(options(folder)).token == "T"
        assert find_server(options(folder), url="http://127.0.0.1:7070").token == "T"


def test_the_environments_token_wins(folder):
    """TORPOR_TOKEN is meant for whatever address is used."""
    assert find_server(options(folder, token="E\n")).token == "E"
    assert find_server(options(folder, token="E"), url="http://elsewhere:1").token == "E"


def test_no_server_says_what_to_do(tmp_path):
    """Without a record, the message names the folder and `torpor up`."""
    with pytest.raises(Unreachable, match=r"torpor up") as caught:
        find_server(options(tmp_path))
    assert str(tmp_path) in caught.value.message


@pytest.mark.parametrize("url", ["127.0.0.1:7070", "ftp://x", "http://", "http://x:port", "http://x:99999"])
def test_an_address_that_is_none_is_wrong_use(tmp_path, url):
    """The message shows how an address is written."""
    with pytest.raises(WrongUse, match=r"http://127\.0\.0\.1:7070"):
        find_server(options(tmp_path), url=url)


def test_a_damaged_record_is_named(folder):
    """A record that cannot be read is told by its path."""
    (folder / "key.json").write_text("{}")
    with pytest.raises(Unreachable, match=r"key\.json is damaged \(it holds no access_key_id\)"):
        find_server(options(folder))
    (folder / "server.json").write_text("{")
    with pytest.raises(Unreachable, match=r"server\.json"):
        find_server(options(folder))


def test_nobody_listening_is_exit_code_3(torpor, data_dir):
    """A record left behind by a server that was killed is exit code 3, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    (data_dir / "server.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}"}))
    ran = torpor("ls")
    assert ran.code == 3
    assert "torpor up" in ran.err
    assert f":{port}" in ran.err


def test_a_server_that_hangs_up_is_exit_code_3(torpor):
    """A connection that is lost before the answer is told as that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        ran = torpor("ls", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert ran.code == 3
    assert "lost" in ran.err


@pytest.mark.slow
def test_an_early_refusal_is_heard(torpor, tmp_path):
    """A server that refuses an upload before it has read it all is understood, though the rest cannot be sent."""
    (tmp_path / "app.py").write_text("def lambda_handler(event, context): ...\n")
    (tmp_path / "model.bin").write_bytes(os.urandom(20_000_000))
    body = b'{"error": {"code": "RequestTooLargeException", "message": "at most 50 MB"}}'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                while stream.readline().strip():
                    pass
                connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

        thread = threading.Thread(target=refuse)
        thread.start()
        ran = torpor("deploy", tmp_path, "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert ran.code == 4
    assert "at most 50 MB" in ran.err


def test_something_else_at_the_address_is_told(torpor, fake):
    """An answer that is not JSON is not torpor's."""
    fake.reply("GET", "/_torpor/functions", _text("<html>hello</html>"))
    ran = torpor("ls")
    assert ran.code == 3
    assert "not torpor" in ran.err


def test_without_a_token_the_refusal_teaches(torpor, fake, tmp_path):
    """Who has no token learns where it comes from."""
    ran = torpor("ls", options=options(tmp_path / "none", url=fake.url))
    assert ran.code == 4
    assert "--data" in ran.err
    assert "TORPOR_TOKEN" in ran.err


def _text(body):
    from types import SimpleNamespace

    return SimpleNamespace(status=200, body=body.encode(), headers={})
