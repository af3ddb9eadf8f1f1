"""Every kind of data all the way: trained, exported, loaded, asked on the command line and over HTTP, drawn.

The third kind, lung sounds, is no part of medloupe: tests/support/lungsounds brings it, by its entries alone.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kinds
import live
import medloupe
from medloupe.cli.app import app
from medloupe.errors import FinetuneError
from medloupe.graphs.session import open_session, run
from medloupe.inference.predictors import predictor
from medloupe.store.models import Store
from medloupe.training.audit.findings import audit

EACH = 20


@dataclass(frozen=True, slots=True)
class Trained:
    case: kinds.Case
    home: Path
    data: medloupe.Dataset
    model: medloupe.Model
    file: Path
    new: Path


@pytest.fixture(scope="module", params=sorted(kinds.CASES))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A model of one kind in a home of its own, as a file, too, and an example that it has not seen."""
    case, folder = kinds.CASES[request.param], tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_KINDS", kinds.ADDED)
        patch.setenv("MEDLOUPE_HOME", str(folder / "home"))
        data = medloupe.read(case.folder(folder / "set", each=EACH))
        model = medloupe.train(data, name="kind")
        model.save(folder / "out.onnx")
        (folder / "new").mkdir()
        new = case.file(folder / "new", 1001, 1)
        yield Trained(case, folder / "home", data, model, folder / "out.onnx", new)


def test_it_is_learned_and_its_card_says_of_what(trained: Trained) -> None:
    card, kind = trained.model.card, trained.case.name
    assert card["modality"] == kind == trained.model.backbone.card.modality
    assert card["metrics"]["auc"]["value"] > 0.8
    assert card["data"]["things"] == trained.data.things
    assert card["novelty"] is not None
    assert any("unlike all that it was trained on are refused" in limit for limit in card["limits"])


def test_the_report_draws_it(trained: Trained) -> None:
    report = trained.model.report
    assert (
        "data:image/jpeg;base64," in report if trained.case.name == "image" else "data:image/svg+xml;base64," in report
    )


def test_trained_stored_and_exported_answer_alike(trained: Trained) -> None:
    loaded, stored = medloupe.load(trained.file), Store(trained.home).get("kind")
    said = [m.predict(trained.new, heatmap=True) for m in (trained.model, stored, loaded)]
    assert said[0].prediction in ("second", "first") and said[0].heatmap is not None
    for other in said[1:]:
        assert other.prediction == said[0].prediction
        assert other.probabilities == pytest.approx(said[0].probabilities, abs=1e-4)


def test_the_file_alone_is_enough(trained: Trained) -> None:
    from medloupe.embed.modalities import EMBEDDINGS

    kind, card = EMBEDDINGS[trained.case.name], trained.model.backbone.card
    window = kind.window(trained.new, card)[None]
    (p,) = run(open_session(trained.file), ["probabilities"], {kind.input: window})
    said = trained.model.predict(trained.new).probabilities
    np.testing.assert_allclose(p[0], [said[label] for label in trained.model.labels], atol=1e-4)


def test_it_is_audited(trained: Trained) -> None:
    from medloupe.data.scan import scan_dataset
    from medloupe.embed.features import embed

    twice = trained.data.root / "first" / f"again{trained.case.suffix}"
    shutil.copy(trained.data.root / trained.data.records[0].id, twice)
    try:
        data = medloupe.read(trained.data.root)
        found = audit(embed(scan_dataset(data), trained.model.backbone))
    finally:
        twice.unlink()
    assert found.checked == 2 * EACH + 1
    assert "duplicates" in {finding.kind for finding in found.findings}


def test_other_kinds_are_refused(trained: Trained, tmp_path: Path) -> None:
    answering = predictor(trained.model)
    for other in kinds.CASES.values():
        if other.name != trained.case.name:
            with pytest.raises(medloupe.MedloupeError):
                answering.predict(other.file(tmp_path, 7, 0))


def test_only_pictures_are_tuned(trained: Trained) -> None:
    if trained.case.name != "image":
        with pytest.raises(FinetuneError, match="are used as they are, not tuned"):
            medloupe.train(trained.data, name="tuned", finetune="tail")


def command(*arguments: object) -> tuple[int, list[dict[str, Any]]]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_line_answers(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    (status, (one,)), expected = command("predict", trained.file, trained.new), trained.model.predict(trained.new)
    assert status == 0 and one["prediction"] == expected.prediction
    status, several = command("predict", "kind", trained.data.root)
    assert status == 0 and len(several) == 2 * EACH
    monkeypatch.setenv("MEDLOUPE_STARTERS", "none")
    status, (one,) = command("predict", "auto", trained.new)
    assert status == 0 and (one["model"], one["prediction"]) == ("kind", expected.prediction)


def test_it_is_judged_on_another_site(trained: Trained, tmp_path: Path) -> None:
    for k, name in enumerate(trained.model.labels):
        (tmp_path / "site" / name).mkdir(parents=True)
        for i in range(12):
            trained.case.file(tmp_path / "site" / name, 5000 + 2 * i + k, k)
    status, (judged,) = command("evaluate", "kind", tmp_path / "site")
    assert status == 0 and judged["metrics"]["auc"]["value"] > 0.8


@pytest.fixture(scope="module")
def server(trained: Trained) -> Iterator[live.Live]:
    with live.running(trained.home, "--keep-images", MEDLOUPE_STARTERS="none", **kinds.environment()) as running:
        yield running


def test_it_is_served(trained: Trained, server: live.Live) -> None:
    sent = {"image": (trained.new.name, trained.new.read_bytes())}
    expected = trained.model.predict(trained.new)
    with server.client() as client:
        (listed,) = client.get("/api/v1/models").json()["models"]
        assert (listed["name"], listed["modality"]) == ("kind", trained.case.name)
        assert client.get("/api/v1/models/kind").json()["modality"] == trained.case.name
        for path in ("/api/v1/models/kind/predict", "/api/v1/predict", "/api/v1/predict?models=all"):
            response = client.post(path, files=sent)
            assert response.status_code == 200, response.text
            said = response.json()
            said = said["predictions"][0] if "predictions" in said else said
            assert (said["model"], said["prediction"]) == ("kind", expected.prediction)
            assert said["probabilities"] == pytest.approx(dict(expected.probabilities), abs=1e-3)
        assert client.get(f"/api/v1/predictions/{said['id']}").json()["image_kept"]
        kept = client.get(f"/api/v1/predictions/{said['id']}/image")
        assert kept.content == trained.new.read_bytes()
        assert kept.headers["content-disposition"].endswith(f'{trained.case.suffix}"')


def test_other_kinds_are_told_from_it(trained: Trained, server: live.Live, tmp_path: Path) -> None:
    with server.client() as client:
        for other in kinds.CASES.values():
            if other.name != trained.case.name:
                path = other.file(tmp_path, 3, 0)
                response = client.post("/api/v1/models/kind/predict", files={"image": (path.name, path.read_bytes())})
                assert response.status_code in (415, 422), response.text


def test_windows_are_inferred(trained: Trained, server: live.Live) -> None:
    from medloupe.embed.modalities import EMBEDDINGS

    kind = EMBEDDINGS[trained.case.name]
    window = kind.window(trained.new, trained.model.backbone.card)[None]
    with server.client() as client:
        (taken,) = client.get("/v2/models/kind").json()["inputs"]
        assert (taken["name"], taken["shape"]) == (kind.input, [-1, *window.shape[1:]])
        entry = {**taken, "shape": list(window.shape), "data": window.ravel().tolist()}
        response = client.post(
            "/v2/models/kind/infer", json={"inputs": [entry], "outputs": [{"name": "probabilities"}]}
        )
    assert response.status_code == 200, response.text
    expected = trained.model.predict(trained.new).probabilities
    assert response.json()["outputs"][0]["data"] == pytest.approx(
        [expected[label] for label in trained.model.labels], abs=1e-3
    )


def test_it_is_drawn_on_the_page_and_again_in_the_history(trained: Trained, server: live.Live) -> None:
    with server.client(follow_redirects=True) as client:
        form = client.get("/checkups/kind").text
        assert trained.case.suffix in form or "image/*" in form
        csrf = re.search(r'name="csrf" value="([^"]+)"', form)
        assert csrf is not None
        sent = {"image": (trained.new.name, trained.new.read_bytes())}
        page = client.post("/checkups/kind", data={"csrf": csrf[1]}, files=sent)
        assert page.status_code == 200
        assert trained.model.predict(trained.new).prediction in page.text.lower()
        drawn = [page.text]
        id = re.search(r"/predictions/([0-9a-f]{32})", page.text)
        assert id is not None
        drawn.append(client.get(f"/predictions/{id[1]}").text)
        assert client.get("/choose").status_code == client.get("/").status_code == 200
        assert client.get("/checkups/kind?lang=fr").status_code == 200
    for text in drawn:
        if trained.case.name == "image":
            assert "data:image/jpeg;base64," in text
        elif trained.case.name == "ecg":
            assert '<svg class="paper"' in text
        else:
            found = re.search(r'class="drawing"[^>]* src="data:image/svg\+xml;base64,([^"]+)"', text)
            assert found is not None
            assert base64.b64decode(found[1]).startswith(b"<svg") and b"polyline" in base64.b64decode(found[1])


def test_without_its_package_a_model_of_it_is_left_out(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_KINDS")
    if trained.case.name == "sound":
        with pytest.raises(medloupe.MedloupeError, match="'sound'"):
            medloupe.load(trained.file)
    else:
        assert medloupe.load(trained.file).labels == trained.model.labels
