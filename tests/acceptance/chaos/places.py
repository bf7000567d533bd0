"""The functions that are called under chaos: what each does, and with which settings."""

from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import dataclass, field
from typing import Any

RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
ROLE = "arn:aws:iam::000000000000:role/any"
OWN = """
import os
def reply(event, value=None):
    return {"function": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "token": event["token"], "value": value}
"""


@dataclass(frozen=True)
class Place:
    """`body` is the handler's, which sees `event`; `above` stands before it."""

    body: str
    above: str = ""
    requirements: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    reserved: int | None = None
    public: bool = False

    @property
    def code(self) -> bytes:
        lines = "".join(f"    {line}\n" for line in self.body.splitlines())
        files = {"app.py": f"{OWN}{self.above}\ndef handler(event, context):\n{lines}"}
        if self.requirements:
            files["requirements.txt"] = self.requirements
        return zipped(files)


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


LEARN = """
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier
features, kinds = load_iris(return_X_y=True)
model = KNeighborsClassifier(3).fit(features, kinds)
"""
PLACES = {
    "echo": Place("return reply(event, event['value'])"),
    "burn": Place("return reply(event, sum(n * n for n in range(event['value'])))"),
    "sleep": Place("time.sleep(event['value'])\nreturn reply(event)", "import time"),
    "print": Place("for n in range(event['value']):\n    print(event['token'], n)\nreturn reply(event)"),
    "raise": Place("raise LookupError(event['token'])"),
    "leave": Place("os._exit(3)"),
    "overrun": Place("time.sleep(60)", "import time", settings={"Timeout": 1}),
    "hoard": Place("x = []\nwhile True:\n    x.append(bytearray(1 << 22))", settings={"MemorySize": 128}),
    "large": Place("return reply(event, event['value'][::-1])"),
    "litter": Place(
        "subprocess.Popen(['sleep', '600'])\nopen('/tmp/' + event['token'], 'w').close()\nreturn reply(event)",
        "import subprocess",
        settings={"MemorySize": 256},
    ),
    "predict": Place("return reply(event, int(model.predict([event['value']])[0]))", LEARN, "scikit-learn"),
    "narrow": Place("time.sleep(0.1)\nreturn reply(event)", "import time", reserved=2),
    "page": Place(
        "token = event['queryStringParameters']['token']\ntime.sleep(float(event['rawPath'].rpartition('/')[2]))\n"
        "return {'statusCode': 201, 'headers': {'x-token': token}, 'body': event.get('body', '')}",
        "import time",
        public=True,
    ),
}


def deploy(client: Any, name: str, place: Place) -> None:
    """Create it, and wait until it can be called."""
    client.create_function(
        FunctionName=name,
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": place.code},
        **{"Timeout": 60, "MemorySize": 512, **place.settings},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 1500})
    if place.reserved is not None:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=place.reserved)
    if place.public:
        client.create_function_url_config(FunctionName=name, AuthType="NONE")
