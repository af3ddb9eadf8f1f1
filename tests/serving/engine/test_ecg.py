"""ECGs over HTTP: every way in, which check-up answers, what is refused and why, what is kept."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

import ecgmodels
import ecgsaved
import ecgwriters
import generated
import hostile_ecgs
from live import Live
from medloupe.embed.windows import cut_beat_windows
from medloupe.errors import SignalError
from medloupe.inference.ecgs import EcgPredictor
from medloupe.serving.engine import ecg_intake, ecg_storage
from medloupe.serving.engine.checkup import CheckUp
from places import ROOT

TWO, WHOLE = ecgmodels.recording(201), ecgmodels.standard(202, blocked=True)


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(1, True)).save(out, "PNG")
    return out.getvalue()


def ask(live: Live, path: str, files: dict[str, bytes], part: str = "image", **fields: Any) -> httpx.Response:
    with live.client() as client:
        return client.post(path, files=[(part, pair) for pair in files.items()], data=fields)


def predict(
    live: Live, files: dict[str, bytes], model: str = "beats", part: str = "image", **fields: Any
) -> dict[str, Any]:
    answer = ask(live, f"/api/v1/models/{model}/predict", files, part, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---------------------------------------------------------------- asking


@pytest.mark.parametrize("part", ["image", "images", "signal", "ecg", "file"])
def test_a_recording_of_two_files_in_parts_of_any_name(ecg_live: Live, part: str) -> None:
    said = predict(ecg_live, ecgsaved.wfdb(TWO), part=part)
    assert (said["file"], said["model"], said["prediction"], said["refused"]) == ("rec.hea", "beats", "N", None)
    assert (said["state"], said["flagged"]) == ("flagged", ["V"])
    assert said["ecg"]["counts"]["V"] >= 3


def test_the_server_says_what_the_command_line_says(ecg_live: Live) -> None:
    """Every field, in parts and as one file."""
    files = ecgsaved.wfdb(TWO)
    ours = EcgPredictor(ecgmodels.beats_model()).predict(files, {"age": "70"}).as_json()
    for version in (1, 2):
        said = (
            predict(ecg_live, files, age="70")
            if version == 1
            else ask(ecg_live, "/api/v1/models/beats/predict?version=2", files, age="70").json()
        )
        assert said["probabilities"] == pytest.approx(ours["probabilities"], abs=1e-4)
        assert said["ecg"]["counts"] == ours["ecg"]["counts"]
        assert said["ecg"]["r_peaks"] == ours["ecg"]["r_peaks"]
        (age,) = said["inputs"]
        assert age["effect"] == pytest.approx(ours["inputs"][0]["effect"], abs=1e-5)
        assert said["timings"].keys() == {"decode", "network"}


def test_every_format_says_the_same(ecg_live: Live) -> None:
    bodies = {
        "text/csv": ecgsaved.csv(WHOLE),
        "application/edf": ecgwriters.edf(WHOLE),
        "application/dicom": ecgwriters.dicom_waveform(WHOLE),
        "application/octet-stream": ecgsaved.npz(WHOLE),
    }
    expected = predict(ecg_live, ecgsaved.wfdb(WHOLE), "leads")
    assert expected["prediction"] == "BLOCK"
    with ecg_live.client() as client:
        for kind, data in bodies.items():
            said = client.post("/api/v1/models/leads/predict", content=data, headers={"Content-Type": kind})
            assert said.status_code == 200, (kind, said.text)
            assert said.json()["probabilities"] == pytest.approx(expected["probabilities"], abs=0.02), kind


def test_a_rate_in_the_form_or_the_address(ecg_live: Live) -> None:
    bare = {"bare.csv": ecgsaved.csv(TWO, rate=False)}
    path = "/api/v1/models/beats/predict"
    without = ask(ecg_live, path, bare)
    assert (without.status_code, without.json()["error"]["code"]) == (422, "unreadable")
    assert "sampling rate" in without.json()["error"]["message"]
    expected = predict(ecg_live, {"a.csv": ecgsaved.csv(TWO)})["ecg"]["counts"]
    assert predict(ecg_live, bare, rate="360")["ecg"]["counts"] == expected
    assert ask(ecg_live, f"{path}?rate=360", bare).json()["ecg"]["counts"] == expected
    with ecg_live.client() as client:
        raw = client.post(f"{path}?rate=360", content=bare["bare.csv"], headers={"Content-Type": "text/csv"})
    assert raw.json()["ecg"]["counts"] == expected
    for wrong in ("fast", "-3", "0", "nan", "1e30"):
        answer = ask(ecg_live, path, bare, rate=wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input"), wrong


def test_several_recordings_at_once(ecg_live: Live) -> None:
    files = {**ecgsaved.wfdb(TWO, "a"), "flat.csv": b"# fs=360\nI\n" + b"0.1\n" * 3000, **ecgsaved.wfdb(TWO, "b")}
    said = predict(ecg_live, files)["predictions"]
    assert [p["file"] for p in said] == ["a.hea", "flat.csv", "b.hea"]
    assert said[1]["error"]["code"] == "unreadable" and "flat" in said[1]["error"]["message"]
    assert said[0]["probabilities"] == said[2]["probabilities"]


def test_heat_maps_and_what_is_told_beside(ecg_live: Live) -> None:
    whole = ask(ecg_live, "/api/v1/models/leads/predict?heatmap=true", ecgsaved.wfdb(WHOLE)).json()
    assert {k: np.shape(v) for k, v in whole["heatmap"].items()} == {"SINUS": (1, 28), "BLOCK": (1, 28)}
    said = ask(
        ecg_live, "/api/v1/models/beats/predict?heatmap=true", ecgsaved.wfdb(TWO), rr_previous_ratio="2", colour="red"
    )
    assert "heatmap" not in said.json() and said.json()["inputs"] == []
    assert set(said.json()["ignored"]) == {"colour", "rr_previous_ratio"}, "the rhythm is measured"


def test_the_app_chooses_by_the_leads(ecg_live: Live) -> None:
    for files, model in ((ecgsaved.wfdb(TWO), "beats"), ({"w.npz": ecgsaved.npz(WHOLE)}, "leads")):
        assert ask(ecg_live, "/api/v1/predict", files).json()["model"] == model
        assert ask(ecg_live, "/predict", files, user="ada", model="auto").json()["model"] == model
    every = ask(ecg_live, "/api/v1/predict?models=all", ecgsaved.wfdb(WHOLE)).json()["predictions"]
    assert [p["model"] for p in every] == ["beats", "leads"]
    pictures = ask(ecg_live, "/api/v1/predict?models=all", {"scan.png": png()}).json()["predictions"]
    assert [p["model"] for p in pictures] == ["imagenet"]


def test_a_picture_and_an_ecg_where_the_other_is_expected(ecg_live: Live) -> None:
    picture = ask(ecg_live, "/api/v1/models/beats/predict", {"scan.png": png()})
    assert (picture.status_code, picture.json()["error"]["code"]) == (415, "not_an_ecg")
    for files in (ecgsaved.wfdb(TWO), {"a.csv": ecgsaved.csv(TWO)}, {"w.dcm": ecgwriters.dicom_waveform(WHOLE)}):
        signal = ask(ecg_live, "/api/v1/models/imagenet/predict", files)
        assert (signal.status_code, signal.json()["error"]["code"]) == (415, "not_an_image"), files.keys()
        assert "beats, leads" in signal.json()["error"]["hint"]
    mixed = ask(ecg_live, "/api/v1/predict?models=beats,imagenet", {"scan.png": png()})
    assert mixed.status_code == 415


BAD = {
    "flat": (np.full((2, 3600), 0.2), "flat"),
    "clipped": (np.clip(TWO.samples, -0.05, 0.05), "clipped"),
    "not recorded": (np.full((2, 3600), np.nan), "no numbers"),
    "microvolts as millivolts": (TWO.samples * 1000, "microvolts"),
    "short": (TWO.samples[:, :100], "0.6 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_signals_are_refused_by_name(ecg_live: Live, name: str) -> None:
    samples, why = BAD[name]
    data = ecgwriters.npz(signal=samples.astype(np.float32), fs=360.0, lead_names=np.array(ecgmodels.TWO), units="mV")
    answer = ask(ecg_live, "/api/v1/models/beats/predict", {"bad.npz": data})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unreadable"), answer.text
    assert why in answer.json()["error"]["message"]


def hostile() -> Iterator[tuple[str, dict[str, bytes]]]:
    good = ecgsaved.wfdb(TWO)
    head, data = good["rec.hea"], good["rec.dat"]
    yield "a header alone", {"rec.hea": head}
    yield "samples alone", {"rec.dat": data}
    yield "a header leading elsewhere", {"rec.hea": head.replace(b"rec.dat", b"../../etc/passwd")}
    yield "a header with a URL", {"rec.hea": head.replace(b"rec.dat", b"http://example.org/rec.dat"), "rec.dat": data}
    yield "a header of ten thousand channels", {"rec.hea": b"rec 10000 360 7200\n", "rec.dat": data}
    yield "a header of a year", {"rec.hea": head.replace(b" 7200", b" 11352960000"), "rec.dat": data}
    yield "too few samples", {"rec.hea": head, "rec.dat": data[:100]}
    yield "an absurd rate", {"rec.hea": head.replace(b" 360 ", b" 1e300 "), "rec.dat": data}
    yield "empty files", {"rec.hea": b"", "rec.dat": b""}
    yield "nothing", {"x.csv": b""}
    yield "zeros", {"x.csv": bytes(10_000)}
    yield "a text", {"x.csv": b"Dear colleague,\nthe patient is well.\n"}
    yield "a table of infinities", {"x.csv": b"# fs=360\nI\n" + b"inf\n" * 2000}
    yield "one long line", {"x.csv": b"1," * 200_000}
    yield "a pickle as npz", {"x.npz": ecgwriters.npz(signal=np.array([{"a": 1}], object), fs=360.0)}
    yield "a broken zip", {"x.npz": b"PK\x03\x04" + bytes(200)}
    yield "npz of one number", {"x.npz": ecgwriters.npz(signal=np.float32(1), fs=360.0)}
    yield "an EDF header alone", {"x.edf": ecgwriters.edf(WHOLE)[:300]}
    yield "a DICOM cut short", {"x.dcm": ecgwriters.dicom_waveform(WHOLE)[:900]}
    yield "two recordings in one name", {"a/rec.hea": head, "rec.dat": data, "b/rec.csv": ecgsaved.csv(TWO)}


def test_hostile_files_get_an_answer_and_no_fault(ecg_live: Live) -> None:
    for name, files in hostile():
        for path in ("/api/v1/models/beats/predict", "/api/v1/predict", "/api/v1/models/imagenet/predict"):
            answer = ask(ecg_live, path, files)
            assert answer.status_code < 500, (name, path, answer.text)
            assert "Traceback" not in answer.text
    assert predict(ecg_live, ecgsaved.wfdb(TWO))["flagged"] == ["V"]
    assert not [line for line in ecg_live.lines() if line.get("level") == "error"]


def readers(live: Live) -> list[psutil.Process]:
    """The server's processes that read ECGs."""
    children = psutil.Process(live.process.pid).children(recursive=True)
    return [child for child in children if "medloupe.ecg.worker" in child.cmdline()]


def test_small_files_that_claim_gigabytes(ecg_live: Live) -> None:
    """Each is refused at once with its cause, the server keeps answering, and grows by little."""
    predict(ecg_live, ecgsaved.wfdb(TWO))
    server = psutil.Process(ecg_live.process.pid)
    before = server.memory_info().rss
    slowest = [0.0]
    done = threading.Event()

    def look() -> None:
        with ecg_live.client() as client:
            while not done.wait(0.05):
                started = time.monotonic()
                assert client.get("/healthz").status_code == 200
                slowest[0] = max(slowest[0], time.monotonic() - started)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for name, make in hostile_ecgs.RECORDINGS.items():
            files = make()
            spent = sum(server.cpu_times()[:2])
            answer = ask(ecg_live, "/api/v1/models/beats/predict", files)
            assert 400 <= answer.status_code < 500, (name, answer.text)
            assert answer.json()["error"]["message"], name
            assert sum(server.cpu_times()[:2]) - spent < 2, name
            assert server.memory_info().rss - before < 150 * 2**20, name
    finally:
        done.set()
        looking.join()
    assert slowest[0] < 2
    assert predict(ecg_live, ecgsaved.wfdb(TWO))["flagged"] == ["V"]


def test_recordings_that_hang_keep_no_picture_waiting(ecg_live: Live) -> None:
    predict(ecg_live, ecgsaved.wfdb(TWO))
    held = readers(ecg_live)
    assert held, "ECGs are read in processes of their own"
    for process in held:
        process.suspend()
    try:
        with ThreadPoolExecutor(4) as threads:
            waiting = [
                threads.submit(ask, ecg_live, "/api/v1/models/beats/predict", ecgsaved.wfdb(TWO)) for _ in range(4)
            ]
            time.sleep(0.5)
            started = time.monotonic()
            picture = ask(ecg_live, "/api/v1/models/imagenet/predict", {"scan.png": png()})
            assert picture.status_code == 200, picture.text
            assert time.monotonic() - started < 10
            for process in held:
                process.resume()
            assert {w.result().status_code for w in waiting} == {200}
    finally:
        for process in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def test_a_client_that_goes_is_not_read_for(ecg_live: Live) -> None:
    predict(ecg_live, ecgsaved.wfdb(TWO))
    body = ecgsaved.csv(TWO)
    lines = ["POST /api/v1/models/beats/predict HTTP/1.1", f"Host: 127.0.0.1:{ecg_live.port}", "Content-Type: text/csv"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])
    held = readers(ecg_live)
    for process in held:
        process.suspend()
    try:
        with socket.create_connection(("127.0.0.1", ecg_live.port)) as connection:
            connection.sendall(head.encode() + body)
            time.sleep(0.7)
        gone, _ = psutil.wait_procs(held, timeout=8)
        assert gone, "ended before its time was up"
    finally:
        for process in held:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    assert predict(ecg_live, ecgsaved.wfdb(TWO))["flagged"] == ["V"]


def test_units_a_millivolt_in_the_form_or_the_address(ecg_live: Live) -> None:
    counts = np.rint(TWO.samples * 200).astype(np.int32)
    rows = "\n".join(",".join(map(str, row)) for row in counts.T.tolist())
    files = {"counts.csv": f"{','.join(TWO.leads)}\n{rows}\n".encode()}
    path = "/api/v1/models/beats/predict"
    without = ask(ecg_live, path, files, rate="360")
    assert (without.status_code, without.json()["error"]["code"]) == (422, "unreadable")
    assert "tells no unit" in without.json()["error"]["message"]
    assert "`gain`" in without.json()["error"]["hint"]
    expected = predict(ecg_live, ecgsaved.wfdb(TWO))["ecg"]["counts"]
    said = predict(ecg_live, files, rate="360", gain="200")
    assert said["ecg"]["counts"] == expected and "gain" not in said.get("ignored", [])
    assert ask(ecg_live, f"{path}?rate=360&gain=200", files).json()["ecg"]["counts"] == expected
    for wrong in ("many", "0", "-200", "nan"):
        assert ask(ecg_live, path, files, rate="360", gain=wrong).json()["error"]["code"] == "invalid_input", wrong
    with ecg_live.client() as client:
        page = client.get(f"/predictions/{said['id']}", headers={"Accept": "text/html"})
        kept = client.get(f"/api/v1/predictions/{said['id']}").json()
    assert kept["ecg"]["told"] == {"rate": 360.0, "gain": 200.0}
    assert page.text.count('<svg class="paper"') == 2, "drawn again as it was read"
    assert 'class="shade"' in page.text


def test_what_is_drawn_again_has_the_rate_of_the_file(ecg_live: Live) -> None:
    """It is shown at 1,000 Hz, and the file says 2,000."""
    fast = ecgmodels.recording(204, rate=2000, seconds=8)
    said = predict(ecg_live, {"fast.csv": ecgsaved.csv(fast)})
    assert said["ecg"]["rate"] == 1000
    with ecg_live.client() as client:
        page = client.get(f"/predictions/{said['id']}", headers={"Accept": "text/html"})
    assert page.text.count('<svg class="paper"') == 1, "eight seconds, not sixteen"


def test_too_long_for_a_request() -> None:
    checkup = CheckUp.of(ecgmodels.beats_model(rhythm=False))
    data = ecgwriters.npz(signal=np.zeros((1, 50 * 3700), np.float32), fs=50.0)
    with pytest.raises(SignalError, match=r"1\.0 hours; at most 1 "):
        ecg_intake.read_recording({"x.npz": data}, "x.npz", [checkup], None)
    with pytest.raises(SignalError, match="4,000,001 lines"):
        ecg_intake.read_recording(b"# fs=20000\n" + b"1,2\n" * 4_000_000, "x.csv", [checkup], None)


# ---------------------------------------------------------------- kept and remembered


def test_an_answer_and_its_files_are_kept(ecg_live: Live) -> None:
    files = ecgsaved.wfdb(TWO)
    for sent, suffix in ((files, "zip"), ({"a.csv": ecgsaved.csv(TWO)}, "csv"), ({"w.npz": ecgsaved.npz(TWO)}, "npz")):
        said = predict(ecg_live, sent, age="70")
        with ecg_live.client() as client:
            entry = client.get(f"/api/v1/predictions/{said['id']}").json()
            kept = client.get(f"/api/v1/predictions/{said['id']}/image")
            page = client.get(f"/predictions/{said['id']}", headers={"Accept": "text/html"})
        assert entry["image_kept"] and entry["ecg"]["counts"] == said["ecg"]["counts"]
        assert entry["given"] == {"age": "70"} and "file" not in entry
        assert kept.headers["content-disposition"].endswith(f'{said["id"]}.{suffix}"')
        back = ecg_storage.unpack(f"x.{suffix}", kept.content)
        assert back == (sent if suffix == "zip" else next(iter(sent.values())))
        assert page.text.count('<svg class="paper"') == 2, "drawn again, in strips of 10 s"
        assert 'class="shade"' in page.text, "where the network looked is found again in what was kept"


def test_of_long_recordings_the_journal_keeps_the_counts(ecg_live: Live) -> None:
    long = ecgmodels.recording(203, seconds=90)
    said = predict(ecg_live, {"w.npz": ecgsaved.npz(long)})
    with ecg_live.client() as client:
        entry = client.get(f"/api/v1/predictions/{said['id']}").json()
    assert entry["ecg"]["counts"] == said["ecg"]["counts"]
    assert max(b["second"] for b in said["ecg"]["beats"]) > 80
    assert 50 < max(b["second"] for b in entry["ecg"]["beats"]) < ecg_storage.DRAWN_SECONDS


def test_what_was_kept_is_told_by_its_content() -> None:
    assert [
        ecg_storage.guess_suffix(d) for d in (b"0       " + bytes(9), b"\xffBIOSEMI", b"PK\x03\x04", b"I,II\n")
    ] == [
        "edf",
        "bdf",
        "npz",
        "csv",
    ]
    assert ecg_storage.guess_suffix(ecgwriters.dicom_waveform(WHOLE)) == "dcm"
    with pytest.raises(SignalError, match="damaged"):
        ecg_storage.unpack("x.zip", b"no zip")


# ---------------------------------------------------------------- what there is


def test_check_ups_say_what_they_read(ecg_live: Live) -> None:
    with ecg_live.client() as client:
        listed = {m["name"]: m["modality"] for m in client.get("/api/v1/models").json()["models"]}
        one = client.get("/api/v1/models/beats").json()
    assert listed == {"beats": "ecg", "leads": "ecg", "imagenet": "image"}
    assert (one["leads"], one["rate"], one["before"]) == (["beat", "typical"], 125.0, 0.25)
    assert [f["name"] for f in one["inputs"]] == ["age"], "the rhythm is measured"


def test_figures_count_ecgs(ecg_live: Live) -> None:
    predict(ecg_live, ecgsaved.wfdb(TWO))
    with ecg_live.client() as client:
        figures = client.get("/metrics").text
    assert 'medloupe_predictions_total{model="beats",refused="false",version="1"}' in figures


@pytest.fixture
def client(ecg_live: Live) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{ecg_live.port}") as made:
        yield made


def as_input(name: str, values: np.ndarray, *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), "FP32")
    made.set_data_from_numpy(values.astype(np.float32), binary_data=binary)
    return made


def test_windows_by_the_inference_protocol(client: triton.InferenceServerClient) -> None:
    model = ecgmodels.beats_model()
    windows = cut_beat_windows(TWO, model.backbone.card).windows
    (told, clinical) = client.get_model_metadata("beats")["inputs"]
    assert (told["name"], told["datatype"], told["shape"]) == ("signal", "FP32", [-1, 2, windows.shape[2]])
    assert clinical["name"] == "clinical"
    for version in ("1", "2"):
        for binary in (True, False):
            answer = client.infer("beats", [as_input("signal", windows, binary=binary)], model_version=version)
            p, logits, heat = (answer.as_numpy(n) for n in ("probabilities", "logits", "heatmap"))
            assert p is not None and logits is not None and heat is not None
            assert p.shape == (len(windows), 2) and heat.shape[:3] == (len(windows), 2, 1)
            np.testing.assert_allclose(heat.mean((2, 3)) + model.head.bias, logits, atol=1e-3)
    texts = answer.as_numpy("prediction")
    assert texts is not None and [t.decode() for t in texts][:5] == ["N", "N", "N", "N", "V"]
    assert model.extras is not None
    encoded, _ = model.extras.encode([{"age": "70"}] * len(windows))
    moved = client.infer("beats", [as_input("signal", windows), as_input("clinical", encoded)]).as_numpy("logits")
    assert moved is not None
    np.testing.assert_allclose(moved - logits, model.extras.logits(encoded, np.zeros((len(windows), 0))), atol=1e-4)


@pytest.mark.parametrize(
    ("model", "name", "shape", "said"),
    [
        ("beats", "signal", (1, 2, 50), "takes `signal`"),
        ("beats", "signal", (300, 2, 89), "256 are allowed"),
        ("leads", "signal", (1, 2, 89), "takes `signal`"),
        ("beats", "signal", (2, 89), "3 dimensions"),
        ("imagenet", "signal", (1, 2, 89), "takes `image`"),
    ],
)
def test_windows_that_do_not_fit_are_said(
    client: triton.InferenceServerClient, model: str, name: str, shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(InferenceServerException, match=re.escape(said)):
        client.infer(model, [as_input(name, np.zeros(shape))])


def test_pixels_for_a_check_up_of_ecgs_are_no_input(client: triton.InferenceServerClient) -> None:
    made = triton.InferInput("image", [1, 32, 32, 3], "UINT8")
    made.set_data_from_numpy(np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(InferenceServerException, match="takes `signal`"):
        client.infer("beats", [made])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_over_http_in_the_manual_works(
    ecg_live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecgsaved.save(tmp_path, ecgsaved.wfdb(TWO))
    ecgsaved.save(tmp_path, {"ecg.csv": ecgsaved.csv(TWO, rate=False)})
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 60\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    monkeypatch.setenv("URL", ecg_live.url)
    manual = (ROOT / "docs" / "ecg.md").read_text("utf-8")
    code = "\n".join(c for c in re.findall(r"^```sh\n(.*?)^```$", manual, re.DOTALL | re.MULTILINE) if "curl" in c)
    assert code.count("curl") >= 4
    done = subprocess.run(
        ["bash", "-euxc", code.replace("arrhythmia", "beats")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
