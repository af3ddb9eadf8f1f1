"""ECG files to answers: any format and rate, quickly; models chosen by what a file is; on the command line."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import ecgmaker
import ecgmodels
import ecgsaved
import generated
from medloupe.cli.app import app
from medloupe.data.modalities import ECGS, PICTURES, recognise_file
from medloupe.errors import MedloupeError, NotAnImageError, SignalError, StoreError
from medloupe.inference.ecgs import EcgPredictor
from medloupe.inference.pictures import Predictor
from medloupe.inference.predictors import (
    AutoEcgPredictor,
    list_folder,
    list_models,
    merge_ecg_parts,
    predictor,
)
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import write_onnx

RATES = (250.0, 360.0, 500.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings and a picture, and a table that is no ECG."""
    root = tmp_path / "files"
    ecgsaved.save(root, ecgsaved.wfdb(ecgmodels.recording(91), "first"))
    ecgsaved.save(root, {"second.csv": ecgsaved.csv(ecgmodels.recording(92)), "table.csv": b"file,label\na.png,x\n"})
    generated.save(root / "scan.png", generated.tissue(1, True))
    return root


@pytest.mark.parametrize("seconds", [0.71, 60.0])
def test_the_same_beats_at_any_rate_and_in_any_format_give_the_same_answer(seconds: float, tmp_path: Path) -> None:
    """A single beat of 0.71 s and a minute with ectopic beats: probabilities within 0.02."""
    made = (
        [ecgmaker.Beat(0.25)] if seconds < 1 else ecgmaker.with_ectopics(ecgmaker.even(seconds, spread=0.04), early=0.2)
    )
    predictor = EcgPredictor(ecgmodels.beats_model(), network_threads=1)
    found = []
    for rate in RATES:
        signal = ecgmaker.ecg(made, seconds, rate, ecgmodels.TWO)
        files = {
            "csv": {"x.csv": ecgsaved.csv(signal)},
            "npz": {"x.npz": ecgsaved.npz(signal)},
            "wfdb": ecgsaved.wfdb(signal),
        }
        for name, parts in files.items():
            answer = predictor.predict(ecgsaved.save(tmp_path / f"{name}{rate:g}", parts))
            assert answer.ecg is not None
            found.append([*answer.probabilities.values()])
            assert answer.ecg.counts == predictor.predict(parts).ecg.counts  # pyright: ignore[reportOptionalMemberAccess]
    assert np.ptp(np.array(found), axis=0).max() < 0.02


def test_whole_ecgs_at_any_rate_give_the_same_answer() -> None:
    predictor = EcgPredictor(ecgmodels.twelve_model(), network_threads=1)
    found = []
    for rate in RATES:
        signal = ecgmaker.ecg(ecgmaker.even(10, spread=0.03), 10, rate)
        found.append([*predictor.predict({"a.csv": ecgsaved.csv(signal)}).probabilities.values()])
    assert np.ptp(np.array(found), axis=0).max() < 0.02


def test_a_minute_of_two_leads_is_answered_at_once() -> None:
    """Well under a second of one core; the limit is loose, as machines differ."""
    predictor = EcgPredictor(ecgmodels.beats_model(), network_threads=1)
    signal = ecgmodels.recording(93, seconds=60)
    predictor.predict(signal)
    started = time.process_time()
    answer = predictor.predict(signal, heatmap=True)
    assert time.process_time() - started < 3
    assert answer.ecg is not None and len(answer.ecg.beats) > 50


def test_the_answer_has_all_that_pictures_have(tmp_path: Path) -> None:
    model = ecgmodels.beats_model()
    path = ecgsaved.save(tmp_path, ecgsaved.wfdb(ecgmodels.recording(94)))
    answer = model.predict(str(path), {"age": "70"})
    said = answer.as_json()
    assert said["file"] == str(path) and (said["model"], said["prediction"], said["refused"]) == ("beats", "N", None)
    assert (said["state"], said["why"]["code"], said["flagged"]) == ("flagged", "beats", ["V"])
    assert [i["name"] for i in said["inputs"]] == ["age"]
    assert set(said["ecg"]) >= {"heart_rate", "rhythm", "r_peaks", "counts", "beats", "leads", "notes"}
    assert set(answer.timings) == {"decode", "network"} and answer.timings["decode"] > 0
    json.dumps(said, allow_nan=False)


def test_one_file_answers_as_the_parts_do(tmp_path: Path) -> None:
    signal = ecgmodels.standard(95, blocked=True)
    model = ecgmodels.twelve_model()
    write_onnx(model, tmp_path / "m.onnx")
    ours, whole = (EcgPredictor(m).predict(signal, heatmap=True) for m in (model, load(tmp_path / "m.onnx")))
    assert whole.probabilities == pytest.approx(dict(ours.probabilities), abs=1e-5)
    assert ours.heatmap is not None and whole.heatmap is not None
    np.testing.assert_allclose(ours.heatmap, whole.heatmap, atol=1e-4)


def test_foreign_ecgs_are_refused() -> None:
    answer = EcgPredictor(ecgmodels.beats_model()).predict(ecgmodels.crackle(("MLII", "V1"), 1))
    assert answer.refused is not None and "unlike" in answer.refused.reason and answer.prediction == ""


def test_what_cannot_be_asked_is_said() -> None:
    predictor = EcgPredictor(ecgmodels.beats_model())
    signal = ecgmodels.recording(96)
    with pytest.raises(SignalError, match="sampling rate"):
        predictor.predict({"x.csv": ecgsaved.csv(signal, rate=False)})
    assert predictor.predict({"x.csv": ecgsaved.csv(signal, rate=False)}, rate=360).flagged == ("V",)
    with pytest.raises(SignalError, match="array"):
        ecgmodels.beats_model().predict(signal.samples)
    with pytest.raises(MedloupeError, match="measured from the ECG"):
        predictor.predict(signal, {"rr_previous_ratio": "2"})
    with pytest.raises(MedloupeError, match="takes: age"):
        predictor.predict(signal, {"agee": "2"})


def test_each_kind_of_model_has_its_predictor(trained: object) -> None:
    from medloupe.store.models import Store

    spots = Store.open().get("spots", report=False)
    assert isinstance(predictor(spots), Predictor)
    assert isinstance(predictor(ecgmodels.twelve_model()), EcgPredictor)
    with pytest.raises(NotAnImageError, match="looks at pictures"):
        spots.predict(ecgmodels.recording(1))


def test_an_ecg_chooses_by_its_leads() -> None:
    auto = AutoEcgPredictor([ecgmodels.beats_model(), ecgmodels.twelve_model()])
    assert auto.predict({"a.csv": ecgsaved.csv(ecgmodels.standard(1))}).model == "leads"
    assert auto.predict(ecgsaved.wfdb(ecgmodels.recording(1))).model == "beats"


def test_of_several_the_least_foreign_answers() -> None:
    other = ecgmodels.beats_model()
    assert other.novelty is not None
    stranger = replace(
        other, card={**other.card, "name": "stranger"}, novelty=replace(other.novelty, limit=other.novelty.limit / 2)
    )
    auto = AutoEcgPredictor([stranger, other])
    assert auto.predict(ecgsaved.wfdb(ecgmodels.recording(2))).model == "beats"


def test_which_files_of_a_folder_are_ecgs(folder: Path) -> None:
    def names(*, pictures: bool, ecgs: bool) -> list[str]:
        return sorted(p.name for p in list_folder(folder, [*["image"] * pictures, *["ecg"] * ecgs]))

    assert names(pictures=False, ecgs=True) == ["first.hea", "second.csv"]
    assert names(pictures=True, ecgs=False) == ["scan.png"]
    assert names(pictures=True, ecgs=True) == ["first.hea", "scan.png", "second.csv"]
    ecgs = {p.name: recognise_file(p) is ECGS for p in folder.iterdir()}
    assert ecgs == {"first.hea": True, "first.dat": True, "second.csv": True, "table.csv": True, "scan.png": False}
    assert recognise_file(folder / "nothing.png") is PICTURES and recognise_file(folder / "first") is ECGS
    assert [p.name for p in merge_ecg_parts(sorted(folder.glob("first*")))] == ["first.hea"]


# ---------------------------------------------------------------- command line


def run(home: Path, *arguments: object) -> tuple[int, str, str]:
    done = CliRunner(env={"MEDLOUPE_HOME": str(home)}).invoke(app, ["predict", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr + (str(done.exception) if done.exit_code else "")


def test_predict_on_the_command_line(ecg_home: Path, folder: Path) -> None:
    code, out, err = run(ecg_home, "beats", folder, "--with", "age=70")
    advice = "Research software, not a medical device. Decisions about a patient need a qualified person."
    assert (code, err) == (0, f"{advice}\n")
    for name in ("first.hea", "second.csv"):
        assert re.search(rf"{name}: flagged: V \d+\.\d%; most probable is N \d+\.\d%\. \d+ of \d+ beats are V\.", out)
    assert "scan.png" not in out and "table" not in out
    assert "beats a minute, " in out and " beats: N " in out and "age 70 years" in out
    code, out, _ = run(ecg_home, "beats", folder / "first.dat", "--json")
    assert code == 0 and json.loads(out)["ecg"]["counts"]["V"] > 0


def test_a_rate_is_told(ecg_home: Path, tmp_path: Path) -> None:
    path = ecgsaved.save(tmp_path, {"bare.csv": ecgsaved.csv(ecgmodels.recording(97), rate=False)})
    code, _, err = run(ecg_home, "beats", path)
    assert code == 1 and "sampling rate" in err
    code, out, _ = run(ecg_home, "beats", path, "--rate", "360")
    assert code == 0 and re.search(r"bare\.csv: flagged: V .*; most probable is N ", out)
    code, _, err = run(ecg_home, "imagenet", path, "--rate", "360")
    assert code == 2 and "pictures" in err


def test_a_gain_is_told(ecg_home: Path, tmp_path: Path) -> None:
    signal = ecgmodels.recording(97)
    rows = "\n".join(",".join(map(str, row)) for row in np.rint(signal.samples.T * 200).astype(int).tolist())
    path = ecgsaved.save(tmp_path, {"counts.csv": f"# fs=360\n{','.join(signal.leads)}\n{rows}\n".encode()})
    code, _, err = run(ecg_home, "beats", path)
    assert code == 1 and "tells no unit" in err and "--gain" in err
    for model in ("beats", "auto"):
        code, out, _ = run(ecg_home, model, path, "--gain", "200")
        assert code == 0 and re.search(r"counts\.csv: .*flagged: V .*; most probable is N ", out), model
    code, _, err = run(ecg_home, "imagenet", path, "--gain", "200")
    assert code == 2 and "pictures" in err


def test_auto_on_the_command_line(ecg_home: Path, folder: Path) -> None:
    ecgsaved.save(folder, {"whole.npz": ecgsaved.npz(ecgmodels.standard(98))})
    code, out, err = run(ecg_home, "auto", *(folder / name for name in ("first.hea", "second.csv", "whole.npz")))
    assert code == 0, err
    assert out.count("by beats@1") == 2 and out.count("by leads@1") == 1
    code, _, err = run(ecg_home, "auto", folder)
    assert code != 0 and "can be chosen by an image" in err, "there is a picture, and no model for it"


def test_no_ecgs_and_no_models(ecg_home: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run(ecg_home, "beats", tmp_path / "empty")
    assert code == 1 and "There are no ECGs" in err
    with pytest.raises(StoreError, match="reads ECGs"):
        list_models("ecg")


def test_a_picture_among_ecgs_is_told_and_the_rest_answered(ecg_home: Path, folder: Path) -> None:
    code, out, err = run(ecg_home, "beats", folder / "scan.png", folder / "first.hea")
    assert code == 1 and "is a picture (PNG)" in err
    assert re.search(r"first\.hea: flagged: V .*; most probable is N ", out)
