"""ECGs in the studio: every format that is read, one file each, drawn small, audited, trained, tried and published."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest

import ecgwriters
from live import Live, running
from medloupe.ecg.files import read_ecg
from medloupe.ecg.packing import name_packed, pack_signal
from medloupe.ecg.signal import Signal
from medloupe.errors import StoreError
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.studio.export import write_export
from medloupe.studio.importer import import_archive
from medloupe.studio.recordings import draw_thumb
from studio_client import audited, new, send, send_in_chunks, settled, trained
from studio_ecgs import ROLES, recording, wfdb_files


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with running(tmp_path_factory.mktemp("ecgs") / "home") as server:
        yield server


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    with live.client() as opened:
        yield opened


def test_a_packed_signal_is_the_same_signal(tmp_path: Path) -> None:
    signal = recording("sinus", 1)
    packed = pack_signal(signal)
    assert packed == pack_signal(signal)
    path = tmp_path / "x.npz"
    path.write_bytes(packed)
    again = read_ecg(path)
    assert np.array_equal(again.samples, signal.samples) and (again.rate, again.leads) == (signal.rate, signal.leads)
    assert (name_packed("a/r1.hea"), name_packed("r.npz")) == ("a/r1.hea.npz", "r.npz")


def test_what_was_not_recorded_is_not_drawn() -> None:
    signal = recording("sinus", 1)
    holes = signal.samples.copy()
    holes[1] = np.nan
    for samples in (signal.samples, holes, np.full_like(holes, np.nan)):
        assert draw_thumb(Signal(samples=samples, rate=250, leads=signal.leads), 96).startswith(b"\xff\xd8")


def test_each_format_is_taken_in(client: httpx.Client, tmp_path: Path) -> None:
    signal = recording("sinus", 2)
    files = {
        "a.csv": ecgwriters.text(signal, time=1.0),
        "b.edf": ecgwriters.edf(signal),
        "c.dcm": ecgwriters.dicom_waveform(signal),
        "d.npz": ecgwriters.npz(signal=signal.samples, fs=signal.rate, lead_names=np.array(signal.leads), units="mV"),
    }
    id = new(client, "Formats", ROLES, task="ecg")
    for name, data in files.items():
        sent = send(client, id, name, data, "sinus")
        assert sent.status_code == 201 and sent.json()["state"] == "taken", (name, sent.text)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for path in wfdb_files(recording("ectopic", 3), tmp_path, "r3") + wfdb_files(signal, tmp_path, "r2"):
            out.write(path, f"{'ectopic' if '3' in path.stem else 'sinus'}/{path.name}")
    upload = send_in_chunks(client, id, "whole.zip", packed.getvalue(), 2**20, patient="p7")
    assert settled(client, id, upload)["state"] == "taken"
    items = client.get(f"/api/v1/datasets/{id}/items").json()["items"]
    assert sorted((i["file"], i["label"]) for i in items)[-2:] == [
        ("ectopic/r3.hea.npz", "ectopic"),
        ("sinus/r2.hea.npz", "sinus"),
    ]
    assert {i["patient"] for i in items if i["origin"]["source"] == "archive"} == {"p7"}
    for item in items:
        small = client.get(f"/api/v1/datasets/{id}/items/{item['id']}/picture")
        assert small.content.startswith(b"\xff\xd8"), item["file"]


def test_an_ecg_is_drawn_whatever_its_file_is_called(client: httpx.Client) -> None:
    """A control character is no part of an XML document, not even escaped."""
    id = new(client, "Names", ROLES, task="ecg")
    for k, name in enumerate(("a\x01b.edf", "<&>\ufffe.edf")):
        sent = send(client, id, name, ecgwriters.edf(recording("sinus", 40 + k)), "sinus")
        assert sent.status_code == 201 and sent.json()["state"] == "taken", sent.text
    items = client.get(f"/api/v1/datasets/{id}/items").json()["items"]
    assert len(items) == 2
    for item in items:
        drawn = client.get(f"/studio/{id}/labels/{item['id']}/picture")
        assert drawn.headers["content-type"].startswith("image/svg+xml")
        svg = ElementTree.fromstring(drawn.content)
        assert svg.get("aria-label") == "ECG"


def test_what_is_no_ecg_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    import marks

    id = new(client, "Refused", ROLES, task="ecg")
    for name, data in {"x.png": marks.mark("dots", 1), "y.csv": b"file,label\na,b\n", "z.edf": b"0" * 400}.items():
        sent = send(client, id, name, data, "sinus")
        assert sent.status_code in (415, 422), (name, sent.text)
    alone = wfdb_files(recording("sinus", 4), tmp_path, "r4")[0]
    assert "r4.dat" in send(client, id, "r4.hea", alone.read_bytes(), "sinus").text
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for kind in ("clear", "dots"):
            for n in range(3):
                out.writestr(f"{kind}/{n}.png", marks.mark(kind, n))
    upload = send_in_chunks(client, id, "pictures.zip", packed.getvalue(), 2**20)
    assert "one class for each ECG" in settled(client, id, upload)["error"]
    assert client.get(f"/api/v1/datasets/{id}").json()["pictures"] == 0
    assert client.get(f"/api/v1/datasets/{id}/versions/1/export?form=coco").status_code in (404, 409)


def test_from_files_to_an_answer(live: Live, client: httpx.Client) -> None:
    id = new(client, "Early beats", ROLES, task="ecg")
    for kind in ROLES:
        for n in range(12):
            data = pack_signal(recording(kind, 100 * (kind == "ectopic") + n))
            sent = send(client, id, f"{kind}/{n}.npz", data, kind, patient=f"{kind}{n}")
            assert sent.json()["state"] == "taken", sent.text
    seen = audited(client, id)
    assert seen["audit"]["error"] == "" and seen["counts"] == {"sinus": 12, "ectopic": 12, "": 0}
    client.post(f"/api/v1/datasets/{id}/train")
    told = trained(client, id)
    assert told["state"] == "done", told["error"]
    assert client.post("/api/v1/models/early-beats/promote", json={"version": 1}).status_code == 200
    files = {"image": ("new.npz", pack_signal(recording("ectopic", 999)))}
    said = client.post("/api/v1/models/early-beats/predict", files=files).json()
    assert said["prediction"] == "ectopic", said
    assert Store(live.home).get("early-beats", 1).card["data"]["labelled"] == 24


def test_several_findings_go_out_and_come_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    sets = Datasets(store.engine, tmp_path / "home")
    classes = [DatasetClass(name=name, role="sought") for name in ("ectopic", "fast")]
    id = sets.create("beats", task="ecg_multilabel", classes=classes).id
    told = [{"ectopic": 0, "fast": 0}, {"ectopic": 1, "fast": 0}, {"ectopic": 1, "fast": 1}, {"ectopic": 0}]
    made = [pack_signal(recording("ectopic" if t.get("ectopic") else "sinus", n)) for n, t in enumerate(told)]
    items = [
        NewItem(key=str(n), data=data, file=f"{n}.npz", labels=t, patient=f"P{n}")
        for n, (data, t) in enumerate(zip(made, told, strict=True))
    ]
    sets.add(id, items)
    packed = write_export(sets, id, sets.freeze(id).number, "table")
    found = import_archive(packed, tmp_path / "unpacked", "ecg_multilabel", ["ectopic", "fast"])
    assert found["task"] == "ecg_multilabel"
    back = {r["patient"]: (r["labels"], (tmp_path / "unpacked" / r["path"]).read_bytes()) for r in found["records"]}
    for n, t in enumerate(told):
        labels, data = back[f"P{n}"]
        assert {name: int(value) for name, value in labels.items() if value is not None} == t
        assert data == made[n]
    with pytest.raises(StoreError, match="several findings"):
        sets.add(id, [NewItem(key="x", data=made[0], file="x.npz", label="ectopic")])
