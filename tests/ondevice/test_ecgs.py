"""ECGs in the browser against Python: the same recordings are read, refused and answered alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecgmaker
import ecgmodels
import ecgwriters
import medloupe
from medloupe.ecg.channels import reading_within
from medloupe.ecg.files import gather_files
from medloupe.ecg.parsers import HOUR
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.errors import SignalError
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.web.devicewords import app_words
from medloupe.starter.shipped import load_shipped
from pocket import MODULES, Browser, answering_ecgs

MOST = 1e-5  # that a probability may differ
LEAST_SAMPLE = 1e-5  # mV, that the cleaned signal may differ
SHIPPED = ("ecg12", "arrhythmia")


def models() -> dict[str, Model]:
    beats = ecgmodels.beats_model()
    return {**{name: load_shipped(name) for name in SHIPPED}, "beats": beats, "plain": replace(beats, extras=None)}


class Both:
    """Asks a model in Python and in the browser, and compares what they say."""

    def __init__(self, ask: Any, found: Mapping[str, Model]):
        self._ask = ask
        self._predictors = {name: medloupe.predictor(model) for name, model in found.items()}

    def told(self, name: str, files: Mapping[str, bytes], gain: float | None = None) -> Prediction | str:
        """What Python says; of what it refuses to read, the message."""
        try:
            with reading_within(HOUR):
                return self._predictors[name].predict(files, heatmap=True, gain=gain)
        except SignalError as error:
            return error.message

    def browser(self, name: str, files: Mapping[str, bytes], gain: float | None = None) -> Any:
        return self._ask(name, files, {"gain": gain})

    def same(self, name: str, files: Mapping[str, bytes], gain: float | None = None) -> Prediction:
        """Assert that both answer, and alike in everything; what they say."""
        said, found = self.told(name, files, gain), self.browser(name, files, gain)
        assert isinstance(said, Prediction), said
        assert "unreadable" not in found, found
        compare(found, said)
        return said

    def alike(self, name: str, files: Mapping[str, bytes]) -> None:
        """Assert that both answer alike, or that neither answers."""
        said, found = self.told(name, files), self.browser(name, files)
        assert isinstance(said, str) == ("unreadable" in found), (said, found.get("unreadable"))
        if isinstance(said, Prediction):
            compare(found, said)


def compare(found: Mapping[str, Any], said: Prediction) -> None:
    told, expected, reading, ecg = found["said"], said.said, said.ecg, found["ecg"]
    assert found["probabilities"] == pytest.approx(dict(said.probabilities), abs=MOST)
    assert (told["state"], told["why"]) == (expected.state, expected.why.code if expected.why else None)
    assert (told["prediction"], told["flagged"]) == (expected.prediction, list(expected.flagged))
    assert reading is not None
    assert ecg["leads"] == list(reading.signal.leads)
    assert ecg["peaks"] == pytest.approx(reading.peaks, abs=1e-9)
    samples = np.array([[np.nan if v is None else v for v in lead] for lead in ecg["samples"]])
    assert np.allclose(samples, reading.signal.samples, rtol=0, atol=LEAST_SAMPLE, equal_nan=True)
    rhythm = (
        " ".join(ecg["rhythm"] or ())
        .strip()
        .replace("_", " ")
        .replace("even s", "even, s")
        .replace("even f", "even, f")
    )
    assert rhythm == reading.regularity
    assert ecg["heartRate"] == pytest.approx(reading.heart_rate)
    assert ecg["notes"] == list(reading.notes)
    assert ecg["asLearned"] == reading.as_learned
    assert [b["label"] for b in ecg["beats"] or ()] == [b.label for b in reading.beats]
    assert [b["probability"] for b in ecg["beats"] or ()] == pytest.approx(
        [b.probability for b in reading.beats], abs=MOST
    )
    assert (ecg["attention"] is None) == (reading.attention is None)
    if reading.attention is not None:
        assert np.allclose(ecg["attention"], reading.attention, atol=1e-3)


@pytest.fixture(scope="module")
def both(chromium: Any, web_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    found = models()
    checkups = [replace(CheckUp.of(model), name=name) for name, model in found.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.mktemp("home")))
        with answering_ecgs(chromium, tmp_path_factory.mktemp("web"), checkups) as asking:
            yield Both(asking, found)


def wfdb(signal: Signal, folder: Path, form: str = "16", name: str = "r1") -> dict[str, bytes]:
    return gather_files(ecgwriters.wfdb_record(signal, folder, name, form))


# ------------------------------------------------------------------ real recordings


@pytest.mark.realdata
@pytest.mark.slow
def test_every_twelve_lead_record_is_answered_alike(both: Both, real_sets: Path) -> None:
    records = sorted((real_sets / "ecg_12lead" / "wfdb").glob("*.hea"))
    assert len(records) >= 10
    states = {both.same("ecg12", gather_files(path)).state for path in records}
    assert {"clear", "flagged"} <= states


@pytest.mark.realdata
@pytest.mark.slow
def test_half_hours_of_beats_are_answered_alike(both: Both, real_sets: Path) -> None:
    for path in sorted((real_sets / "ecg_beats" / "wfdb").glob("*.hea")):
        assert len(both.same("arrhythmia", gather_files(path)).ecg.beats) > 2000  # type: ignore[union-attr]


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("form", ["wfdb", "edf"])
def test_recordings_of_the_set_in_another_container(both: Both, real_sets: Path, tmp_path: Path, form: str) -> None:
    with np.load(real_sets / "ecg_12lead" / "ptbxl_100hz.npz") as stored:
        chosen = np.random.default_rng(0).choice(len(stored["X"]), 12, replace=False)
        for i in chosen:
            samples = (stored["X"][i].T / 1000).astype(np.float32)
            signal = Signal(samples=samples, rate=100.0, leads=TWELVE)
            files = wfdb(signal, tmp_path, name=f"r{i}") if form == "wfdb" else {"r.edf": ecgwriters.edf(signal)}
            both.same("ecg12", files)


# ------------------------------------------------------------------ made recordings, of every form


def stored(values: np.ndarray, form: str) -> bytes:
    """Counts as the bytes of a WFDB sample format."""
    if form == "8":
        return np.diff(values, prepend=0).clip(-128, 127).astype("i1").tobytes()
    if form in ("80", "160"):
        return (values + (128 if form == "80" else 32768)).astype("u1" if form == "80" else "<u2").tobytes()
    if form in ("16", "61", "32"):
        return values.astype({"16": "<i2", "61": ">i2", "32": "<i4"}[form]).tobytes()
    if form == "24":
        return values.astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
    bits, each = (12, 2) if form == "212" else (10, 3)
    v = np.pad(values, (0, -len(values) % each)).reshape(-1, each) & (2**bits - 1)
    if form == "212":
        parts = [v[:, 0], v[:, 0] >> 8 | v[:, 1] >> 8 << 4, v[:, 1]]
    elif form == "310":
        a, b, c = v[:, 0], v[:, 1], v[:, 2]
        parts = [(a & 127) << 1, a >> 7 | (c & 31) << 3, (b & 127) << 1, b >> 7 | c >> 5 << 3]
    else:
        whole = v[:, 0] | v[:, 1] << 10 | v[:, 2] << 20
        parts = [whole >> shift for shift in (0, 8, 16, 24)]
    return np.stack([part & 255 for part in parts], axis=1).astype("u1").tobytes()


@pytest.mark.parametrize("form", ["8", "16", "24", "32", "61", "80", "160", "212", "310", "311"])
def test_sample_formats(both: Both, form: str) -> None:
    gain = 40 if form in ("8", "80") else 100
    counts = np.round(gain * ecgmodels.recording(3, 12, 250, ("II",)).samples[0]).astype(int)
    head = f"r 1 250 {len(counts)}\nr.dat {form} {gain}(0)/mV 12 0 0 0 0 II\n"
    files = {"r.hea": head.encode(), "r.dat": stored(counts, form)}
    said = both.same("plain", files)
    assert said.ecg is not None
    assert np.ptp(said.ecg.signal.samples) > 1, "the counts are an ECG again"


@pytest.mark.parametrize("rate", [100, 128, 250, 257, 360, 500, 1000, 2000])
def test_rates(both: Both, tmp_path: Path, rate: int) -> None:
    both.same("ecg12", wfdb(ecgmodels.standard(5, rate=rate), tmp_path))
    both.alike("beats", wfdb(ecgmodels.recording(6, 12, rate), tmp_path))


@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("unit", ["uV", "mV"])
def test_edf(both: Both, bdf: bool, unit: str) -> None:
    both.same("ecg12", {"r.edf": ecgwriters.edf(ecgmodels.standard(7, True, rate=250), bdf=bdf, unit=unit)})


EDF_FIELDS = {"physical min": 104, "physical max": 112, "digital min": 120, "digital max": 128}  # bytes before


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"physical min": b"-3,5", "physical max": b"3,5"}, "elsewhere"),
        ({"physical min": b"0", "physical max": b"0"}, "elsewhere"),
        ({"digital min": b"7", "digital max": b"7"}, "elsewhere"),
        ({"digital min": b"-32768.0"}, "elsewhere"),
        ({"digital max": b"3.2767e4"}, "elsewhere"),
        ({"physical max": b"1e400"}, "elsewhere"),
        ({"physical min": b"-9e307", "physical max": b"1.7e308"}, "elsewhere"),
        ({"physical max": b"3500\xa0"}, "elsewhere"),
        ({"bytes": b"3842"}, "header"),
        ({"bytes": b"256"}, "header"),
        ({"bytes": b""}, "header"),
        ({"digital min": b" -32768", "digital max": b"+32767"}, ""),
    ],
)
def test_edf_without_a_scale_or_with_another_header_is_read_by_neither(
    both: Both, fields: Mapping[str, bytes], code: str
) -> None:
    data = bytearray(ecgwriters.edf(ecgmodels.standard(7, True, rate=250)))
    for name, text in fields.items():
        at = 184 if name == "bytes" else 256 + EDF_FIELDS[name] * int(data[252:256])
        data[at : at + 8] = text.ljust(8)
    files = {"r.edf": bytes(data)}
    if not code:
        both.same("ecg12", files)
        return
    assert isinstance(both.told("ecg12", files), str)
    assert both.browser("ecg12", files)["unreadable"] == f"ecg_{code}"


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_mains_hum_and_wander(both: Both, tmp_path: Path, mains: float) -> None:
    beats = ecgmaker.even(10, bpm=70, spread=0.05, seed=2)
    both.same("ecg12", wfdb(ecgmaker.ecg(beats, 10, 250, hum=0.08, mains=mains, wander=0.4, noise=0.02), tmp_path))


def test_short_ones_gaps_and_bad_leads(both: Both, tmp_path: Path) -> None:
    both.same("plain", wfdb(ecgmodels.recording(8, 1.5), tmp_path / "short"))
    gaps = ecgmodels.recording(9, 12)
    gaps.samples[:, 700:790] = np.nan
    both.same("beats", wfdb(gaps, tmp_path / "gaps"))
    flat = ecgmodels.standard(10, rate=250)
    flat.samples[7] = 0.01
    both.same("ecg12", wfdb(flat, tmp_path / "flat"))
    limbs = Signal(samples=flat.samples[[0, 2, *range(6, 12)]], rate=250.0, leads=("I", "III", *TWELVE[6:]))
    both.same("ecg12", wfdb(limbs, tmp_path / "limbs"))
    few = Signal(samples=flat.samples[:3], rate=250.0, leads=("I", "II", "V1"))
    assert both.same("ecg12", wfdb(few, tmp_path / "few")).state == "unusable"


def test_what_is_foreign_is_refused(both: Both, tmp_path: Path) -> None:
    wave = np.tile(np.sin(2 * np.pi * 1.2 * np.arange(2500) / 250), (12, 1))
    files = wfdb(Signal(samples=wave.astype(np.float32), rate=250.0, leads=TWELVE), tmp_path)
    for name in SHIPPED:
        assert both.same(name, files).state == "refused"


# ------------------------------------------------------------------ what is not read

DAT = np.round(1000 * ecgmodels.recording(1, 4, 360, ("II",)).samples[0]).astype("<i2").tobytes()


@pytest.mark.parametrize(
    ("head", "code"),
    [
        ("r 1 360 1000\n../r.dat 16\n", "header"),
        ("r/2 1 360 1000\na 500\nb 500\n", "segments"),
        ("r 1 360 99999999999\nr.dat 16\n", "long"),
        ("r 1 360 1200000000\nr.dat 16 200/mV 11 0 0 0 0 II\n", "long"),
        ("r 99 360 10\n", "channels"),
        ("r 0 360 10\n", "channels"),
        ("r 1 360 1200000\nr.dat 16 200/mV 11 0 0 0 0 II\n", "short"),
        ("r 1 360\nr.dat 516\n", "format"),
        ("r 1 360 10\nr.dat 16x64 200\n", "rate"),
        ("r 1 360 10\nr.dat 16x999 200\n", "header"),
        ("r 1 3.6 10\nr.dat 16\n", "rate"),
        ("r 1 nan 10\nr.dat 16\n", "header"),
        ("r 2 360 10\nr.dat 16\n", "header"),
        ("# nothing\n", "header"),
        ("r 1 360 10\n" + "# " + "x" * 70_000, "header"),
        ("r 1 360 10\ns.dat 16 200/mV 11 0 0 0 0 II\n", "partner"),
        ("r 1 360 10\nr.dat 16 200/mV 11 0 0 0 0 II\n", "brief"),
        ("r 1 360\nr.dat 16 200/mmHg 11 0 0 0 0 ABP\n", "none"),
        ("r 1 360\nr.dat 16 200/adu 11 0 0 0 0 II\n", "scale"),
        ("r 1 360\nr.dat 16 20000000/mV 11 0 0 0 0 II\n", "lead_flat"),
        ("r 1 360\nr.dat 16 1/mV 11 0 0 0 0 II\n", "lead_huge"),
        ("r 1 360\nr.dat 16 e5/mV 11 0 0 0 0 II\n", "header"),
        ("r 1 360\nr.dat 16 1e400/mV 11 0 0 0 0 II\n", "header"),
        ("r 1 360\nr.dat 16 1000/mV 11 0 0 0 0 II\n", ""),
    ],
)
def test_headers(both: Both, head: str, code: str) -> None:
    files = {"r.hea": head.encode(), "r.dat": DAT}
    if not code:
        both.same("plain", files)
        return
    assert isinstance(both.told("plain", files), str)
    assert both.browser("plain", files)["unreadable"] == f"ecg_{code}"


def test_leads_without_numbers_are_refused(both: Both) -> None:
    files = {"r.hea": b"r 1 360\nr.dat 16 200/mV 11 0 0 0 0 II\n", "r.dat": b"\x00\x80" * 4000}
    assert isinstance(both.told("plain", files), str)
    assert both.browser("plain", files)["unreadable"] == "ecg_lead_empty"


def test_noise_is_refused(both: Both, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, (2, 2500)).astype(np.float32)
    files = wfdb(Signal(samples=noise, rate=250, leads=("II", "V1")), tmp_path)
    said = both.told("plain", files)
    assert isinstance(said, str) and "stand out from the noise" in said
    assert both.browser("plain", files)["unreadable"] == "ecg_noise"


def test_a_file_that_is_too_large_is_not_even_read(modules: Browser) -> None:
    code = modules.page.evaluate(
        """async (origin) => {
      const {readFiles} = await import(`${origin}/ecg_files.js`);
      const never = () => { throw new Error("it was read"); };
      return readFiles([{name: "r.dat", size: 2e9, arrayBuffer: never}]).catch((e) => e.code ?? e.message);
    }""",
        modules.origin,
    )
    assert code == "ecg_large"


def test_a_gain_that_is_told_is_taken(both: Both) -> None:
    files = {"r.hea": b"r 1 360\nr.dat 16 1(0)/adu 11 0 0 0 0 II\n", "r.dat": DAT}
    assert isinstance(both.told("plain", files), str)
    both.same("plain", files, gain=1000)


def test_other_containers_are_left_to_the_server(both: Both) -> None:
    signal = ecgmodels.recording(2, 8)
    for name, data in {
        "r.csv": ecgwriters.text(signal, before="# fs=360\n"),
        "r.npz": ecgwriters.npz(signal=signal.samples, fs=signal.rate, lead_names=signal.leads),
        "r.dcm": ecgwriters.dicom_waveform(signal),
        "r.bin": b"\x00\x01" * 500,
    }.items():
        assert both.browser("plain", {name: data})["unreadable"] == "ecg_elsewhere", name
    assert both.browser("plain", {"r.dat": DAT})["unreadable"] == "ecg_partner"
    assert both.browser("plain", {"r.hea": b"", "r.dat": DAT})["unreadable"] == "ecg_empty"
    assert both.browser("plain", {"r.png": b"\x89PNG\r\n\x1a\n" + bytes(80)})["unreadable"] == "ecg_picture"


def test_damaged_files_are_never_read_otherwise(both: Both, tmp_path: Path) -> None:
    dice, made = np.random.default_rng(3), ecgmodels.recording(4, 6, 250)
    whole = {"edf": {"r.edf": ecgwriters.edf(made)}, "wfdb": wfdb(made, tmp_path)}
    refused = 0
    for i in range(40):
        files = dict(whole["edf" if i % 2 else "wfdb"])
        name = next(iter(files))
        data = bytearray(files[name])
        at = int(dice.integers(0, min(len(data), 2000)))
        if i % 3:
            data[at] = int(dice.integers(32, 127))
        else:
            del data[at:]
        files[name] = bytes(data)
        said, found = both.told("plain", files), both.browser("plain", files)
        if "unreadable" in found:
            refused += 1
        else:
            assert isinstance(said, Prediction), (name, at, said)
            compare(found, said)
    assert 0 < refused < 40


def test_every_code_has_words() -> None:
    text = "".join(path.read_text("utf-8") for path in MODULES.glob("ecg_*.js"))
    codes = set(re.findall(r'Unreadable\("(ecg_\w+)"', text))
    codes |= {f"ecg_lead_{code}" for code in re.findall(r'code: "(\w+)"', text)}
    assert len(codes) > 20
    for words in app_words().values():
        assert {f"pocket.unreadable_{code}" for code in codes} <= set(words)
        told = {key for key in words if key.startswith("pocket.unreadable_ecg_")}
        assert told == {f"pocket.unreadable_{code}" for code in codes}
