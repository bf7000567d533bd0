"""The functions of a guest book."""

import json
import os

import boto3
import words

guests = []


def greet(event, context):
    """Greet by name, and have the other function count."""
    name = event["pathParameters"]["name"]
    answer = boto3.client("lambda").invoke(FunctionName=os.environ["COUNT"], Payload=json.dumps({"guest": name}))
    counted = json.loads(answer["Payload"].read())
    return {"text": words.greeting(os.environ["GREETING"], name), "guests": counted, "stage": os.environ["STAGE"]}


def count(event, context):
    """Count guests, in the memory of one instance."""
    if "guest" in event:
        guests.append(event["guest"])
    return len(guests)


def tell(event, context):
    """Tell a story, each word when it is there."""
    for word in words.STORY:
        yield f"{word}\n"


def audit(event, context):
    """In production alone."""
    return {"audited": os.environ["STAGE"]}
