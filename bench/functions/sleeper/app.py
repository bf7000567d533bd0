"""Takes its time, as a call to a database or another service would."""

import time


def lambda_handler(event, context):
    time.sleep(1)
    return {"slept": 1}
