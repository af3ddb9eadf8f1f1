import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tiny
from medloupe.errors import ModelFileError
from medloupe.runtime import run, session

IMAGES = np.zeros((2, tiny.SIZE, tiny.SIZE, 3), np.uint8)


def test_file_and_bytes_answer_alike(tmp_path: Path) -> None:
    path = tiny.backbone(tmp_path).path
    from_file = run(session(path, threads=1), ["embedding", "map"], IMAGES)
    from_bytes = run(session(path.read_bytes()), ["embedding", "map"], IMAGES)
    np.testing.assert_array_equal(from_file[0], from_bytes[0])
    assert [a.shape for a in from_file] == [(2, tiny.D), (2, tiny.D, tiny.PLACES, tiny.PLACES)]


def test_session_keeps_to_what_it_is_told(tmp_path: Path) -> None:
    opened = session(tiny.backbone(tmp_path).path, threads=3)
    assert opened.get_providers() == ["CPUExecutionProvider"]
    assert opened.get_session_options().intra_op_num_threads == 3


@pytest.mark.parametrize("source", [b"", b"junk", Path("nowhere.onnx"), "nowhere.onnx"])
def test_what_cannot_be_opened_is_named(source: bytes | Path | str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelFileError, match="cannot open") as caught:
        session(source)
    assert caught.value.hint
    assert capfd.readouterr().err == ""


def test_failure_while_running_is_named_and_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened = session(tiny.backbone(tmp_path).path)
    with pytest.raises(ModelFileError, match=r"failed on uint8 input of shape \(2, 5, 32, 3\)"):
        run(opened, ["embedding"], IMAGES[:, :5])
    assert capfd.readouterr().err == ""


def test_importing_it_does_not_import_onnxruntime() -> None:
    script = "import sys, medloupe.runtime; assert 'onnxruntime' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
