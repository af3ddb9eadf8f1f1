"""LitServe on the CPU, a worker process a core, one thread for each answer: `python litserve_app.py PORT`."""

from __future__ import annotations

import sys

import litserve
import numpy as np
from work import WORKERS, answer, decode, labels, load


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load(1)
        self.names = labels(self.model)

    def decode_request(self, request) -> np.ndarray:
        return decode(request["image"].file)

    def predict(self, x: np.ndarray) -> dict[str, dict[str, float]]:
        return answer(self.model, self.names, x)

    def encode_response(self, output: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", devices=1, workers_per_device=WORKERS)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
