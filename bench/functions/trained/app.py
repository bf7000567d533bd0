"""A function whose initialisation is long: it trains the model that it serves."""

import json

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

images, digits = load_digits(return_X_y=True)
model = RandomForestClassifier(n_estimators=100, random_state=0).fit(images, digits)


def lambda_handler(event, context):
    first = json.loads(event["body"])["first"] if "body" in event else event["first"]
    return {"digit": int(model.predict(images[first : first + 1])[0])}
