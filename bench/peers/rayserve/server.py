"""Ray Serve on one machine: one replica behind its HTTP proxy."""

import os
import signal
import sys

import joblib
import ray
from ray import serve


@serve.deployment
class Iris:
    def __init__(self):
        self.model = joblib.load(os.environ["IRIS_MODEL"])

    async def __call__(self, request):
        features = (await request.json())["features"]
        return {"prediction": int(self.model.predict([features])[0])}


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    folder = os.environ["RAY_FOLDER"]
    ray.init(include_dashboard=False, logging_level="error", _temp_dir=folder, _node_ip_address="127.0.0.1")
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Iris.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
