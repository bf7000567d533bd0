"""BentoML, with its defaults: one worker."""

import os

import bentoml
import joblib


@bentoml.service
class Iris:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["IRIS_MODEL"])

    @bentoml.api
    def predict(self, features: list[float]) -> dict[str, int]:
        return {"prediction": int(self.model.predict([features])[0])}
