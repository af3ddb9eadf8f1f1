"""Data and places that are no good: one clear message with advice, exit code 1, and nothing half-made left behind."""

from __future__ import annotations

import io
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import Ran, folders, run, save, table, tissue
from readers_cases import dicom, picture, write
from remains import leftovers
from trained import Trained

Capture = pytest.CaptureFixture[str]
Build = Callable[[Path], list[object]]


# ------------------------------------------------------------------ data that cannot be learned from


def _one_class(root: Path) -> list[object]:
    folders(root / "all", 6, classes=("sick",))
    return [root / "all"]


def _one_class_in_splits(root: Path) -> list[object]:
    folders(root / "all", 6, classes=("sick",), splits=("train", "test"))
    return [root / "all"]


def _one_image(root: Path) -> list[object]:
    save(root / "all" / "sick" / "only.png", tissue(1, True))
    return [root / "all"]


def _one_of_two(root: Path) -> list[object]:
    folders(root / "all", 6, classes=("sick",))
    save(root / "all" / "normal" / "only.png", tissue(1, False))
    return [root / "all"]


def _empty(root: Path) -> list[object]:
    (root / "all").mkdir(parents=True)
    return [root / "all"]


def _absent(root: Path) -> list[object]:
    (root / "chest").mkdir(parents=True)
    return [root / "chst"]


def _papers(root: Path) -> list[object]:
    write(root / "all" / "report.docx", "x")
    return [root / "all"]


def _no_such_column(root: Path) -> list[object]:
    rows = [{"file": "", "diagnosis": ("a", "b")[i % 2]} for i in range(6)]
    return [table(root / "all", rows, [tissue(i, i % 2 == 1) for i in range(6)]), "--labels", "diagnosys"]


def _missing_files(root: Path) -> list[object]:
    write(root / "all" / "labels.csv", "file,label\n" + "".join(f"scan{i}.png,{'ab'[i % 2]}\n" for i in range(8)))
    picture(root / "all" / "images" / "x.png")
    return [root / "all"]


def _all_broken(root: Path) -> list[object]:
    for label in ("normal", "sick"):
        for i in range(5):
            write(root / "all" / label / f"{i}.png", "not an image")
    return [root / "all"]


def _a_class_broken(root: Path) -> list[object]:
    folders(root / "all", 6)
    for path in (root / "all" / "sick").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    return [root / "all"]


def _boxes(root: Path) -> list[object]:
    (root / "all" / "images").mkdir(parents=True)
    for i in range(6):
        Image.fromarray(tissue(i, True)).save(root / "all" / "images" / f"{i}.png")
    write(root / "all" / "boxes.csv", "file,label,x,y,w,h\nimages/0.png,cell,1,1,30,30")
    return [root / "all"]


def _no_pixels(root: Path) -> list[object]:
    from pydicom import dcmread

    for i in range(6):
        path = dicom(root / "all" / ("CHEST", "HAND")[i % 2] / f"{i}.dcm", PatientID=f"p{i}")
        opened = dcmread(path)
        del opened.PixelData
        opened.save_as(path)
    return [root / "all"]


def _unsplittable(root: Path) -> list[object]:
    rows = [{"file": "", "label": ("a", "b")[i % 2], "patient_id": "p1"} for i in range(6)]
    return [table(root / "all", rows, [tissue(i, i % 2 == 1) for i in range(6)])]


def _archive(root: Path) -> list[object]:
    write(root / "data.zip", "PK")
    return [root / "data.zip"]


def _single_file(root: Path) -> list[object]:
    return [picture(root / "scan.png")]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (_empty, ["all is empty", "Understood are"]),
        (_absent, ["chst does not exist", "Did you mean 'chest'?"]),
        (_papers, ["holds no images", ".docx"]),
        (_archive, ["data.zip", "Unpack"]),
        (_single_file, ["scan.png is one image", "folder"]),
        (_one_class, ["all", "sick"]),
        (_one_class_in_splits, ["only one class, sick (12 images)", "Add a folder"]),
        (_one_image, ["all", "only 1 image", "Bring"]),
        (_one_of_two, ["only one image of normal", "Bring"]),
        (_no_such_column, ["labels.csv", "no column 'diagnosys'", "Did you mean 'diagnosis'?"]),
        (_missing_files, ["None of the 8 images", "labels.csv", "scan0.png", "--table"]),
        (_all_broken, ["None of the 10 images", "normal/0.png", "Check that the files are images"]),
        (_a_class_broken, ["only one class, normal", "6 files could not be read", "sick/000.png"]),
        (_boxes, ["has only 1 picture with boxes", "at least ten"]),
        (_no_pixels, ["None of the 6 images", "0.dcm", "pixel"]),
        (_unsplittable, ["cross-validated", "two patients"]),
    ],
)
@pytest.mark.parametrize("json", [False, True], ids=["words", "json"])
def test_data_that_cannot_be_learned_from(
    build: Build, said: list[str], json: bool, home: Path, tmp_path: Path, capsys: Capture
) -> None:
    ran = run(capsys, "train", *build(tmp_path / "brought"), "--name", "a", *(["--json"] if json else []))
    ran.failed("  → ", *said)
    assert run(capsys, "models", "list", "--json") == Ran(0, "", "")
    assert not list(home.glob("models/*/*"))


@pytest.mark.parametrize("name", ["Skin Cancer", "../up", "auto", "a/b", "-x", "é", "", "x" * 65, "m.onnx", ".tmp"])
def test_names_that_cannot_name_a_model(name: str, trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, "train", trained.data, f"--name={name}")
    ran.failed("cannot name a model", "small letters")
    if name == "Skin Cancer":
        assert "Try 'skin-cancer'" in ran.err


def test_models_that_are_not_there(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    image = trained.data / "sick" / "000.png"
    run(capsys, "predict", "spot", image).failed("no model 'spot'", "Did you mean 'spots'?")
    run(capsys, "predict", "spots@9", image).failed("no version 9", "it has 1")
    run(capsys, "predict", "spots@x", image).failed("'x' is not a whole number", "NAME@3")
    run(capsys, "predict", tmp_path / "m.onnx", image).failed("no file", "m.onnx")
    write(tmp_path / "m.onnx", "hello")
    run(capsys, "predict", tmp_path / "m.onnx", image).failed("m.onnx is text, not ONNX")
    (tmp_path / "cut.onnx").write_bytes(trained.onnx.read_bytes()[:-100_000])
    run(capsys, "predict", tmp_path / "cut.onnx", image).failed("cut.onnx is damaged")
    from medloupe.embed.registry import backbone

    run(capsys, "predict", backbone().path, image).failed("no model of medloupe", "exported by medloupe")


def test_backbones_that_are_not_there(trained: Trained, home: Path, tmp_path: Path, capsys: Capture) -> None:
    def failed(name: object, *said: str) -> None:
        run(capsys, "train", trained.data, "--name", "a", "--backbone", name, "--json").failed(*said)

    failed("efficientnet-lite", "efficientnet-lite0", "Did you mean")
    failed(tmp_path / "b.onnx", "no backbone file")
    write(tmp_path / "b.onnx", "hello")
    failed(tmp_path / "b.onnx", "b.onnx")
    failed(trained.onnx, "cannot serve as a backbone", "`map`")
    assert not list(home.glob("models/*/*"))


# ------------------------------------------------------------------ good ones among the odd


def _odd_images(root: Path, label: str, sick: bool, first: int) -> None:
    """One image of every kind that real folders hold."""
    base = [Image.fromarray(tissue(first + i, sick)) for i in range(8)]
    place = root / label
    place.mkdir(parents=True)
    deep = np.asarray(base[0].convert("L")).astype(np.uint16) * 200
    Image.fromarray(deep).save(place / "sixteen.png")
    base[1].convert("CMYK").save(place / "print.jpg")
    base[2].convert("P").save(place / "palette.png")
    clear = base[3].convert("RGBA")
    clear.putalpha(200)
    clear.save(place / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    base[4].resize((64, 40)).save(place / "turned.jpg", exif=turned)
    base[5].save(place / "moving.gif", save_all=True, append_images=[base[6]])
    base[6].convert("1").save(place / "bits.tif")
    base[7].save(place / "web.webp", lossless=True)
    dicom(place / "scan.dcm", PatientID=f"{label}-{first}")


def test_every_kind_of_image_in_one_set(home: Path, tmp_path: Path, capsys: Capture) -> None:
    root = folders(tmp_path / "odd", 6)
    for label, sick in (("normal", False), ("sick", True)):
        _odd_images(root / ".." / "more", label, sick, 400)
        for path in (tmp_path / "more" / label).iterdir():
            shutil.move(path, root / label / path.name)
    ran = run(capsys, "train", root, "--name", "odd", "--json")
    assert ran.code == 0, ran.err
    (card,) = run(capsys, "models", "show", "odd", "--json").lines
    assert card["data"]["unreadable"] == []
    assert card["data"]["labelled"] == 2 * (6 + 9)
    answers = run(capsys, "predict", "odd", root, "--json")
    assert answers.code == 0
    assert len(answers.lines) == 30


def _bomb(path: Path) -> None:
    """A JPEG of a kilobyte that claims 13,000 × 13,000 pixels."""
    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (13_000).to_bytes(2, "big") * 2
    path.write_bytes(bytes(data) + b"\0" * (1024 - len(data)))


def test_bad_images_among_good_ones_are_left_out_and_told(home: Path, tmp_path: Path, capsys: Capture) -> None:
    root = folders(tmp_path / "cells", 10)
    whole = (root / "sick" / "000.png").read_bytes()
    bad = {"cut.png": whole[:800], "empty.png": b"", "page.jpg": b"<html>"}
    for name, content in bad.items():
        (root / "normal" / name).write_bytes(content)
    _bomb(root / "normal" / "bomb.jpg")
    (root / "normal" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(capsys, "train", root, "--name", "cells", "--json").code == 0
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000, "the 500 MB that the JPEG claims must not be allocated"  # KiB
    (card,) = run(capsys, "models", "show", "cells", "--json").lines
    unreadable = {entry["file"]: entry["error"] for entry in card["data"]["unreadable"]}
    assert set(unreadable) == {f"normal/{name}" for name in (*bad, "bomb.jpg")}
    assert "13000 × 13000" in unreadable["normal/bomb.jpg"]
    assert "empty" in unreadable["normal/empty.png"]
    assert card["data"]["labelled"] == 20
    assert card["data"]["records"] == 24
    assert card["data"]["skipped"]["broken link"] == 1
    assert card["label_counts"]["normal"] == 10
    ran = run(capsys, "predict", "cells", root / "normal" / "bomb.jpg", "--json")
    assert ran.code == 1
    assert "error" in ran.lines[0]


def test_a_class_of_one_among_others_is_said_to_be_unjudged(home: Path, tmp_path: Path, capsys: Capture) -> None:
    root = folders(tmp_path / "cells", 10)
    save(root / "rare" / "only.png", tissue(800, True))
    assert run(capsys, "train", root, "--name", "cells", "--json").code == 0
    (card,) = run(capsys, "models", "show", "cells", "--json").lines
    assert card["label_counts"] == {"normal": 10, "rare": 1, "sick": 10}
    assert any("rare" in warning["text"] for warning in card["warnings"])


# ------------------------------------------------------------------ places that are no good


def test_a_home_that_is_a_file(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    place = write(tmp_path / "file", "x")
    run(capsys, "train", trained.data, "--name", "a", "--home", place, "--json").failed(str(place), "--home")
    run(capsys, "models", "show", "a", "--home", place).failed(str(place), "--home")
    run(capsys, "models", "list", "--home", place).failed(str(place), "--home")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else")
def test_a_home_without_rights(trained: Trained, tmp_path: Path) -> None:
    """Root may write everywhere, so somebody else asks."""
    place = tmp_path / "private"
    place.mkdir(mode=0o700)
    nobody = 65534
    readable = Path("/tmp") / f"medloupe-{os.getpid()}"
    shutil.copytree(trained.data, readable, dirs_exist_ok=True)
    program = f"""
import contextlib, io, os, sys
from medloupe.cli.app import main
out = io.StringIO()
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
    main([*sys.argv[1:], "--home", "{tmp_path}/roots"])  # to import all that nobody may not
os.setgid({nobody}); os.setuid({nobody})
main([*sys.argv[1:], "--home", "{place}"])
"""
    try:
        for arguments in (
            ["models", "list"],
            ["models", "show", "a"],
            ["train", str(readable), "--name", "a", "--json"],
        ):
            command = [sys.executable, "-c", program, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, cwd="/", timeout=60)
            Ran(done.returncode, done.stdout, done.stderr).failed("ermission denied", str(place), "  → ")
    finally:
        shutil.rmtree(readable)


def limited(arguments: list[str], home: Path, most: int) -> Ran:
    """`medloupe` in a process that may write no file larger than `most` bytes, as on a disk about to be full."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    command = [sys.executable, "-B", "-m", "medloupe", *arguments, "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=120)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("most", "where"), [(5_000, "cache"), (150_000, "cache"), (1_000_000, "store"), (0, "model.onnx")]
)
def test_a_disk_that_fills_up(most: int, where: str, trained: Trained, home: Path, capsys: Capture) -> None:
    arguments = ["train", str(trained.data), "--name", "a", "--json"]
    if where == "model.onnx":  # the backbone fits, which is smaller than the model by its head
        most = (_largest(trained.home / "blobs") + trained.onnx.stat().st_size) // 2
    said = limited(arguments, home, most).failed(str(home), where, "  → ")
    assert "room" in said or "disk" in said
    assert run(capsys, "models", "list", "--json").out == ""
    again = run(capsys, *arguments)
    assert again.code == 0, again.err
    assert again.lines[0]["version"] == 1
    assert run(capsys, "predict", "a", trained.data / "sick" / "000.png", "--json").code == 0
    assert leftovers(home) == []


def _largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path, trained: Trained, capsys: Capture) -> None:
    home = small_disk / "home"
    arguments = ["train", trained.data, "--name", "a", "--json", "--home", home]
    run(capsys, *arguments).failed("room")
    assert run(capsys, "models", "list", "--json", "--home", home).out == ""
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    assert run(capsys, *arguments).lines[0]["version"] == 1
    assert leftovers(home) == []
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    run(capsys, *arguments).failed("room")
    (line,) = run(capsys, "models", "list", "--json", "--home", home).lines
    assert (line["name"], line["version"]) == ("a", 1)
    assert run(capsys, "predict", "a", trained.data / "sick" / "000.png", "--json", "--home", home).code == 0


def test_an_export_that_does_not_fit(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "exported" / "m.onnx"
    out.parent.mkdir()
    limited(["export", "spots", str(out)], trained.home, 1_000_000).failed("m.onnx", "room")
    assert list(out.parent.iterdir()) == []
