"""The recipes: every public original on a miniature tree of its shape, no other folder taken for one, the commands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import generated
from generated import run
from medloupe.data.originals import outline
from medloupe.data.originals.known import ORIGINALS, find_original, overview_table, recognise_original
from medloupe.data.originals.outline import outline_folder
from medloupe.data.readers.base import ReadOptions
from medloupe.data.reading import read
from medloupe.data.records import Box, Dataset
from medloupe.errors import ColumnError, DataError, UnknownError
from originals_trees import TREES, picture, pictures
from places import ROOT
from readers_cases import CASES, mnist, write

NAMES = [original.name for original in ORIGINALS]
FOLDERS = (
    *("chest_xray", "oct2017", "cell_images", "brain_tumor_mri", "busi", "idc", "breakhis", "msld"),
    *("covid19_radiography", "lc25000"),
)
TABLES = (
    "chestxray14",
    "chexpert",
    "covid_chestxray",
    "ham10000",
    "isic2018",
    "isic2019",
    "aptos2019",
    "odir5k",
    "idrid",
)
WITH_BOXES = ("bccd", "kvasir_seg")
MORE_TABLES = ("mimic_cxr_jpg", "padchest", "vindr_cxr", "rsna_pneumonia", "pad_ufes_20", "isic2020")


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str], Path]:
    """Builds the tree of an original under a folder whose name says nothing."""

    def make(name: str) -> Path:
        root = tmp_path / "downloads"
        TREES[name].make(root)
        return root

    return make


def found(data: Dataset) -> dict[str, tuple[str, str | None, str | None]]:
    return {
        r.id: ("|".join(sorted(name for name, value in r.labels.items() if value)), r.patient, r.split)
        for r in data.records
    }


def said(data: Dataset) -> str:
    return "\n".join(data.notes)


# Every original


def test_every_original_has_a_tree():
    assert sorted(NAMES) == sorted(TREES)
    assert len(set(NAMES)) == len(NAMES)
    assert sorted((*FOLDERS, *TABLES, *MORE_TABLES, *WITH_BOXES, "ptb_xl", "medmnist")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestEvery:
    @pytest.fixture
    def root(self, name: str, unpacked: Callable[[str], Path]) -> Path:
        return unpacked(name)

    def test_is_recognised_as_itself_and_as_no_other(self, name: str, root: Path):
        seen = outline_folder(root)
        assert [o.name for o in ORIGINALS if o.recognises(seen, ReadOptions())] == [name]
        original = recognise_original(root)
        assert original is not None
        assert original.name == name

    def test_is_recognised_from_a_folder_above(self, name: str, root: Path):
        if name == "medmnist":
            pytest.skip("an .npz is given itself or by its own folder")
        above = recognise_original(root.parent)
        assert above is not None
        assert above.name == name

    def test_is_read_as_it_should_be(self, name: str, root: Path):
        tree, data = TREES[name], read(root)
        assert data.reader == f"original:{name}"
        assert data.task == tree.task
        assert data.labels == tree.labels
        assert found(data) == tree.records
        assert set(data.labels) <= set(find_original(name).labels) or name == "medmnist"
        assert [r.id for r in data.records] == sorted(tree.records)
        for reason, count in tree.skipped.items():
            assert len(data.skipped[reason]) == count, reason

    def test_says_what_it_did(self, name: str, root: Path):
        original, data = find_original(name), read(root)
        assert data.notes[0].startswith(f"Read as {original.title}: ")
        assert original.patients in data.notes[1]
        for words in (*TREES[name].said, *original.known_leaks):
            assert words in said(data)

    def test_knows_where_it_comes_from(self, name: str, root: Path):
        original, data = find_original(name), read(root)
        assert data.origin == {
            "title": original.title,
            "licence": original.licence,
            "citation": original.citation,
            "source": original.url,
        }

    def test_papers_beside_it_go_first(self, name: str, root: Path):
        write(root / "LICENSE", "Terms of this very copy\n")
        data = read(root)
        assert data.reader == f"original:{name}"
        assert data.origin["licence"] == "Terms of this very copy"
        assert data.origin["citation"] == find_original(name).citation

    def test_every_file_is_a_record_or_told_of(self, name: str, root: Path):
        data = read(root)
        files = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "__MACOSX" not in p.parts}
        if name == "medmnist":
            assert files == {"pneumoniamnist.npz"}
            return
        told = {r.id for r in data.records} | {file for files in data.skipped.values() for file in files}
        # Tables, lists and annotations that were read are neither; they were read.
        read_files = (".csv", "_list.txt", ".dat", ".xml", "_bboxes.json")
        rest = {file for file in files - told if not file.endswith(read_files) and "/ImageSets/" not in file}
        assert rest == set()
        for record in data.records:
            assert isinstance(record.content, Path)
            assert record.content.is_file()

    def test_no_answer_stands_among_the_columns(self, name: str, root: Path):
        data = read(root)
        answers = {label.lower() for label in find_original(name).labels}
        for record in data.records:
            columns = {column.lower(): cell.lower() for column, cell in record.columns.items()}
            assert not answers & columns.keys()
            assert not answers & set(columns.values())
            assert "dx_type" not in columns

    def test_what_is_said_of_it_is_whole(self, name: str):
        original = find_original(name)
        facts = original.as_json()
        assert list(facts) == [
            *("name", "title", "what", "labels", "patients", "known_leaks", "expected", "url", "licence", "citation"),
            "commands",
        ]
        assert all(facts[key] for key in facts if key != "labels")
        assert original.what.endswith(".")
        assert original.patients.endswith(".")
        assert all(leak.endswith(".") for leak in original.known_leaks)
        assert all(len(line) < 120 for line in facts["expected"])


# What lies about


@pytest.mark.parametrize("name", sorted(CASES))
def test_ordinary_layouts_are_no_originals(name: str, tmp_path: Path):
    root = CASES[name](tmp_path / "set")
    assert recognise_original(root) is None
    assert read(root).reader == name


@pytest.mark.parametrize("folder", ["chest_xray", "cell_images", "HAM10000", "OCT2017", "Dataset_BUSI_with_GT"])
@pytest.mark.parametrize(
    "files",
    [
        "train/NORMAL/1.png train/PNEUMONIA/2.png test/NORMAL/3.png test/PNEUMONIA/4.png",
        "Parasitized/1.png Uninfected/2.png",
        "benign/1.png malignant/2.png normal/3.png",
        "Training/glioma/1.jpg Training/meningioma/2.jpg Training/notumor/3.jpg Training/pituitary/4.jpg",
        "CNV/1.png DME/2.png DRUSEN/3.png NORMAL/4.png",
        "0/1.png 1/2.png",
        "Monkey Pox/a.jpg Others/b.jpg",
    ],
)
def test_neither_the_name_nor_the_classes_alone_make_an_original(folder: str, files: str, tmp_path: Path):
    root = tmp_path / folder
    pictures(root, re.split(r" (?=\w+/|Others)", files))
    assert recognise_original(root) is None
    assert read(root).reader == "folders"


@pytest.mark.parametrize("name", FOLDERS)
def test_a_class_short_is_not_the_original(name: str, unpacked: Callable[[str], Path]):
    root = unpacked(name)
    data = read(root)
    for record in data.records:
        if data.labels[0] in record.labels:
            Path(str(record.image)).unlink()
    for copy in [file for names in data.skipped.values() for file in names if file.endswith((".png", ".jpg", ".jpeg"))]:
        (root / copy).unlink()
    assert recognise_original(root) is None


@pytest.mark.parametrize("name", FOLDERS)
def test_ones_own_table_goes_before_folders(name: str, unpacked: Callable[[str], Path]):
    root = unpacked(name)
    first, last = sorted(TREES[name].records)[:: len(TREES[name].records) - 1]
    write(root / "labels.csv", f"file,label\n{first},one\n{last},two\n")
    data = read(root)
    assert (data.reader, data.labels) == ("table", ("one", "two"))


def test_a_table_of_other_things_does_not_matter(unpacked: Callable[[str], Path]):
    root = unpacked("cell_images")
    write(root / "hospitals.csv", "name,type\nA,Hospital\nB,Clinic")
    data = read(root)
    assert data.reader == "original:cell_images"
    assert data.skipped["a table that is not used"] == ("hospitals.csv",)


@pytest.mark.parametrize("name", (*TABLES, *MORE_TABLES))
def test_the_table_without_its_images_is_not_the_original(name: str, unpacked: Callable[[str], Path], tmp_path: Path):
    root = unpacked(name)
    for k, path in enumerate(sorted(p for p in root.rglob("*") if p.suffix in (".png", ".jpg", ".jpeg"))):
        path.unlink()
        picture(root / "ab"[k % 2] / f"mine{k}.bmp" if name == "covid_chestxray" else root / "ab"[k % 2] / f"x{k}.png")
    assert recognise_original(root) is None


def test_a_table_of_the_usual_names_is_not_aptos(tmp_path: Path):
    pictures(tmp_path, ("a.png", "b.png"))
    write(tmp_path / "train.csv", "id_code,diagnosis\na,1\nb,0")
    assert read(tmp_path).reader == "table"


@pytest.mark.parametrize("side", [3, 28, 224])
def test_medmnist_is_known_by_name_and_size(side: int, tmp_path: Path):
    images = {f"{s}_images": np.zeros((n, side, side), np.uint8) for s, n in (("train", 4), ("val", 2), ("test", 2))}
    for name, known in (("breastmnist_224.npz", side > 3), ("mine.npz", False)):
        path = mnist(tmp_path / name, **images)
        assert (recognise_original(path) is not None) == known
        assert read(path).reader == ("original:medmnist" if known else "medmnist")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken"])
def test_broken_files_are_no_originals(content: bytes, tmp_path: Path):
    for name in ("breastmnist.npz", "metadata.csv", "train.csv", "HAM10000_metadata"):
        (tmp_path / name).write_bytes(content)
    assert recognise_original(tmp_path / "breastmnist.npz") is None
    assert recognise_original(tmp_path) is None


# The first look


def test_the_look_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for k in range(9):
        for i in range(9):
            write(tmp_path / f"{k}" / f"{i}.png", "")
    monkeypatch.setattr(outline, "MOST_IN_FOLDER", 4)
    assert len(outline_folder(tmp_path).images) == 16
    monkeypatch.setattr(outline, "MOST", 9)
    seen = outline_folder(tmp_path)
    assert len(seen.images) == 5


def test_loops_end(unpacked: Callable[[str], Path]):
    root = unpacked("busi")
    (root / "loop").symlink_to(root, target_is_directory=True)
    original = recognise_original(root)
    assert original is not None
    assert found(read(root)) == TREES["busi"].records


def test_a_folder_that_may_not_be_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    TREES["busi"].make(tmp_path)
    (tmp_path / "private").mkdir()
    real = outline.os.scandir

    def scandir(path: Path):
        if path.name == "private":
            raise PermissionError(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert len(outline_folder(tmp_path).images) == 13


# What is told wins


@pytest.mark.parametrize("name", ["cell_images", "chest_xray"])
def test_told_patients_leave_the_recipe_of_folders_out(name: str, unpacked: Callable[[str], Path]):
    root = unpacked(name)
    data = read(root, patient=r"(IM-\d+|person\d+|C\d+)")
    assert data.reader == "folders"
    assert "C33" in {r.patient for r in data.records} or "person12" in {r.patient for r in data.records}


def test_told_columns_replace_those_of_the_recipe(unpacked: Callable[[str], Path]):
    root = unpacked("ham10000")
    data = read(root, labels="localization")
    assert data.reader == "original:ham10000"
    assert data.labels == ("ear", "scalp")
    assert {r.patient for r in data.records} == {"HAM_0000118", "HAM_0002730"}
    assert dict(data.asked) == {"labels": "localization"}
    data = read(root, patient="sex")
    assert data.labels == ("bkl", "mel")
    assert {r.patient for r in data.records} == {"male", "female"}
    assert "--patient sex" in said(data)
    assert find_original("ham10000").patients not in said(data)


def test_one_finding_of_chexpert(unpacked: Callable[[str], Path]):
    data = read(unpacked("chexpert"), labels="Cardiomegaly")
    assert (data.reader, data.task) == ("original:chexpert", "multiclass")
    assert [dict(r.labels) for r in data.records] == [
        {"no Cardiomegaly": 1},
        {},
        {"no Cardiomegaly": 1},
        {"Cardiomegaly": 1},
    ]
    assert "Pneumonia" not in data.records[0].columns


def test_a_told_split_replaces_the_official_one(unpacked: Callable[[str], Path]):
    root = unpacked("ham10000")
    table = root / "HAM10000_metadata.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(f"{line},{'part' if not k else 'test'}" for k, line in enumerate(lines)))
    assert dict(read(root).splits) == {"": 3}
    assert dict(read(root, split="part").splits) == {"test": 3}


def test_a_told_table_leaves_the_recipe_out(unpacked: Callable[[str], Path], tmp_path: Path):
    root = unpacked("ham10000")
    mine = write(tmp_path / "mine.csv", "file,label\nISIC_0031633.jpg,x\n")
    data = read(root, table=mine)
    assert (data.reader, data.labels) == ("table", ("x",))
    assert read(root, image="image_id").reader == "table"


def test_told_names_that_are_not_there(unpacked: Callable[[str], Path]):
    with pytest.raises(ColumnError, match="no column 'dy'"):
        read(unpacked("ham10000"), labels="dy")


def test_told_columns_of_a_set_without_a_table(unpacked: Callable[[str], Path]):
    with pytest.raises(DataError, match="has no table"):
        read(unpacked("busi"), labels="dx")


# What only some have


def test_boxes_of_chestxray14(unpacked: Callable[[str], Path]):
    data = read(unpacked("chestxray14"))
    boxes = {r.id: r.boxes for r in data.records if r.boxes}
    assert boxes == {"images_001/images/00000001_001.png": (Box("Infiltration", 225.1, 547.0, 86.8, 79.2),)}
    assert data.records[0].columns == {"Follow-up #": "0", "age": "58", "sex": "M", "view": "PA"}


def test_chestxray14_without_the_lists(unpacked: Callable[[str], Path]):
    root = unpacked("chestxray14")
    for name in ("train_val_list.txt", "test_list.txt", "BBox_List_2017.csv"):
        (root / name).unlink()
    data = read(root)
    assert dict(data.splits) == {"": 4}
    assert "no split is kept" in said(data)


def test_chestxray14_of_2020_in_one_folder(unpacked: Callable[[str], Path]):
    root = unpacked("chestxray14")
    table = (root / "Data_Entry_2017.csv").read_text().replace(",\n", "\n")
    (root / "Data_Entry_2017.csv").unlink()
    write(root / "Data_Entry_2017_v2020.csv", table)
    for path in sorted(root.glob("images_00?/images/*.png")):
        (root / "images").mkdir(exist_ok=True)
        path.rename(root / "images" / path.name)
    data = read(root)
    assert data.reader == "original:chestxray14"
    assert dict(data.splits) == {"train": 3, "test": 1}


def test_uncertain_is_missing_and_unmentioned_is_absent(unpacked: Callable[[str], Path]):
    data = read(unpacked("chexpert"))
    second = data.records[1].labels
    assert "Cardiomegaly" not in second
    assert second["Lung Opacity"] == 1
    assert second["Pneumonia"] == 0
    assert np.isnan(data.targets).sum() == 5


def test_mendeleys_names_of_chest_xray(tmp_path: Path):
    for split in ("train", "test"):
        number = {"train": 28501, "test": 1001666}[split]
        picture(tmp_path / split / "NORMAL" / f"NORMAL-{number}-0001.jpeg")
        picture(tmp_path / split / "PNEUMONIA" / f"BACTERIA-{number}7-0002.jpeg")
    assert found(read(tmp_path)) == {
        "test/NORMAL/NORMAL-1001666-0001.jpeg": ("NORMAL", "NORMAL-1001666", "test"),
        "test/PNEUMONIA/BACTERIA-10016667-0002.jpeg": ("PNEUMONIA", "BACTERIA-10016667", "test"),
        "train/NORMAL/NORMAL-28501-0001.jpeg": ("NORMAL", "NORMAL-28501", "train"),
        "train/PNEUMONIA/BACTERIA-285017-0002.jpeg": ("PNEUMONIA", "BACTERIA-285017", "train"),
    }


def test_one_split_of_chest_xray_given_itself(unpacked: Callable[[str], Path]):
    data = read(unpacked("chest_xray") / "test")
    assert data.reader == "original:chest_xray"
    assert found(data) == {
        "NORMAL/IM-0115-0001.jpeg": ("NORMAL", "IM-0115", None),
        "PNEUMONIA/person12_bacteria_34.jpeg": ("PNEUMONIA", "person12", None),
    }


def test_ham10000_as_the_dataverse_has_it(unpacked: Callable[[str], Path]):
    root = unpacked("ham10000")
    (root / "HAM10000_metadata.csv").rename(root / "HAM10000_metadata")
    data = read(root)
    assert data.reader == "original:ham10000"
    assert found(data) == TREES["ham10000"].records
    assert "not an image" not in data.skipped


def test_isic2018_without_its_lesions(unpacked: Callable[[str], Path]):
    root = unpacked("isic2018")
    (root / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    data = read(root)
    assert {r.patient for r in data.records} == {None}
    assert "No table of lesions" in said(data)


def test_aptos_in_three_tables(unpacked: Callable[[str], Path]):
    root = unpacked("aptos2019")
    lines = (root / "train.csv").read_text().splitlines()
    write(root / "train_1.csv", "\n".join(lines[:5]))
    write(root / "valid.csv", "\n".join([lines[0], *lines[5:]]))
    (root / "train.csv").unlink()
    assert dict(read(root).splits) == {"train": 4, "val": 2}


def test_a_label_that_the_recipe_does_not_know_states_nothing(unpacked: Callable[[str], Path]):
    root = unpacked("ham10000")
    table = root / "HAM10000_metadata.csv"
    table.write_text(table.read_text().replace("mel,histo", "scar,histo"))
    data = read(root)
    assert data.labels == ("bkl",)
    assert sum(not r.labels for r in data.records) == 1
    assert "1 images are unlabelled, as the original says scar of them" in said(data)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("chest_xray", "chest_pneumonia"),
        ("cell_images", "malaria"),
        ("oct2017", "oct_tiny"),
        ("brain_tumor_mri", "brain_mri"),
        ("busi", "breast_ultrasound"),
        ("ham10000", "skin"),
        ("breakhis", "breakhis_tiny"),
        ("msld", "monkeypox"),
        ("aptos2019", "fundus"),
    ],
)
def test_labels_have_the_names_of_the_smaller_sets(name: str, folder: str, real_sets: Path):
    """So that a check-up trained on one can be judged on the other; and the smaller sets' own tables go first."""
    data = read(real_sets / folder)
    assert data.reader == "table"
    assert set(data.labels) == set(find_original(name).labels)


@pytest.mark.slow
def test_the_whole_way_with_one_command(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    root = tmp_path / "archive"
    for k, label in enumerate(("Uninfected", "Parasitized")):
        for i in range(16):
            name = f"C{100 + i // 2}P{60 + i // 2}ThinF_IMG_20150918_144104_cell_{i}.png"
            for place in (root / label, root / "cell_images" / label):
                generated.save(place / name, generated.tissue(i, k == 1))
    ran = run(capsys, "train", root, "--name", "malaria", "--json")
    assert ran.code == 0, ran.err
    (shown,) = run(capsys, "models", "show", "malaria", "--json").lines
    assert shown["labels"] == ["Parasitized", "Uninfected"]
    data = shown["data"]
    assert data["reader"] == "original:cell_images"
    assert (data["records"], data["patients"]) == (32, 8)
    assert data["licence"] == shown["licence"] == find_original("cell_images").licence
    assert data["citation"] == find_original("cell_images").citation
    assert data["skipped"] == {"a second copy within the download": 32}
    assert any(note.startswith("Read as Malaria Cell Images") for note in data["notes"])


# The commands


def test_recipes_lists_all(capsys: pytest.CaptureFixture[str]):
    for words in (("recipes",), ("recipes", "list")):
        ran = run(capsys, *words)
        assert ran.code == 0
        for original in ORIGINALS:
            assert re.search(rf"^{original.name}\b.*{re.escape(original.what)}$", ran.out, re.M)
            assert original.patients in ran.out
        assert run(capsys, *words, "--json").lines == [original.as_json() for original in ORIGINALS]


@pytest.mark.parametrize("name", NAMES)
def test_recipes_show_tells_everything(name: str, capsys: pytest.CaptureFixture[str]):
    original = find_original(name)
    ran = run(capsys, "recipes", "show", name)
    assert ran.code == 0
    facts = original.as_json()
    for key, value in facts.items():
        for text in value if isinstance(value, list) else [value]:
            assert text in ran.out, key
    assert run(capsys, "recipes", "show", name, "--json").lines == [facts]


def test_an_unknown_recipe(capsys: pytest.CaptureFixture[str]):
    run(capsys, "recipes", "show", "ham1000").failed("no recipe 'ham1000'", "Did you mean 'ham10000'?")
    run(capsys, "recipes", "show", "zebra").failed("no recipe 'zebra'", "There are: chest_xray,")
    with pytest.raises(UnknownError):
        find_original("zebra")


def test_the_commands_shown_are_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from medloupe.store.names import check_name

    for original in ORIGINALS:
        for command in original.commands:
            assert command.startswith("medloupe ")
        train = original.commands[1].split()
        check_name(train[train.index("--name") + 1])


def test_the_documentation_has_the_table_of_all():
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    assert overview_table() in page, "put the output of medloupe.data.originals.overview() into docs/recipes.md"
