"""Answers of twenty weeks in a store, as if they had been given one by one: of pictures that the network has seen."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import insert

import generated
from medloupe.graphs.session import open_session, run
from medloupe.imaging.corruptions import change_gamma
from medloupe.imaging.decode import fit
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.drift import observe
from medloupe.model.prediction import Prediction
from medloupe.model.sketch import sketch_many
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.tables import FeedbackRow, PredictionRow

WEEKS = 20


def watched(model: Model, pictures: Sequence[np.ndarray]) -> list[bytes]:
    """What is kept of pictures to be watched, as the server keeps it."""
    assert model.novelty is not None
    session, size = open_session(model.backbone.path), model.backbone.card.input_size
    seen = np.concatenate([run(session, ["embedding"], fit(p, size)[None])[0] for p in pictures])
    return [observe(model.novelty.gaussian, z) for z in sketch_many(seen, model.novelty.levels)]


def fill(home: Path, usual: int = 230, changed: int = 75, site: str = "Ward A") -> None:
    """Put answers of `spots` into a store: usual pictures over WEEKS weeks, of the last `changed` by another device.

    In the last week many are flagged, and people found the last forty answers less often right than they claimed.
    """
    store = Store(home)
    model = store.get("spots", None, report=False)
    decision = Decision.from_card(model.card)
    rng = np.random.default_rng(5)
    pictures = [generated.tissue(9000 + i, bool(i % 2)) for i in range(usual)]
    pictures += [change_gamma(generated.tissue(9500 + i, bool(i % 2)), 2.2) for i in range(changed)]
    kept = watched(model, pictures)
    end = datetime.datetime.now(datetime.UTC)
    rows, said = [], []
    for i, one in enumerate(kept):
        at = end - datetime.timedelta(weeks=WEEKS * (1 - (i + 1) / len(kept)), minutes=len(kept) - i)
        sick = rng.random() < (0.97 if i >= len(kept) - 45 else 0.3)
        p = np.array([0.1, 0.9]) if sick else np.array([0.95, 0.05])
        prediction = Prediction.of(decision, p, file="", model="spots", version=1)
        answer = prediction.as_json()
        del answer["file"]
        id = secrets.token_hex(16)
        rows.append(
            {
                "id": id,
                "at": at.isoformat(timespec="milliseconds"),
                "user_id": None,
                "model": "spots",
                "version": 1,
                "answer": answer,
                "digest": secrets.token_hex(32),
                "kept": None,
                "state": prediction.state if i % 17 else "refused",
                "watched": one,
                "site": site,
                "ms": int(rng.gamma(6, 12)),
                "pilot": None,
            }
        )
        if i >= len(kept) - 40:
            right = bool(rng.random() < 0.5)
            said.append({"prediction_id": id, "user_id": None, "at": rows[-1]["at"], "right": right, "labels": None})
    with transaction(store.engine, write=True) as session:
        session.execute(insert(PredictionRow), rows)
        session.execute(insert(FeedbackRow), said)
