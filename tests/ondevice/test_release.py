"""The files of the app: all told with their sha256, by marks that change with them; a folder of them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from medloupe.errors import MedloupeError
from medloupe.ondevice import release as made_release
from medloupe.ondevice.folder import write_folder
from medloupe.ondevice.release import Release, Withheld, build_release
from medloupe.ondevice.runtime import FILES, find_runtime
from medloupe.serving.web.devicewords import app_styles, app_words


def built(words: Any = None, *, server: bool = True) -> Release:
    withheld = [Withheld(name="heart_size", because="boxes", words={"en": "Heart size"})]
    return build_release([], withheld, words=words or app_words(), styles=app_styles(), server=server)


def test_every_file_is_told_as_it_is() -> None:
    release = built()
    for entry in release.index["app"]:
        data = release.files[entry["path"]]
        content = data.read_bytes() if isinstance(data, Path) else data
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
    told = {entry["path"] for entry in release.index["app"]}
    assert told == set(release.files) - {"sw.js", "release.json"}
    assert json.loads(bytes(release.files["release.json"])) == release.index  # type: ignore[arg-type]


def test_the_page_asks_for_files_that_are_there() -> None:
    release = built()
    page = bytes(release.files["index.html"]).decode()  # type: ignore[arg-type]
    asked = re.findall(r'(?:src|href)="((?:app|icons)/[^"]+|manifest[^"]+)"', page)
    assert len(asked) >= 7
    assert set(asked) <= set(release.files)
    assert "{{" not in page
    modules = [
        bytes(data).decode() for path, data in release.files.items() if path.endswith(".js") and isinstance(data, bytes)
    ]
    imported = {name for text in modules for name in re.findall(r'from "\./([^"]+)"', text)}
    assert {f"app/{release.mark}/{name}" for name in imported} <= set(release.files)


def test_the_mark_changes_with_what_it_names() -> None:
    first, words = built(), app_words()
    words["en"] = {**words["en"], "pocket.title": "Elsewhere"}
    other = built(words)
    assert first.mark == built().mark != other.mark
    assert first.index["id"] != other.index["id"]
    assert built(server=False).index["id"] != first.index["id"]


def test_every_word_of_the_page_is_handed_over() -> None:
    text = "".join(p.read_text("utf-8") for p in Path(made_release.__file__).with_name("static").glob("*.*"))
    used = set(re.findall(r'data-t="([\w.]+)"|words\.t\("([\w.]+)"|say\("([\w.]+)"', text))
    keys = {next(filter(None, each)) for each in used}
    assert len(keys) > 30
    for code, words in app_words().items():
        assert keys <= set(words), code


def test_a_folder_has_all_files(tmp_path: Path, web_runtime: Path) -> None:
    release = built(server=False)
    written = write_folder(release, tmp_path / "out")
    assert written.count == len(release.files)
    for path in release.files:
        assert (tmp_path / "out" / path).is_file()
    assert written.bytes == sum(p.stat().st_size for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_without_the_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_release, "find_runtime", lambda: None)
    release = built()
    assert release.index["runtime"] is False
    assert not any("runtime/" in path for path in release.files)
    with pytest.raises(MedloupeError, match="onnxruntime-web was not taken"):
        write_folder(release, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_runtime_that_is_another_is_none(tmp_path: Path, web_runtime: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((web_runtime / name).read_bytes())
    assert find_runtime(tmp_path) == tmp_path
    find_runtime.cache_clear()
    (tmp_path / "ort.wasm.min.mjs").write_bytes(b"export {}")
    assert find_runtime(tmp_path) is None
    find_runtime.cache_clear()
