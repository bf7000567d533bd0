"""Google's framework for Cloud Functions."""

import os

import functions_framework
import joblib

model = joblib.load(os.environ["IRIS_MODEL"])


@functions_framework.http
def predict(request):
    features = request.get_json()["features"]
    return {"prediction": int(model.predict([features])[0])}
