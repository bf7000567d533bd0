"""A prediction by a model that was trained elsewhere; the same model and request as the peers'."""

import json
from pathlib import Path

import joblib

model = joblib.load(Path(__file__).with_name("iris.joblib"))


def lambda_handler(event, context):
    features = json.loads(event["body"])["features"] if "body" in event else event["features"]
    return {"prediction": int(model.predict([features])[0])}
