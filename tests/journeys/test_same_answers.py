"""The shipped check-ups answer generated pictures and ECGs, and trainings end, as tests/golden/answers.json says.

Bit for bit where the file has an entry of this kind of processor and these libraries, elsewhere within a tolerance
(pinned.py). Answers that are meant to change, and those of another kind of processor, are kept by

    python tests/journeys/test_same_answers.py --write

Without --write it compares, as the tests do.

Only what is promised to others is used (the command line, `medloupe.read`, `train`, `load`, the store and the ONNX
file), so that the test holds wherever the modules lie.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for when it is run alone
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

import fixed_ecgs
import fixed_pictures
import medloupe
import pinned
from medloupe.store import Store

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "answers.json"
HEATMAPS = ("brain.png", "parasite.bmp", "chest.dcm", "turned.jpg")
HEATMAPS_ECG = ("long.hea", "block.npz")
FITTED = ("gradient.png", "brain.png", "parasite.bmp", "chest.png")  # plain 8-bit pictures, fitted as README says
FIGURES = ("metrics", "per_label", "calibration", "confusion", "head", "novelty", "audit", "inputs")
THREADS = "2"


def cli(*arguments: object) -> str:
    """What `python -m medloupe` with these arguments prints on stdout, run in this process."""
    out, before = io.StringIO(), sys.argv
    sys.argv = ["medloupe", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_module("medloupe", run_name="__main__", alter_sys=True)
    except SystemExit as e:
        broken = e.code == 1 and arguments[0] == "predict"  # one of the files; its line says why
        assert e.code in (0, None) or broken, f"medloupe {' '.join(map(str, arguments))} ended with {e.code}"
    finally:
        sys.argv = before
    return out.getvalue()


def lines(*arguments: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli(*arguments, "--json").splitlines()]


def asked(model: str, *arguments: object) -> dict[str, Any]:
    """What `medloupe predict` says, by file. Beats are many: of them the digest."""
    said = {}
    for line in lines("predict", model, *arguments):
        if (ecg := line.get("ecg")) and "beats" in ecg:
            ecg["beats"] = hashlib.sha256(json.dumps(ecg["beats"]).encode()).hexdigest()[:16]
        name = Path(line.pop("file")).name
        said[name] = pinned.exact(line)
    return said


def fitted(path: Path, size: int) -> np.ndarray:
    """uint8 (1, size, size, 3), as README.md tells those who run the file without medloupe."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    w, h = (max(1, round(side * size / max(image.size))) for side in image.size)
    out = Image.new("RGB", (size, size))
    out.paste(image.resize((w, h), Image.Resampling.BICUBIC), ((size - w) // 2, (size - h) // 2))
    return np.asarray(out)[None]


def outputs(onnx: Path, pictures: Path) -> dict[str, Any]:
    """What the file itself gives for fitted pictures, or for generated windows of an ECG."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    first, *others = session.get_inputs()
    if first.name == "signal":
        windows = fixed_pictures.noise(11, -400, 400, 2, *first.shape[1:]) / 1000
        fed = {"windows": windows.astype(np.float32)}
    else:
        fed = {name: fitted(pictures / name, first.shape[1]) for name in FITTED}
    wanted = ("probabilities", "logits", "embedding", "heatmap")
    said = {}
    for name, given in fed.items():
        unknown = {o.name: np.zeros((len(given), *o.shape[1:]), np.float32) for o in others}  # nothing is known beside
        made = session.run(list(wanted), {first.name: given, **unknown})
        said[name] = {what: fixed_pictures.digest([np.asarray(v)]) for what, v in zip(wanted, made, strict=True)}
        said[name]["embedding"] = pinned.fingerprint(np.asarray(made[2]))
    return said


def predicted(model: Any, files: list[Path]) -> dict[str, Any]:
    """What a Model says, with its heat maps."""
    said = {}
    for path in files:
        answer = model.predict(path, heatmap=True)
        said[path.name] = {
            "prediction": answer.prediction,
            "probabilities": pinned.exact(answer.probabilities),
            "refused": answer.refused and [answer.refused.reason, answer.refused.looks_like],
            "heatmap": None if answer.heatmap is None else pinned.fingerprint(answer.heatmap),
        }
    return said


def answers(folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """What all shipped check-ups, and `auto`, say of all files: on the command line and as one ONNX file each."""
    pictures, ecgs = Path("pictures"), Path("ecgs")
    drawn = {**fixed_pictures.pictures(pictures), **fixed_ecgs.ecgs(ecgs)}
    said: dict[str, Any] = {}
    shipped = [
        (line["name"], line["things"] != "images" or "ECG" in line["title"]) for line in lines("starters", "list")
    ]
    for name, of_ecgs in shipped:
        one = said[name] = {"asked": asked(name, ecgs if of_ecgs else pictures)}
        if of_ecgs:
            one["asked"] |= asked(name, ecgs / "untold.csv", "--rate", 250)
        for precision in ("fp32", "fp16") if name == "covid" else ("fp32",):
            onnx = folder / f"{name}-{precision}.onnx"
            cli("export", name, onnx, "--precision", precision, "--json")
            chosen = [ecgs / n for n in HEATMAPS_ECG] if of_ecgs else [pictures / n for n in HEATMAPS]
            one[precision] = {"outputs": outputs(onnx, pictures), "loaded": predicted(medloupe.load(onnx), chosen)}
    said["auto"] = {"asked": {**asked("auto", pictures), **asked("auto", ecgs)}}
    return drawn, said


def trainings(folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Small trainings, the figures on their cards, and what their models answer: from the store, and as one file."""
    labelled = fixed_pictures.labelled_pictures(folder / "labelled")
    table, ecgs = fixed_pictures.labelled_table(folder / "table"), fixed_ecgs.labelled_ecgs(folder / "ecgs")
    drawn = {f"{path.name}/": _of_files(path) for path in (labelled, table)}
    new = fixed_pictures.unlabelled_pictures(Path("new"))
    strips = sorted((Path("ecgs") / "block").iterdir())[:2]
    options = ("--patient", "patient", "--clinical", "age,sex", "--notes", "note", "--json")
    cli("train", table, "--name", "mixed", *options)
    medloupe.train(medloupe.read(labelled), name="pictures")
    medloupe.train(medloupe.read(ecgs), name="ecgs")
    store, said = Store(folder / "home"), {}
    for name, files in (("pictures", new), ("mixed", new), ("ecgs", strips)):
        model = store.get(name)
        cli("export", name, f"{name}.onnx", "--json")
        said[name] = {
            "card": {key: pinned.exact(model.card[key]) for key in FIGURES if key in model.card},
            "stored": predicted(model, files),
            "loaded": predicted(medloupe.load(f"{name}.onnx"), files),
        }
    known = {"age": "64", "sex": "f", "note": "fever and cough"}
    taken = [field["name"] for field in store.get("mixed").card["inputs"]["fields"]]  # what proved of use in training
    told = [word for name in taken for word in ("--with", f"{name}={known[name]}")]
    said["mixed"]["asked"] = asked("mixed", *new, *told)
    return drawn, said


def _of_files(folder: Path) -> str:
    """Digest of what the files hold, which here is the same everywhere: BMP and text."""
    return fixed_pictures.digest([np.frombuffer(p.read_bytes(), np.uint8) for p in sorted(folder.rglob("*.*"))])


PARTS: dict[str, Callable[[Path], tuple[dict[str, str], dict[str, Any]]]] = {"answers": answers, "trainings": trainings}


@contextlib.contextmanager
def environment(folder: Path) -> Iterator[None]:
    """All check-ups, a home of one's own, always as many threads, and messages that name files as they are in here."""
    told = {
        "MEDLOUPE_STARTERS": "all",
        "MEDLOUPE_HOME": str(folder / "home"),
        "MEDLOUPE_THREADS": THREADS,
    }
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        with contextlib.chdir(folder), threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def found(part: str, folder: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Digests of what was drawn for one part, and what is answered now."""
    with environment(folder):
        return PARTS[part](folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep what is answered now")
    told = parser.parse_args()
    drawn: dict[str, str] = {}
    said: dict[str, Any] = {}
    for part in PARTS:
        with tempfile.TemporaryDirectory() as folder:
            inputs, said[part] = found(part, Path(folder))
            drawn |= inputs
    if told.write:
        gone = pinned.write(GOLDEN, drawn, said)
        print(f"Kept for {pinned.kind()}.", *(f"Gone, as it says something else: {name}" for name in gone), sep="\n")
        return
    differ = []
    for part in PARTS:
        how, differs = pinned.compared(GOLDEN, part, said[part])
        print(f"{part}: {how}", *differs, sep="\n  ")
        differ += differs
    sys.exit(bool(differ))


def _hold(part: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn, said = found(part, folder)
    kept = pinned.read(GOLDEN)["drawn"]
    assert drawn == {name: kept.get(name) for name in drawn}, "other inputs were drawn: the answers cannot be compared"
    how, differ = pinned.compared(GOLDEN, part, said)
    with capsys.disabled():
        print(f"\n{part}: {how}")
    assert not differ, f"{len(differ)} differ, {how}:\n" + "\n".join(differ[:40])


def test_a_last_bit_is_seen_on_the_same_kind_of_machine_and_a_fifth_digit_on_others() -> None:
    kept = pinned.exact({"p": [0.75, 0.25], "said": "1.9 times the limit", "label": "a", "n": 3})
    assert not [*pinned.differences(kept, kept)]
    for change, tolerated in (
        ({"p": [float(np.nextafter(0.75, 1)), 0.25]}, True),
        ({"p": [0.75002, 0.25]}, False),
        ({"p": [0.75]}, False),
        ({"said": "2.0 times the limit"}, True),
        ({"said": "2.1 times the limit"}, False),
        ({"label": "b"}, False),
        ({"n": 4}, False),
        ({"more": 0}, False),
    ):
        found = {**kept, **pinned.exact(change)}
        assert [*pinned.differences(kept, found)], change
        assert bool([*pinned.differences(kept, found, pinned.TOLERANCES["answers"])]) != tolerated, change


@pytest.mark.slow
def test_shipped_check_ups_answer_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _hold("answers", tmp_path, capsys)


@pytest.mark.slow
def test_trainings_end_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _hold("trainings", tmp_path, capsys)


if __name__ == "__main__":
    main()
