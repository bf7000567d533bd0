"""The handler that MiniStack runs as a Lambda function; its folder holds the model."""

import os

import joblib

model = joblib.load(os.path.join(os.path.dirname(__file__), "iris.joblib"))


def lambda_handler(event, context):
    return {"prediction": int(model.predict([event["features"]])[0])}
