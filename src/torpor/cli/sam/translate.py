"""Runs in the translator's environment: a SAM template as JSON in, CloudFormation or what is wrong with it out.

Nothing is asked of AWS: policy templates and AWS's managed policies come with the translator.
"""

import json
import sys
from typing import Any

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform


class NoPolicies:
    """Stands where the translator would list an account's policies."""

    def load(self) -> dict[str, str]:
        return {}


def answer(template: dict[str, Any]) -> dict[str, Any]:
    """`{"template": …}`, or `{"problems": [{"resource": …, "message": …}]}`."""
    try:
        return {"template": transform(template, {}, NoPolicies())}
    except InvalidDocumentException as error:
        return {
            "problems": [
                {"resource": str(getattr(cause, "_logical_id", "") or ""), "message": str(cause.message)}
                for cause in error.causes
            ]
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))
