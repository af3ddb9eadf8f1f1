"""Upper stages that learn from photographs, from pictures to the answer: what is tuned, judged and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import embed
from medloupe.evaluation import stress
from medloupe.inference.find import find_model
from medloupe.model.bundle import Model
from medloupe.training.heads.own_views import see_own_views
from medloupe.training.pipeline import field
from medloupe.training.tune import run
from medloupe.training.tune.share import SHARE

pytest.importorskip("torch")
COUNT = 20  # pictures a class


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Model]:
    """A home, the data, and a model whose tail was tuned with views at hand."""
    root = tmp_path_factory.mktemp("field-tuned")
    data = generated.folders(root / "data", COUNT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        patch.setattr(field, "FEWEST", 2 * COUNT)  # of real sets it takes more
        patch.setattr(run, "FOLDS", 2)
        model = medloupe.train(medloupe.read(data), name="taught", finetune="tail")
    return root / "home", data, model


@pytest.mark.slow
def test_the_card_tells_what_network_and_head_learned(taught: tuple[Path, Path, Model]) -> None:
    home, _, model = taught
    tuned, told = model.card["finetuning"], model.card["field"]
    assert tuned["field"]["share"] in (0.0, SHARE)
    assert tuned["recipe"]["field"] == tuned["field"]["share"]
    assert [c["name"] for c in tuned["field"]["tried"]] == [
        "direct pictures alone",
        "views in the head",
        "views in the network too",
    ]
    assert tuned["field"]["tried"][0]["lost"] == 0
    assert told["pictures"] == 2 * COUNT and told["views"] == 2 * COUNT * 6
    assert "photographs" in tuned["words"]
    jobs = {p.parent.name for p in (home / "cache" / "tuning").glob("*/*/history.json")}
    assert {"fold-0", "field-fold-0"} < jobs  # the first fold was tuned both ways, to decide
    rest = {"field-fold-1", "field-final"} if tuned["field"]["share"] else {"fold-1", "final"}
    assert jobs == {"fold-0", "field-fold-0", *rest}


@pytest.mark.slow
def test_views_are_seen_again_by_the_network_that_ships(
    taught: tuple[Path, Path, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who stands in for the head on its own pictures learns from the same views, through the tail."""
    home, data, _ = taught
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    monkeypatch.setattr(field, "FEWEST", 2 * COUNT)
    model = find_model("taught")
    assert model.tail is not None
    features = embed(scan_dataset(medloupe.read(data)), model.backbone, tail=model.tail)
    views = see_own_views(model, features, np.arange(2 * COUNT), model.backbone)
    assert views is not None and len(views.rows) == 2 * COUNT * 6
    width = model.tail.width
    assert np.array_equal(views.embeddings[:, width:], views.shared[:, width:])
    assert np.abs(views.embeddings[:, :width] - views.shared[:, :width]).max() > 1e-3
    judged = stress.stress(model, medloupe.read(data), images=12)
    assert judged.as_json()["unchanged"]["auc"]["value"] is not None
