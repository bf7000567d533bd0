"""Server-sent events: a story told word by word, as a language model would."""

import asyncio
import json

STORY = "Once upon a time there was a bird that slept so deeply that its heart forgot to beat"


async def lambda_handler(event, context):
    parameters = event.get("queryStringParameters") or {}
    pause = float(parameters.get("pause", 0.1))
    yield {"statusCode": 200, "headers": {"content-type": "text/event-stream", "cache-control": "no-store"}}
    try:
        for number, word in enumerate(STORY.split()):
            yield f"id: {number}\ndata: {json.dumps({'word': word})}\n\n"
            await asyncio.sleep(pause)
        yield "event: end\ndata: {}\n\n"
    finally:
        print("the story is over, or its listener has left")
