"""The readers of ECG sets: cut beats, whole ECGs, folders and tables of files, annotated records; and the real sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgmaker import LEFT_BLOCK, Beat, ecg, even, with_ectopics
from ecgwriters import dicom_waveform, edf, npz, text, wfdb_record
from medloupe.data.reading import read
from medloupe.data.records import Dataset, Record
from medloupe.ecg.beats import RHYTHM, cut_beats, rhythm_features
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.errors import DataError
from readers_cases import beats_arrays, picture, twelve_arrays, write


def saved(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(npz(**arrays))
    return path


def signal_of(record: Record) -> Signal:
    assert isinstance(record.signal, Signal)
    return record.signal


def said(data: Dataset) -> str:
    return " ".join(data.notes)


# Cut beats


@pytest.fixture
def beats(tmp_path: Path) -> Dataset:
    return read(saved(tmp_path / "beats.npz", beats_arrays()))


def test_beats(beats: Dataset):
    assert (beats.reader, beats.task, beats.modality, beats.clinical) == ("ecg_beats", "multiclass", "ecg", RHYTHM)
    assert beats.labels == ("N", "S", "V")
    assert beats.counts() == {"N": 18, "S": 3, "V": 12}
    assert beats.splits == {"train": 22, "test": 11}
    assert "4 beats of class Q are left out" in said(beats)
    assert "11 more beats are left out" in said(beats)
    assert said(beats).endswith("103.")


def test_no_patient_is_on_both_sides(beats: Dataset):
    sides = {split: {r.patient for r in beats.records if r.split == split} for split in ("train", "test")}
    assert sides["train"] == {"100", "102"}
    assert sides["test"] == {"101"}


def test_a_beat_stands_beside_the_usual_one(beats: Dataset):
    arrays = beats_arrays()
    early = next(r for r in beats.records if r.labels == {"V": 1})
    row = int(np.flatnonzero((arrays["record_id"] == 100) & (arrays["sample"] == int(early.id.split("/")[1])))[0])
    signal = signal_of(early)
    assert (signal.rate, signal.leads) == (360, ("beat", "typical"))
    np.testing.assert_allclose(signal.samples[0], arrays["X"][row] / 200, atol=1e-6)
    same = [signal_of(r) for r in beats.records if r.columns["record"] == "100"]
    assert all((s.samples[1] == signal.samples[1]).all() for s in same)
    usual = next(signal_of(r) for r in beats.records if r.columns["record"] == "100" and r.labels == {"N": 1})
    assert np.corrcoef(usual.samples[0], usual.samples[1])[0, 1] > 0.98
    assert np.corrcoef(signal.samples[0], signal.samples[1])[0, 1] < 0.9


def test_beats_share_their_recordings_memory(beats: Dataset):
    first, second = (signal_of(r).samples for r in beats.records[:2])
    assert first.base is not None
    assert first.base is second.base


def test_rhythm_columns_are_those_of_the_recording(beats: Dataset):
    arrays = beats_arrays()
    at = arrays["sample"][arrays["record_id"] == 102]
    table = {f"102/{place:06d}": row for place, row in zip(at, rhythm_features(at, 360), strict=True)}
    checked = [r for r in beats.records if r.columns["record"] == "102"]
    assert len(checked) == 11
    for record in checked:
        for name, value in zip(RHYTHM, table[record.id], strict=True):
            if np.isnan(value):
                assert name not in record.columns
            else:
                assert float(record.columns[name]) == pytest.approx(value, rel=1e-3, abs=1e-3)


def test_columns_of_a_person(beats: Dataset):
    by_record = {r.columns["record"]: r.columns for r in beats.records}
    assert "age" not in by_record["100"]
    assert by_record["101"]["age"] == "61"
    assert [by_record[k]["sex"] for k in ("100", "101")] == ["male", "female"]
    assert by_record["101"]["lead"] == "MLII"
    assert "symbol" not in by_record["101"]


def test_beats_without_a_split_or_rhythm(tmp_path: Path):
    arrays = beats_arrays()
    for name in ("ds_split", "rr_pre", "rr_post", "subject_id", "record_id", "sample", "lead", "age", "sex"):
        del arrays[name]
    data = read(saved(tmp_path / "b.npz", arrays))
    assert data.splits == {"": 44}
    assert data.clinical == ()
    assert data.records[0].patient is None
    assert data.records[0].id == "0/000000"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"y": np.zeros(3, np.int8)}, "y is int8"),
        ({"X": np.zeros((48, 3, 3))}, "X is float64"),
        ({"class_names": np.array(["N"])}, "goes up to 4"),
        ({"fs": np.array([1, 2])}, "fs is"),
        ({"rr_pre": np.zeros(3)}, "rr_pre has shape"),
        ({"adu_per_mv": np.asarray(0)}, "adu_per_mv is"),
        ({"X": np.array([[{}]], object)}, "pickled"),
    ],
)
def test_beats_that_cannot_be_read(change: dict, match: str, tmp_path: Path):
    path = tmp_path / "b.npz"
    np.savez(path, allow_pickle=True, **(beats_arrays() | change))
    with pytest.raises(DataError, match=match):
        read(path)


def test_options_have_nothing_to_name_in_an_npz(tmp_path: Path):
    path = saved(tmp_path / "b.npz", beats_arrays())
    with pytest.raises(DataError, match="--labels"):
        read(path, labels="x")
    saved(tmp_path / "c.npz", beats_arrays())
    with pytest.raises(DataError, match=r"several data sets: b\.npz, c\.npz"):
        read(tmp_path)


# Whole ECGs


@pytest.fixture
def twelve(tmp_path: Path) -> Dataset:
    return read(saved(tmp_path / "ecgs.npz", twelve_arrays()))


def test_whole_ecgs(twelve: Dataset):
    assert (twelve.reader, twelve.task, twelve.modality) == ("ecg_12lead", "multilabel", "ecg")
    assert twelve.labels == ("NORM", "CD")
    assert twelve.counts() == {"NORM": 8, "CD": 8}
    assert not np.isnan(twelve.targets).any()
    assert (twelve.targets.sum(axis=1) == 0).sum() == 4
    assert twelve.splits == {"train": 16, "test": 4}
    assert "PTB-XL itself recommends 10 for testing" in said(twelve)
    assert "4 ECGs carry none of the labels" in said(twelve)
    first = twelve.records[0]
    assert (first.id, first.patient, first.columns) == ("00001", "9000", {"ecg_id": "1", "age": "40", "sex": "male"})
    assert "age" not in twelve.records[3].columns
    signal = signal_of(first)
    assert (signal.leads, signal.rate, signal.samples.shape) == (TWELVE, 100, (12, 400))
    np.testing.assert_allclose(signal.samples, twelve_arrays()["X"][0].T / 1000, atol=1e-6)


@pytest.mark.parametrize("change", ["leads first", "one label", "floats in mV", "no folds"])
def test_other_shapes_of_whole_ecgs(change: str, tmp_path: Path):
    arrays = twelve_arrays()
    if change == "leads first":
        arrays["X"] = arrays["X"].transpose(0, 2, 1)
    if change == "one label":
        arrays["y"] = np.where(arrays["y"].any(axis=1), arrays["y"].argmax(axis=1), -1)
    if change == "floats in mV":
        arrays["X"] = arrays["X"] / 1000
        del arrays["units_per_mv"]
    if change == "no folds":
        del arrays["strat_fold"]
    data = read(saved(tmp_path / "e.npz", arrays))
    assert data.task == ("multiclass" if change == "one label" else "multilabel")
    assert data.counts() == {"NORM": 8, "CD": 8}
    assert bool(data.splits[""]) == (change == "no folds")
    np.testing.assert_allclose(signal_of(data.records[0]).samples, twelve_arrays()["X"][0].T / 1000, atol=1e-6)


def test_a_label_nobody_carries_is_left_out(tmp_path: Path):
    arrays = twelve_arrays()
    arrays["y"] = np.pad(arrays["y"], ((0, 0), (0, 1)))
    arrays["class_names"] = np.array(["NORM", "CD", "HYP"])
    data = read(saved(tmp_path / "e.npz", arrays))
    assert data.labels == ("NORM", "CD")
    assert "No ECG carries HYP" in said(data)
    assert data.targets.shape == (20, 2)


def test_what_lies_beside_an_npz(tmp_path: Path):
    saved(tmp_path / "e.npz", twelve_arrays())
    write(tmp_path / "records.csv", "ecg_id,report\n1,normal\n")
    wfdb_record(ecg(even(3), 3, 100), tmp_path / "wfdb")
    picture(tmp_path / "plot.png")
    data = read(tmp_path)
    assert data.reader == "ecg_12lead"
    assert data.skipped["a table that is not used"] == ("records.csv",)
    assert data.skipped["another ECG file, not read"] == ("wfdb/r1.dat", "wfdb/r1.hea")
    assert data.skipped["not an ECG"] == ("plot.png",)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lead_names": np.array(["I"])}, "1 lead_names for 12"),
        ({"y": np.full((20, 2), 3)}, "other values than 1, 0"),
        ({"class_names": np.array(["A", "A"])}, "name of its own"),
        ({"y": np.zeros((20, 2), np.int8)}, "no label in any"),
        ({"fs": np.asarray(0)}, "fs is"),
    ],
)
def test_whole_ecgs_that_cannot_be_read(change: dict, match: str, tmp_path: Path):
    with pytest.raises(DataError, match=match):
        read(saved(tmp_path / "e.npz", twelve_arrays() | change))


# Files


def made(k: int, block: bool, leads: tuple[str, ...] = ("I", "II", "V1")) -> Signal:
    beats = even(4, 60 + 3 * k, seed=k)
    return ecg([Beat(b.at, LEFT_BLOCK) for b in beats] if block else beats, 4, 250, leads, noise=0.01, seed=k)


def of_every_format(folder: Path, block: bool) -> list[str]:
    """One ECG in each format, in a folder; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    wfdb_record(made(0, block), folder, "w")
    signal = made(1, block)
    for name, data in {
        "c.csv": text(signal, before="# fs=250\n"),
        "d.dcm": dicom_waveform(signal),
        "e.edf": edf(signal),
        "n.npz": npz(signal=signal.samples, fs=250, lead_names=signal.leads),
        "t.txt": text(signal, before="# fs=250\n", separator="\t"),
    }.items():
        (folder / name).write_bytes(data)
    return ["c.csv", "d.dcm", "e.edf", "n.npz", "t.txt", "w.hea"]


def test_a_folder_for_each_class_in_every_format(tmp_path: Path):
    for split in ("train", "test"):
        for label in ("block", "normal"):
            names = of_every_format(tmp_path / split / label, label == "block")
    data = read(tmp_path)
    assert (data.reader, data.task, data.modality, data.labels) == (
        "ecg_files",
        "multiclass",
        "ecg",
        ("block", "normal"),
    )
    assert data.splits == {"train": 12, "test": 12}
    assert [r.id for r in data.records[:6]] == [f"test/block/{name}" for name in names]
    assert not data.skipped
    for record in data.records:
        assert isinstance(record.signal, Path)
        assert read_ecg(record.signal).leads == ("I", "II", "V1")


@pytest.mark.parametrize("named", ["w{}.hea", "w{}", "ecgs/w{}.hea", "elsewhere/w{}"])
def test_a_table_names_the_files(named: str, tmp_path: Path):
    rows = ["filename,rhythm_ok,diagnosis,patient_id,age"]
    for k in range(4):
        wfdb_record(made(k, bool(k % 2)), tmp_path / "ecgs", f"w{k}")
        rows.append(f"{named.format(k)},1,{('normal', 'block')[k % 2]},p{k // 2},{50 + k}")
    write(tmp_path / "labels.csv", "\n".join(rows))
    data = read(tmp_path)
    assert (data.reader, data.modality) == ("ecg_files", "ecg")
    assert data.counts() == {"block": 2, "normal": 2}
    assert [r.patient for r in data.records] == ["p0", "p0", "p1", "p1"]
    assert data.records[0].columns["age"] == "50"
    assert data.records[0].signal == tmp_path / "ecgs" / "w0.hea"
    assert "The ECGs are those that labels.csv names." in data.notes
    assert read(tmp_path / "labels.csv").counts() == data.counts()


def test_annotated_records_are_read_as_beats(tmp_path: Path):
    beats = with_ectopics(even(30, 72), every=4)
    at = [round(beat.at * 360) for beat in beats]
    symbols = ["V" if k % 4 == 3 else "NA/"[k % 3] if k < 3 else "N" for k in range(len(at))]
    signal = ecg(beats, 30, 360, ("V1", "MLII"), noise=0.01)
    for name in ("100", "101"):
        path = wfdb_record(signal, tmp_path, name, beats=dict(zip([18, *at], ["+", *symbols], strict=True)))
        path.write_text(path.read_text() + "# 69 M 1085 1629 x1\n")
    wfdb_record(signal, tmp_path, "102")
    data = read(tmp_path)
    assert (data.reader, data.task, data.clinical, data.labels) == ("ecg_files", "multiclass", RHYTHM, ("N", "S", "V"))
    assert len(data) == 2 * (len(at) - 1)
    assert "2 beats of class Q" in said(data)
    assert data.skipped["without annotations"] == ("102.hea",)
    assert {r.patient for r in data.records} == {"100", "101"}
    early = next(r for r in data.records if r.labels == {"V": 1})
    assert early.id == f"100/{at[3]:07d}"
    assert (early.columns["lead"], early.columns["age"], early.columns["sex"]) == ("MLII", "69", "male")
    assert float(early.columns["rr_previous_ratio"]) == pytest.approx(
        rhythm_features(np.array(at), 360)[3, 0], rel=1e-3
    )
    held = signal_of(early)
    assert (held.leads, held.samples.shape) == (("beat", "typical"), (2, 256))
    (wanted,) = cut_beats(ecg(beats, 30, 360, ("MLII",)), np.array(at[3:4]), 0.25, 166 / 360, 360)
    assert np.corrcoef(held.samples[0], wanted[0])[0, 1] > 0.98


def test_records_without_labels_say_so(tmp_path: Path):
    wfdb_record(made(0, False), tmp_path)
    with pytest.raises(DataError, match=r"1 ECG files \(r1\.hea\), but nothing says what they show"):
        read(tmp_path)


def test_pictures_are_left_to_the_readers_of_pictures(tmp_path: Path):
    for label in ("a", "b"):
        picture(tmp_path / label / f"{label}.png")
        wfdb_record(made(0, False), tmp_path / label)
    data = read(tmp_path)
    assert (data.reader, data.modality, len(data)) == ("folders", "image", 2)


# The real sets


@pytest.mark.realdata
def test_real_beats(real_sets: Path):
    data = read(real_sets / "ecg_beats")
    assert data.reader == "ecg_beats"
    assert data.labels == ("N", "S", "V", "F")
    assert "8,038 beats of class Q" in said(data)
    assert len(data) == sum(data.counts().values()) == data.splits["train"] + data.splits["test"]
    patients = {split: {r.patient for r in data.records if r.split == split} for split in ("train", "test")}
    # Records 201 and 202 are one person's, and the published split has them on both sides; the audit tells.
    assert len(patients["train"] & patients["test"]) == 1
    assert data.origin["licence"]
    assert {"102", "104", "107", "217"}.isdisjoint({r.columns["record"] for r in data.records})
    again = {r.id: r for r in data.records if r.columns["record"] == "100"}
    annotated = read(real_sets / "ecg_beats" / "wfdb")
    matched = [(r, again[key]) for r in annotated.records if (key := f"100/{r.id.split('/')[1][1:]}") in again][:300]
    assert len(matched) == 300
    for record, stored in matched:
        assert record.labels == stored.labels
        assert record.columns["sex"] == stored.columns["sex"] == "male"


@pytest.mark.realdata
def test_real_ecgs(real_sets: Path):
    data = read(real_sets / "ecg_12lead")
    assert (data.reader, data.task, len(data)) == ("ecg_12lead", "multilabel", 398)
    assert data.labels == ("NORM", "MI", "STTC", "CD", "HYP")
    assert data.counts() == {"NORM": 239, "MI": 55, "STTC": 77, "CD": 59, "HYP": 31}
    assert data.splits == {"train": 286, "test": 112}
    assert len({r.patient for r in data.records}) == 372
    first = next(r for r in data.records if r.id == "00001")
    recording = read_ecg(real_sets / "ecg_12lead" / "wfdb" / "00001_lr.hea")
    assert recording.leads == signal_of(first).leads == TWELVE
    np.testing.assert_allclose(recording.samples, signal_of(first).samples, atol=1e-4)
    by_table = read(
        real_sets / "ecg_12lead" / "wfdb", table=real_sets / "ecg_12lead" / "records.csv", labels="superclasses"
    )
    assert len(by_table) == 12


@pytest.mark.parametrize("before", [60, 90, 120])
def test_r_peaks_stand_where_backbones_expect_them(before: int, tmp_path: Path):
    """However many samples before them were cut out."""
    arrays = beats_arrays()
    moved = {**arrays, "X": np.roll(arrays["X"], before - 90, axis=1), "pre_samples": np.asarray(before)}
    data = read(saved(tmp_path / "moved" / "b.npz", moved).parent)
    plain = read(saved(tmp_path / "plain" / "b.npz", arrays).parent)
    inside = slice(45, 200)
    for one, other in zip(data.records, plain.records, strict=True):
        np.testing.assert_array_equal(signal_of(one).samples[0, inside], signal_of(other).samples[0, inside])
