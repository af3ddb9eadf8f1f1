"""What `import medloupe` offers, and what it costs."""

from __future__ import annotations

import ast
import importlib
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
from fresh import SAY, loaded
from trained import Trained

STUB = Path(medloupe.__file__ or "").with_suffix(".pyi")
HOMES = {  # public name -> module that defines it, as the stub says
    alias.name: f"medloupe.{node.module}"
    for node in ast.parse(STUB.read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
PUBLIC = {
    *("Box", "Dataset", "MedloupeError", "Model", "Prediction", "Record", "Signal", "__version__"),
    *("load", "predictor", "read", "read_ecg", "save", "train", "validate"),
}


def test_all_public_names_and_no_others() -> None:
    assert medloupe.__all__ == sorted(medloupe.__all__)
    assert set(medloupe.__all__) == PUBLIC == set(HOMES)
    assert set(dir(medloupe)) == set(medloupe.__all__)
    for name in medloupe.__all__:
        assert getattr(medloupe, name) is not None
    modules = {p.stem for p in Path(medloupe.__file__ or "").parent.iterdir()}
    public = {name for name in vars(medloupe) if not name.startswith("_")}
    assert public - set(medloupe.__all__) - modules - {"lazy_loader"} == set()
    with pytest.raises(AttributeError, match="No medloupe attribute trian"):
        medloupe.trian  # type: ignore[attr-defined]  # noqa: B018


def test_public_things_say_what_they_are_for() -> None:
    for name in set(medloupe.__all__) - {"__version__"}:
        assert (getattr(medloupe, name).__doc__ or "").strip(), name


def test_the_names_are_those_of_the_modules_that_define_them() -> None:
    for name, module in HOMES.items():
        given = getattr(importlib.import_module(module), name)
        assert given is getattr(medloupe, name)
        assert name == "__version__" or given.__module__ == module, name


def test_the_whole_way_in_python(home: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "spots", 10))
    model = medloupe.train(data, name="spots")
    assert isinstance(model, medloupe.Model)
    assert model.card["labels"] == ["normal", "sick"]
    assert "<html" in model.report
    scan = generated.save(tmp_path / "scan.png", generated.tissue(77, True))
    said = model.predict(str(scan))
    assert isinstance(said, medloupe.Prediction)
    saved = model.save(tmp_path / "spots.onnx")
    assert saved.onnx == tmp_path / "spots.onnx"
    again = medloupe.load(str(tmp_path / "spots.onnx"))
    assert again.predict(scan).probabilities == pytest.approx(said.probabilities, abs=1e-4)
    assert again.card["metrics"] == model.card["metrics"]
    np.testing.assert_array_equal(again.head.weight, model.head.weight)
    other = medloupe.read(generated.folders(tmp_path / "other", 8, first=300))
    assert medloupe.validate(again, other).as_json()["n"] == 16


def test_one_error_catches_all(tmp_path: Path, trained: Trained) -> None:
    with pytest.raises(medloupe.MedloupeError):
        medloupe.read(tmp_path / "none")
    with pytest.raises(medloupe.MedloupeError):
        medloupe.load(tmp_path / "none.onnx")
    with pytest.raises(medloupe.MedloupeError):
        medloupe.load(trained.onnx).predict(tmp_path / "none.png")


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a fresh Python with these arguments: the least of five."""

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    took = []
    for _ in range(5):
        before = used()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        took.append(used() - before)
    return min(took)


def test_importing_costs_next_to_nothing() -> None:
    assert cpu_seconds("-c", "import medloupe") < 0.3
    assert cpu_seconds("-m", "medloupe", "--help") < 0.5


FORBIDDEN = (
    *("sklearn", "torch", "onnx", "pydicom", "alembic", "jinja2"),
    *("medloupe.training", "medloupe.evaluation", "medloupe.report.pages", "medloupe.modelfile.writer"),
)


@pytest.mark.parametrize(
    "program",
    [
        "import medloupe.inference.pictures",
        "import medloupe.inference.find, medloupe.store.models\nfrom medloupe.starter import shipped\n"
        "shipped.load_shipped('imagenet')",
        "from medloupe.store.models import Store; Store.open().get('spots').predict({image!r}, heatmap=True)",
        "from medloupe.cli.app import main; main(['predict', 'spots', {image!r}, '--json'])",
    ],
)
def test_answering_imports_nothing_that_trains(program: str, trained: Trained) -> None:
    image = str(trained.data / "sick" / "000.png")
    code = SAY + program.format(image=image)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded(done.stdout, FORBIDDEN) == []


def test_importing_changes_nothing_outside(tmp_path: Path) -> None:
    """No global seed, no warnings filter, no folder made, no environment."""
    code = (
        "import os, random, warnings, numpy, medloupe\n"
        "seeds = lambda: (random.getstate(), numpy.random.get_state()[1].tolist())\n"
        "state = lambda: (seeds(), warnings.filters[:], dict(os.environ))\n"
        "before = state()\n"
        "for name in medloupe.__all__: getattr(medloupe, name)\n"
        "import medloupe.cli.app, medloupe.store.models, medloupe.inference.pictures\n"
        "assert state() == before\n"
    )
    environment = {"MEDLOUPE_HOME": str(tmp_path / "home"), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not (tmp_path / "home").exists()


FACES = sorted(p.parent.name for p in Path(medloupe.__file__ or "").parent.glob("*/__init__.pyi"))


@pytest.mark.parametrize("package", FACES)
def test_a_package_with_a_face_offers_what_its_stub_says(package: str) -> None:
    """Also when modules of the package were imported before: no name of a face is that of a module beside it."""
    module = importlib.import_module(f"medloupe.{package}")
    stub = ast.parse(Path(module.__file__ or "").with_suffix(".pyi").read_text("utf-8"))
    homes = {
        a.name: f"medloupe.{package}.{n.module}" for n in stub.body if isinstance(n, ast.ImportFrom) for a in n.names
    }
    assert set(module.__all__) == set(homes)
    assert not {p.stem for p in Path(module.__file__ or "").parent.iterdir()} & set(homes)
    for name, home in homes.items():
        assert getattr(importlib.import_module(home), name) is getattr(module, name)
