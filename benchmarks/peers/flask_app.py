"""Flask + ONNX Runtime as one would write it; `python flask_app.py PORT` is Flask's own threaded server.

Under gunicorn (`gunicorn -w 2 flask_app:app`) there are as many processes as cores and ONE_THREAD says that each answer
takes one thread, as ONNX Runtime's threads would get in each other's way.
"""

from __future__ import annotations

import os
import sys

from flask import Flask, jsonify, request
from work import answer, decode, labels, load

app = Flask(__name__)
model = load(1 if os.environ.get("ONE_THREAD") else None)
names = labels(model)


@app.post("/predict")
def predict():
    return jsonify(answer(model, names, decode(request.files["image"].stream)))


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]), threaded=True)
