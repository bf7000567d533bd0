"""The iris prediction, which collects its garbage when asked to, and waits so that many instances work at once."""

import gc
import json
import time
from pathlib import Path

import joblib

model = joblib.load(Path(__file__).with_name("iris.joblib"))


def lambda_handler(event, context):
    asked = json.loads(event["body"])
    time.sleep(asked.get("wait_s", 0))
    if asked.get("collect"):
        gc.collect()
    return {"prediction": int(model.predict([asked["features"]])[0])}
