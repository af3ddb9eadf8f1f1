"""Notes by a language network: numbers that are 0 without text, a file that opens nothing, and answers that agree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
import tinytext
import tunable
from fresh import named
from generated import run
from live import running
from medloupe.embed.hub.text import TextNetwork, find_text_network, remember_network
from medloupe.errors import NotesError
from medloupe.inputs.encoder import read_text_encoder
from medloupe.inputs.extras import Extras
from medloupe.inputs.sentences import Sentences
from medloupe.model.bundle import Model
from medloupe.store.models import Store

Capture = pytest.CaptureFixture[str]
ILL, WELL = ("fever and dry cough", "fever since monday", "cough and fever"), ("came by bus", "waited an hour")


def written(n: int = 60) -> list[str | None]:
    return [f"{(ILL, WELL)[i % 2][i % len((ILL, WELL)[i % 2])]} {i}" for i in range(n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinytext.save(tmp_path_factory.mktemp("networks") / "small")


@pytest.fixture
def network(folder: Path) -> TextNetwork:
    return find_text_network(str(folder))


def fitted(network: TextNetwork, **options: Any) -> Sentences:
    found = Sentences.fit(written(), network, **options)
    assert found is not None
    return found


# ------------------------------------------------------------ numbers


def test_like_notes_lie_together(network: TextNetwork) -> None:
    notes = fitted(network)
    one, other, far = notes.vectors(["fever and cough", "cough and dry fever", "waited an hour"])
    assert np.linalg.norm(one - other) < 0.8 * np.linalg.norm(one - far)
    z = notes.vectors(written())
    assert (z.shape, z.dtype) == ((60, notes.width), np.float32) and notes.width == 60 // 4
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-3)
    assert z.var(0).mean() == pytest.approx(1, abs=0.01)
    assert fitted(network, dimension=5).width == 5
    assert Sentences.fit(["fever"] * 9, network) is None


def test_nothing_said_is_zero_and_needs_no_network(network: TextNetwork, home: Path) -> None:
    notes = read_text_encoder(fitted(network).as_json())
    for text in (None, "", " \n", "!!! ..."):
        assert not notes.vectors([text])[0].any()
    with pytest.raises(NotesError):
        notes.vectors(["fever"])[0]


def test_masked_words_change_nothing(network: TextNetwork) -> None:
    notes = fitted(network, mask=("*covid*",))
    np.testing.assert_allclose(notes.vectors(["fever COVID-19 cough"])[0], notes.vectors(["Fever cough"])[0], atol=1e-6)
    assert not notes.vectors(["covid"])[0].any()
    assert (
        np.abs(fitted(network).vectors(["fever COVID-19 cough"])[0] - fitted(network).vectors(["fever cough"])[0]).max()
        > 1e-3
    )


def test_it_comes_back_from_json(network: TextNetwork, home: Path) -> None:
    notes = fitted(network, mask=("pcr",), column="report")
    text = json.dumps(notes.as_json())
    assert "networks" not in text, "where the network lies is nobody's business"
    back = read_text_encoder(json.loads(text))
    assert isinstance(back, Sentences) and back.source is None
    assert (back.column, back.mask, back.width, back.method) == ("report", ("pcr",), notes.width, network.words)
    assert back.field() == {"name": "report", "kind": "notes", "label": "report"} and back.nbytes == notes.nbytes
    remember_network(network)
    for given in ("fever and cough", "came by bus"):
        np.testing.assert_allclose(back.vectors([given])[0], notes.vectors([given])[0], atol=1e-5)


# ------------------------------------------------------------ files from elsewhere


@pytest.mark.parametrize(
    "change",
    [
        {"column": ""},
        {"mask": ["x"] * 300},
        {"network": ""},
        {"network": "x" * 301},
        {"network": "a\nb"},
        {"network": 1},
        {"sha256": "../../../etc/passwd"},
        {"sha256": "A" * 64},
        {"sha256": None},
        {"axes": ""},
        {"axes": None},
        {"axes": "A" * 50_000_000},
        {"axes": "!" * 1280},
        {"mean": []},
        {"mean": [float("nan")] * 15},
        {"scale": 0},
        {"more": 1},
        {"idf": ""},
    ],
)
def test_hostile_json_is_refused(change: dict[str, Any], network: TextNetwork) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_text_encoder({**fitted(network).as_json(), **change})


HEAVY = named(("torch", "transformers", "huggingface_hub", "medloupe.embed.hub.text"))
WATCHED = (
    f"HEAVY = {HEAVY!r}\n"
    + """
import json, sys
import medloupe
from medloupe.inputs.extras import Extras
from medloupe.errors import NotesError
extras = Extras.from_json(json.loads(sys.stdin.read()))
extras.effects({})
assert not any(m in sys.modules for m in HEAVY)
touched = []
def watch(event, args):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.system", "open", "os.listdir", "os.scandir")):
        touched.append((event, str(args[0]) if args else ""))
sys.addaudithook(watch)
try:
    extras.effects({"notes": "fever and cough"})
    print("answered")
except NotesError as e:
    print(e)
imported = (sys.base_prefix, sys.prefix, medloupe.__path__[0])
print(json.dumps([t for t in touched if not t[1].startswith(imported)]))
"""
)


@pytest.mark.parametrize("named", ["trap", "/etc", "https://example.org/x", "hub:owner/name", "../trap"])
def test_a_file_opens_no_network_that_nobody_here_named(
    named: str, network: TextNetwork, folder: Path, tmp_path: Path, home: Path
) -> None:
    """The very network lies there, in the working folder, too."""
    shutil.copytree(folder, tmp_path / "trap")
    notes = {**fitted(network).as_json(), "network": str(tmp_path / "trap") if named == "trap" else named}
    extras = Extras(columns=(), notes=read_text_encoder(notes), weight=np.ones((2, 15), np.float32))
    environment = {**os.environ, "MEDLOUPE_HOME": str(home), "MEDLOUPE_NOTES_MODELS": ""}
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        input=json.dumps(extras.as_json()),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    said, touched = done.stdout.splitlines()
    assert said.startswith("notes cannot be read here. The network that reads them is not at hand: ")
    assert all(event == "open" and Path(path).is_relative_to(home) for event, path in json.loads(touched)), touched


# ------------------------------------------------------------ from a folder to answers


@dataclass(frozen=True, slots=True)
class Made:
    """A home with `heard`, trained on pictures that say nothing and notes that do."""

    home: Path
    data: Path
    folder: Path
    out: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Made:
    root = tmp_path_factory.mktemp("heard")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(120):
        ill = i % 2
        speaks = rng.random() < (0.75 if ill else 0.25)
        rows.append(
            {"label": ("well", "ill")[ill], "notes": f"{rng.choice(ILL if speaks else WELL)} {rng.integers(100)}"}
        )
    data = generated.table(root / "data", rows, [generated.tissue(i, False) for i in range(120)])
    made = Made(root / "home", data, folder, root / "heard.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(made.home))
        model = medloupe.train(
            medloupe.read(data),
            name="heard",
            backbone=tunable.backbone(root / "backbone").path,
            notes="notes",
            notes_model=folder,
        )
        model.save(made.out)
    return made


def picture(made: Made) -> Path:
    return made.data / "images" / "003.png"


def answer(model: Model, made: Made, **given: str) -> dict[str, float]:
    return dict(model.predict(picture(made), given).probabilities)


def test_trained_kept_exported_and_asked(made: Made, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(made.home))
    model, file = Store(made.home).get("heard"), medloupe.load(made.out)
    assert model.extras is not None and isinstance(model.extras.notes, Sentences)
    assert model.card["inputs"]["notes"]["method"] == "transformers network of the folder small"
    assert "is read by transformers network of the folder small" in model.report
    assert model.card["inputs"]["fusion"][0]["auc"]["value"] < 0.65 < model.card["metrics"]["auc"]["value"]
    ill, well = (answer(model, made, notes=n)["ill"] for n in ("fever and dry cough", "came by bus"))
    assert ill > well + 0.15
    assert answer(file, made, notes="fever and dry cough")["ill"] == pytest.approx(ill, abs=1e-4)
    ran = run(capsys, "predict", "heard", picture(made), "--with", "notes=fever and dry cough", "--json")
    assert ran.lines[0]["probabilities"]["ill"] == pytest.approx(ill, abs=1e-4)
    clinical, notes = model.extras.vectors({"notes": "fever and dry cough"})
    assert (clinical.shape, notes.shape) == ((0,), (model.extras.notes_width,))


def test_the_same_again_is_taken_from_the_cache_and_other_networks_are_not(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    home = tmp_path / "copy"
    shutil.copytree(made.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    other = tinytext.save(tmp_path / "small", seed=1)
    common = (
        *("train", made.data, "--name", "heard", "--backbone", made.data.parent / "backbone" / "tunable.onnx"),
        *("--notes", "notes", "--json", "--notes-model"),
    )
    assert run(capsys, *common, made.folder).code == 0
    assert Store(home).get("heard", 2).card["reused"] is True
    assert run(capsys, *common, other).code == 0
    assert Store(home).get("heard", 3).card["reused"] is False
    assert len(list((home / "notes-models").iterdir())) == 2


def test_elsewhere_pictures_are_answered_and_text_where_it_is_named(
    made: Made, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    file = medloupe.load(made.out)
    bare = answer(file, made)
    ran = run(capsys, "predict", made.out, picture(made), "--json")
    assert ran.code == 0 and ran.lines[0]["probabilities"]["ill"] == pytest.approx(bare["ill"], abs=1e-4)
    with pytest.raises(NotesError, match="notes cannot be read here") as error:
        answer(file, made, notes="fever")
    assert "small" in error.value.message and "MEDLOUPE_NOTES_MODELS" in error.value.hint
    refused = run(capsys, "predict", made.out, picture(made), "--with", "notes=fever")
    assert refused.code == 2 and "MEDLOUPE_NOTES_MODELS" in refused.err and "Traceback" not in refused.err
    shutil.copytree(made.folder, tmp_path / "moved")
    monkeypatch.setenv("MEDLOUPE_NOTES_MODELS", str(tmp_path / "moved"))
    here = answer(file, made, notes="fever and dry cough")
    monkeypatch.setenv("MEDLOUPE_HOME", str(made.home))
    there = answer(Store(made.home).get("heard"), made, notes="fever and dry cough")
    assert here == pytest.approx(there, abs=1e-4) and here != pytest.approx(bare, abs=1e-3)


def test_a_server_reads_text_where_it_is_named(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MEDLOUPE_HOME", str(made.home))
    want = answer(Store(made.home).get("heard"), made, notes="fever and dry cough")
    bare = answer(Store(made.home).get("heard"), made)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    added = subprocess.run(
        [sys.executable, "-m", "medloupe", "models", "add", str(made.out)], capture_output=True, text=True, timeout=100
    )
    assert added.returncode == 0, added.stderr
    image = {"image": ("p.png", picture(made).read_bytes())}
    path, given = "/api/v1/models/heard/predict", {"notes": "fever and dry cough"}
    with running(home) as server, server.client() as client:
        assert client.post(path, files=image).json()["probabilities"] == pytest.approx(bare, abs=1e-4)
        refused = client.post(path, files=image, data=given)
        assert refused.status_code == 422
        error = refused.json()["error"]
        assert error["code"] == "invalid_input" and "not at hand" in error["message"]
        headers = {"Accept": "text/html", "Origin": server.url}
        csrf = re.search(r'name="csrf" value="([^"]+)"', client.get("/checkups/heard", headers=headers).text)
        assert csrf
        fields = {"csrf": csrf[1], "input.notes": "fever"}
        page = client.post("/checkups/heard", files=image, data=fields, headers=headers)
        assert page.status_code == 422 and "lacks the language network" in page.text
    with running(home, MEDLOUPE_NOTES_MODELS=str(made.folder)) as server, server.client() as client:
        answered = client.post(path, files=image, data=given).json()
        assert answered["probabilities"] == pytest.approx(want, abs=1e-4)
        assert [i["name"] for i in answered["inputs"]] == ["notes"]


def test_a_network_without_notes_is_asked_for_their_column(made: Made, home: Path, capsys: Capture) -> None:
    ran = run(capsys, "train", made.data, "--name", "x", "--notes-model", made.folder)
    ran.failed("--notes")
