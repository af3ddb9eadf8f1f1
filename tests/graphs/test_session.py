import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import several
import tiny
import tinyecg
from medloupe.errors import ModelFileError
from medloupe.graphs.session import open_session, run
from medloupe.modelfile import writer

IMAGES = np.zeros((2, tiny.SIZE, tiny.SIZE, 3), np.uint8)


def test_file_and_bytes_answer_alike(tmp_path: Path) -> None:
    path = tiny.backbone(tmp_path).path
    from_file = run(open_session(path, threads=1), ["embedding", "map"], IMAGES)
    from_bytes = run(open_session(path.read_bytes()), ["embedding", "map"], IMAGES)
    np.testing.assert_array_equal(from_file[0], from_bytes[0])
    assert [a.shape for a in from_file] == [(2, tiny.D), (2, tiny.D, tiny.PLACES, tiny.PLACES)]


def test_session_keeps_to_what_it_is_told(tmp_path: Path) -> None:
    opened = open_session(tiny.backbone(tmp_path).path, threads=3)
    assert opened.get_providers() == ["CPUExecutionProvider"]
    assert opened.get_session_options().intra_op_num_threads == 3


@pytest.mark.parametrize("source", [b"", b"junk", Path("nowhere.onnx"), "nowhere.onnx"])
def test_what_cannot_be_opened_is_named(source: bytes | Path | str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelFileError, match="cannot open") as caught:
        open_session(source)
    assert caught.value.hint
    assert capfd.readouterr().err == ""


def test_what_is_not_given_beside_the_picture_is_all_zeros(tmp_path: Path) -> None:
    model = several.model(tmp_path)
    writer.write_onnx(model, tmp_path / "m.onnx")
    assert model.extras is not None
    opened, n = open_session(tmp_path / "m.onnx"), len(IMAGES)
    clinical = np.ones((n, model.extras.clinical_width), np.float32)
    zeros = {"notes": np.zeros((n, model.extras.notes_width), np.float32)}
    (bare,) = run(opened, ["logits"], IMAGES)
    (none,) = run(opened, ["logits"], {"image": IMAGES, "clinical": 0 * clinical, **zeros})
    (some,) = run(opened, ["logits"], {"image": IMAGES, "clinical": clinical})
    (same,) = run(opened, ["logits"], {"image": IMAGES, "clinical": clinical, **zeros})
    np.testing.assert_array_equal(bare, none)
    np.testing.assert_array_equal(some, same)
    assert np.abs(some - bare).max() > 0.1


def test_the_first_input_is_taken_whatever_its_name(tmp_path: Path) -> None:
    opened = open_session(tinyecg.written(tmp_path))
    (embedding,) = run(opened, ["embedding"], tinyecg.signals(3))
    assert embedding.shape == (3, tinyecg.D)


def test_failure_while_running_is_named_and_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = open_session(tiny.backbone(tmp_path).path)
    with pytest.raises(ModelFileError, match=r"failed on uint8 input of shape \(2, 5, 32, 3\)"):
        run(opened, ["embedding"], IMAGES[:, :5])
    assert capfd.readouterr().err == ""


def test_importing_it_does_not_import_onnxruntime() -> None:
    script = "import sys, medloupe.graphs.session; assert 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
