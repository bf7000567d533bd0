"""A function's ways to other hosts, as its users declare them, from instances that were spawned and that were forked."""

from __future__ import annotations

import json
import socketserver
import threading

import pytest

APP = """
import json, socket, urllib.error, urllib.request

def handler(event, context):
    if "url" in event:
        try:
            with urllib.request.urlopen(event["url"], timeout=20) as answer:
                return [answer.status, answer.read().decode()]
        except urllib.error.HTTPError as error:
            return [error.code, error.read().decode()]
    with socket.create_connection((event["host"], event["port"]), 20) as connection:
        connection.sendall(b"GET /tcp HTTP/1.0\\r\\n\\r\\n")
        return connection.makefile("rb").read().decode()
"""


class _Answer(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nyou asked: " + line)


@pytest.fixture
def service():
    """A service on this machine's loopback; yields its port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Answer) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


def _invoke(client, name, event):
    answer = client.invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def _log(server, name):
    return server.cli("logs", name).stdout


def test_a_tag_opens_the_way_and_nothing_else_is_open(server, create, service, eventually):
    """`torpor:reach` names a service of this machine; another of its ports stays closed, and the log tells of both."""
    entry = f"localhost:{service}"
    client = create(server, "reach-tag", APP, Tags={"torpor:reach": entry})
    for _ in range(2):  # spawned, and then forked where this machine can
        assert "you asked: GET /tcp" in _invoke(client, "reach-tag", {"host": "localhost", "port": service})
    eventually(lambda: _log(server, "reach-tag").count(f"REACH {entry} at 127.0.0.1: 21 bytes sent") == 2)
    assert _invoke(client, "reach-tag", {"host": "localhost", "port": 9})["errorType"] == "ConnectionRefusedError"


def test_who_meets_a_closed_network_is_told_the_line_that_opens_it(server, create, eventually):
    """Without reach a name has no address and an address no route; the log says what to add."""
    client = create(server, "reach-none", APP)
    assert _invoke(client, "reach-none", {"host": "api.example.com", "port": 443})["errorType"] == "gaierror"
    assert _invoke(client, "reach-none", {"host": "203.0.113.7", "port": 80})["errorType"] == "OSError"
    assert _invoke(client, "reach-none", {"url": "https://shop.example.com/x"})["errorType"] == "URLError"
    for entry in ("api.example.com:443", "203.0.113.7:80", "shop.example.com:443"):
        eventually(lambda entry=entry: f'reach = ["{entry}"]' in _log(server, "reach-none"))


def test_the_command_line_opens_the_web_but_not_this_machine(server, service, tmp_path):
    """`--reach '*'` gives web clients a proxy, which refuses loopback unless the exact port is named as well."""
    (tmp_path / "app.py").write_text(APP.replace("def handler", "def lambda_handler"))
    url = f"http://127.0.0.1:{service}/web"
    asked = json.dumps({"url": url})
    proxied = json.dumps({"url": f"http://127.0.0.2:{service}/web"})  # not among those that clients ask directly
    server.cli("deploy", str(tmp_path), "--name", "reach-web", "--reach", "*")
    status, text = json.loads(server.cli("invoke", "reach-web", "-d", proxied).stdout)
    assert status == 403
    assert f'reach = ["127.0.0.2:{service}"]' in text
    server.cli("deploy", str(tmp_path), "--name", "reach-web", "--reach", "*", "--reach", f"127.0.0.1:{service}")
    assert json.loads(server.cli("invoke", "reach-web", "-d", asked).stdout) == [
        200,
        "you asked: GET /web HTTP/1.1\r\n",
    ]


def test_the_settings_table_is_checked_before_anything_is_sent(server, tmp_path):
    """A URL in the place of HOST:PORT is refused with what to write instead."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "torpor.toml").write_text('handler = "app.handler"\nreach = ["https://api.example.com/"]\n')
    refused = server.cli("deploy", str(tmp_path), "--name", "reach-bad", check=False)
    assert refused.returncode == 2
    assert "HOST:PORT" in refused.stderr
