"""ECGs are embedded once, known by their content, and never replaced where they cannot be read."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgmaker
import ecgwriters
import tinyecg
from medloupe.data.contents import digest_ecg
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.ecg.signal import Signal
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features, embed, fit_record
from medloupe.embed.network import Network
from medloupe.embed.registry import ECG_BEATS, backbone
from medloupe.errors import DataError, StoreError, UnreadableImageError

LEADS = tinyecg.LEADS


def signal(seed: int, seconds: float = 4, rate: float = 200) -> Signal:
    return ecgmaker.ecg(ecgmaker.even(seconds, 60 + 5 * seed, seed=seed), seconds, rate, LEADS, noise=0.01, seed=seed)


def dataset(records: list[Record], root: Path = Path("ecgs")) -> Dataset:
    return Dataset(
        name="ecgs",
        root=root,
        records=tuple(records),
        labels=("a", "b"),
        task="multiclass",
        reader="ecg_files",
        modality="ecg",
        things="ECGs",
    )


def of_signals(n: int = 6) -> Dataset:
    return dataset([Record(id=f"{i}", signal=signal(i), labels={"ab"[i % 2]: 1}) for i in range(n)])


@pytest.fixture
def small(tmp_path: Path) -> Backbone:
    return tinyecg.ecg_backbone(tmp_path)


def assert_same(a: Features, b: Features) -> None:
    np.testing.assert_array_equal(a.embeddings, b.embeddings)
    assert (a.digests, a.unreadable) == (b.digests, b.unreadable)
    assert [r.id for r in a.data.records] == [r.id for r in b.data.records]


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def caches(home: Path) -> list[Path]:
    return sorted((home / "cache" / "signals").glob("*.npz"))


def test_each_row_is_what_the_network_makes_of_its_window(home: Path, small: Backbone):
    data = of_signals()
    said: list[tuple[int, int]] = []
    found = embed(scan_dataset(data), small, lambda done, total: said.append((done, total)))
    assert found.embeddings.shape == (6, small.card.dimension)
    assert found.decoded == 6
    assert said == [(6, 6)]
    network = Network(small, threads=1)
    for record, row in zip(data.records, found.embeddings, strict=True):
        window = fit_record(record, small)
        assert window.shape == small.card.input_shape
        np.testing.assert_allclose(network.see(window[None]).embedding[0], row, atol=1e-5)


def test_nothing_is_embedded_a_second_time(home: Path, small: Backbone):
    first = embed(scan_dataset(of_signals()), small)
    (stored,) = caches(home)
    written = stored.stat().st_mtime_ns
    again = embed(scan_dataset(of_signals()), small)
    assert again.decoded == 0
    assert stored.stat().st_mtime_ns == written
    assert_same(first, again)
    other = embed(scan_dataset(of_signals(5)), small)
    assert other.decoded == 5
    np.testing.assert_allclose(other.embeddings, first.embeddings[:5], atol=1e-6)


def test_another_backbone_has_another_cache(home: Path, small: Backbone):
    embed(scan_dataset(of_signals()), small)
    assert embed(scan_dataset(of_signals()), replace(small, sha256="0" * 64)).decoded == 6
    assert len(caches(home)) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 and no more"),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: path.write_bytes(path.read_bytes()[:100] + bytes(20) + path.read_bytes()[120:]),
        lambda path: path.write_bytes(_npy()),
        lambda path: np.savez(path, embeddings=np.zeros((6, 2), np.float32), at=np.zeros(0), why=np.zeros(0, "U1")),
        lambda path: np.savez(path, embeddings=np.zeros((6, tinyecg.D), np.float32), at=[1], why=np.zeros(0, "U1")),
        lambda path: np.savez(path, allow_pickle=True, embeddings=np.array([{}]), at=[1], why=["x"]),
    ],
    ids=["empty", "start", "cut", "overwritten", "npy", "narrow", "uneven", "objects"],
)
def test_a_corrupt_cache_is_made_anew(spoil, home: Path, small: Backbone):
    first = embed(scan_dataset(of_signals()), small)
    (stored,) = caches(home)
    spoil(stored)
    again = embed(scan_dataset(of_signals()), small)
    assert again.decoded == 6
    assert_same(first, again)
    assert embed(scan_dataset(of_signals()), small).decoded == 0


def test_unreadable_ecgs_are_named_and_never_replaced(home: Path, tmp_path: Path, small: Backbone):
    good = ecgwriters.wfdb_record(signal(1), tmp_path / "files", "good")
    (tmp_path / "files" / "broken.hea").write_text("broken 2 200 800\n")
    flat = Signal(samples=np.zeros((2, 800), np.float32), rate=200, leads=LEADS)
    data = dataset(
        [
            Record(id="good", signal=good),
            Record(id="gone", signal=tmp_path / "files" / "gone.hea"),
            Record(id="broken", signal=tmp_path / "files" / "broken.hea"),
            Record(id="flat", signal=flat),
            Record(id="kept", signal=signal(2)),
            Record(id="picture", image=np.zeros((4, 4), np.uint8)),
        ]
    )
    found = embed(scan_dataset(data), small)
    assert [r.id for r in found.data.records] == ["good", "kept"]
    assert found.embeddings.shape == (2, small.card.dimension)
    assert found.embeddings.any(1).all()
    assert found.decoded == 2
    why = dict(found.unreadable)
    assert sorted(why) == ["broken", "flat", "gone", "picture"]
    assert "gone.hea cannot be read" in why["gone"]
    assert "flat" in why["flat"]
    assert "has no ECG" in why["picture"]
    again = embed(scan_dataset(data), small)  # that they cannot be read is kept, too
    assert again.decoded == 0
    assert_same(found, again)


def test_nothing_readable_at_all(home: Path, small: Backbone):
    flat = Signal(samples=np.zeros((2, 800), np.float32), rate=200, leads=LEADS)
    with pytest.raises(DataError, match=r"None of the 1 ECGs of ecgs can be read; the first, flat: .*flat") as error:
        embed(scan_dataset(dataset([Record(id="flat", signal=flat)])), small)
    assert "WFDB" in error.value.hint
    with pytest.raises(DataError, match=r"None of the 1 ECGs .*nowhere"):
        embed(scan_dataset(dataset([Record(id="x", signal=Path("nowhere.hea"))])), small)


def test_a_digest_tells_samples_rate_and_leads():
    one = signal(1)
    others = [
        replace(one, rate=201.0),
        replace(one, leads=("I", "II")),
        replace(one, samples=one.samples + np.float32(1e-6)),
        replace(one, samples=one.samples.astype(np.float64)),
        replace(one, samples=np.ascontiguousarray(one.samples.T), leads=("",) * one.samples.shape[1]),
    ]
    digests = {digest_ecg(Record(id="x", signal=s)) for s in (one, *others)}
    assert len(digests) == 6
    assert digest_ecg(Record(id="y", signal=replace(one, source="elsewhere"))) in digests
    strided = replace(one, samples=np.repeat(one.samples, 2, 1)[:, ::2])
    assert digest_ecg(Record(id="z", signal=strided)) == digest_ecg(Record(id="z", signal=one))


def test_a_digest_of_a_recording_is_of_all_its_files(tmp_path: Path):
    path = ecgwriters.wfdb_record(signal(1), tmp_path, "r1").rename(tmp_path / "r[1].hea")
    before = digest_ecg(Record(id="r", signal=path))
    renamed = tmp_path / "copy"
    renamed.mkdir()
    for part in tmp_path.glob("r*.*"):
        (renamed / part.name).write_bytes(part.read_bytes())
    assert digest_ecg(Record(id="r", signal=renamed / path.name)) == before
    (tmp_path / "r[1].txt").write_text("a note that is no part of it")
    assert digest_ecg(Record(id="r", signal=path)) == before
    samples = tmp_path / "r1.dat"
    samples.write_bytes(samples.read_bytes()[:-2] + b"\1\1")
    assert digest_ecg(Record(id="r", signal=path)) != before
    with pytest.raises(UnreadableImageError, match="r has no ECG"):
        digest_ecg(Record(id="r"))


def test_a_home_that_cannot_be_written(home: Path, small: Backbone):
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "signals").write_text("in the way")
    with pytest.raises(StoreError, match="signals cannot be written"):
        embed(scan_dataset(of_signals()), small)


def test_beats_by_the_shipped_backbone(home: Path):
    """Beats of one recording differ by their kind, not by the rate that they were stored at."""
    import ecgsets
    from medloupe.data.reading import read

    rows = []
    for rate in (250, 360):
        data = ecgsets.part(read(ecgsets.beats(home.parent / f"beats{rate}", recordings=1, rate=rate)), 30)
        found = embed(scan_dataset(data), backbone(ECG_BEATS))
        assert found.decoded == 30
        rows.append(found.embeddings)
    kinds = np.array(["V" in r.labels for r in data.records])
    between = np.linalg.norm(rows[0][kinds].mean(0) - rows[0][~kinds].mean(0))
    assert np.linalg.norm(rows[0] - rows[1], axis=1).mean() < 0.35 * between


def test_the_cache_is_a_plain_archive_of_numbers_and_texts(home: Path, small: Backbone):
    embed(scan_dataset(of_signals()), small)
    with zipfile.ZipFile(caches(home)[0]) as archive:
        assert sorted(archive.namelist()) == ["at.npy", "embeddings.npy", "why.npy"]
