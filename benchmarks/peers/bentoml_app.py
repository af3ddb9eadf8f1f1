"""BentoML, a worker process a core, one thread for each answer: `bentoml serve bentoml_app:Classifier --port PORT`."""

import bentoml
from PIL.Image import Image
from work import WORKERS, answer, fit, labels, load


@bentoml.service(workers=WORKERS)
class Classifier:
    def __init__(self) -> None:
        self.model = load(1)
        self.names = labels(self.model)

    @bentoml.api
    def predict(self, image: Image) -> dict:
        return answer(self.model, self.names, fit(image))
