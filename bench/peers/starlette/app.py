"""The prediction in the web server's own process: no isolation, no scaling; a careful hand-written service."""

import os

import joblib
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

model = joblib.load(os.environ["IRIS_MODEL"])


async def predict(request):
    features = (await request.json())["features"]
    return JSONResponse({"prediction": int(model.predict([features])[0])})


app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
