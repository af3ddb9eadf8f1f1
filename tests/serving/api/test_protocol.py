"""The Open Inference Protocol, spoken by Triton's own client."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

import generated
from live import Live
from medloupe.imaging.decode import fit


@pytest.fixture
def client(live: Live) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{live.port}") as made:
        yield made


def pixels(n: int = 2, size: int = 224) -> np.ndarray:
    return np.stack([fit(generated.tissue(i, sick=bool(i % 2)), size) for i in range(n)])


def as_input(array: np.ndarray, kind: str = "UINT8", *, binary: bool = True) -> triton.InferInput:
    made = triton.InferInput("image", list(array.shape), kind)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_what_it_says_of_itself(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("spots")
    assert client.is_model_ready("spots", "1")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "medloupe"
    told = client.get_model_metadata("spots")
    assert told["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 224, 224, 3]}]
    assert {o["name"] for o in told["outputs"]} >= {"probabilities", "logits", "embedding", "heatmap"}
    assert client.get_model_metadata("spots", "1")["versions"] == ["1"]


def test_pixels_in_and_everything_out(client: triton.InferenceServerClient) -> None:
    answer = client.infer("spots", [as_input(pixels())])
    p, logits = answer.as_numpy("probabilities"), answer.as_numpy("logits")
    heatmap, embedding = answer.as_numpy("heatmap"), answer.as_numpy("embedding")
    assert p is not None and logits is not None and heatmap is not None and embedding is not None
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), p, atol=1e-5)
    assert heatmap.shape == (2, 2, 7, 7)
    assert embedding.shape[0] == 2
    spread = heatmap.mean((2, 3)) - logits  # the bias, which is the same for both pictures
    np.testing.assert_allclose(spread[0], spread[1], atol=1e-2)


def test_json_and_binary_say_the_same(client: triton.InferenceServerClient) -> None:
    binary = client.infer("spots", [as_input(pixels())], request_id="7")
    wanted = [triton.InferRequestedOutput("probabilities", binary_data=False)]
    text = client.infer("spots", [as_input(pixels(), binary=False)], model_version="1", outputs=wanted)
    got, want = text.as_numpy("probabilities"), binary.as_numpy("probabilities")
    assert got is not None and want is not None
    np.testing.assert_allclose(got, want, atol=1e-6)
    assert binary.get_response()["id"] == "7"
    assert text.get_response()["model_version"] == "1"
    assert [o["name"] for o in text.get_response()["outputs"]] == ["probabilities"]


def test_files_are_decoded_as_everywhere(client: triton.InferenceServerClient, live: Live) -> None:
    out = io.BytesIO()
    Image.fromarray(generated.tissue(4, sick=True)).save(out, "PNG")
    files = np.array([out.getvalue()] * 2, dtype=object)
    got = client.infer("spots", [as_input(files, "BYTES")])
    want = live.ask("spots", out.getvalue()).json()
    p, called = got.as_numpy("probabilities"), got.as_numpy("prediction")
    assert p is not None and called is not None
    np.testing.assert_allclose(p[1], list(want["probabilities"].values()), atol=1e-5)
    assert called[0].decode() == want["prediction"]


def test_pixels_of_another_size_are_fitted(client: triton.InferenceServerClient) -> None:
    small = np.stack([generated.tissue(i, sick=bool(i % 2)) for i in range(2)])
    got = client.infer("spots", [as_input(small)]).as_numpy("probabilities")
    want = client.infer("spots", [as_input(pixels())]).as_numpy("probabilities")
    assert got is not None and want is not None
    np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "given", "options", "status"),
    [
        ("nothing", as_input(pixels(1)), {}, "404"),
        ("spots", as_input(pixels(1)), {"model_version": "9"}, "404"),
        ("spots", as_input(pixels(1)), {"model_version": "x"}, "404"),
        ("spots", as_input(np.zeros((1, 3, 224, 224), np.uint8)), {}, "400"),
        ("spots", as_input(np.zeros((40, 8, 8, 3), np.uint8)), {}, "413"),
        ("spots", as_input(np.array([b"no picture"], dtype=object), "BYTES"), {}, "415"),
        ("spots", as_input(pixels(1)), {"outputs": [triton.InferRequestedOutput("nothing")]}, "400"),
        ("spots", as_input(pixels(1)), {"outputs": [triton.InferRequestedOutput("heatmap")] * 32}, "400"),
        ("spots", as_input(np.array([b""] * 33, dtype=object), "BYTES"), {}, "413"),
        ("spots", as_input(pixels(1)), {"request_compression_algorithm": "gzip"}, "415"),
    ],
)
def test_what_cannot_be_is_said(
    client: triton.InferenceServerClient, model: str, given: triton.InferInput, options: dict[str, object], status: str
) -> None:
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, [given], **options)  # pyright: ignore
    assert error.value.status() == status
    assert len(str(error.value)) > 20


def test_inferences_are_remembered(client: triton.InferenceServerClient, live: Live) -> None:
    client.infer("spots", [as_input(pixels(2))])
    with live.client() as asker:
        newest = asker.get("/api/v1/predictions", params={"limit": 2}).json()["predictions"]
    assert [p["model"] for p in newest] == ["spots", "spots"]
