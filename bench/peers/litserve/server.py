"""LitServe, with its defaults: one worker, no batching."""

import os
import sys

import joblib
import litserve


class Iris(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002 -- its interface
        self.model = joblib.load(os.environ["IRIS_MODEL"])

    def decode_request(self, request):
        return request["features"]

    def predict(self, x):
        return int(self.model.predict([x])[0])

    def encode_response(self, output):
        return {"prediction": output}


if __name__ == "__main__":
    server = litserve.LitServer(Iris(), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error")
