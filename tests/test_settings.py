"""The table of settings: each is used, each is told, and what is told counts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import medloupe
from medloupe import settings
from medloupe.errors import MedloupeError

SOURCE = Path(medloupe.__file__ or "").parent
ROOT = SOURCE.parent.parent


def test_every_setting_is_named_explained_and_used_and_no_other_is_read() -> None:
    names = [s.variable for s in settings.SETTINGS]
    assert len(set(names)) == len(names)
    for s in settings.SETTINGS:
        assert s.variable.startswith("MEDLOUPE_")
        assert s.help.endswith(".")
    texts = [p.read_text("utf-8") for p in SOURCE.rglob("*.py")]
    read = {name for text in texts for name in re.findall(r"setting\(\"(\w+)\"\)", text)}
    mentioned = {name for text in texts for name in re.findall(r"\bMEDLOUPE_[A-Z_]*[A-Z]", text)}
    assert read <= set(names)
    assert mentioned <= set(names), "a variable that the table does not have"


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for s in settings.SETTINGS:
        default = f"`{s.default}`" if s.default else ""
        assert f"| `{s.variable}` | {default} | {s.help} |" in page
    assert len(re.findall(r"^\| `MEDLOUPE_", page, re.MULTILINE)) == len(settings.SETTINGS)


def test_all_settings_are_read_and_checked_together(monkeypatch: pytest.MonkeyPatch) -> None:
    for s in settings.SETTINGS:
        monkeypatch.delenv(s.variable, raising=False)
    defaults = dict(settings.read_settings())
    assert defaults == {s.variable: s.kind(s.default) if s.default else None for s in settings.SETTINGS}
    monkeypatch.setenv("MEDLOUPE_HOME", "/somewhere")
    monkeypatch.setenv("MEDLOUPE_STARTERS", "")
    monkeypatch.setenv("MEDLOUPE_THREADS", " 3 ")
    told = {"MEDLOUPE_HOME": Path("/somewhere"), "MEDLOUPE_THREADS": 3}
    assert settings.read_settings() == defaults | told
    monkeypatch.setenv("MEDLOUPE_THREADS", "-2 ")
    with pytest.raises(MedloupeError) as e:
        settings.read_settings()
    assert e.value.message == "MEDLOUPE_THREADS is '-2'; expected a whole number above 0."
    assert e.value.hint == "Set it to 2, say, or unset it."


def test_what_starts_often_does_not_wait_for_pydantic() -> None:
    code = (
        "import sys\n"
        "import medloupe, medloupe.imaging.sandbox.worker\n"
        "from medloupe import settings\n"
        "assert (settings.threads(), settings.home().name) == (3, 'x')\n"
        "before = sorted(m for m in sys.modules if m.startswith('pydantic'))\n"
        "settings.read_settings()\n"
        "print(before, 'pydantic_settings' in sys.modules)"
    )
    environment = {"PYTHONPATH": str(SOURCE.parent), "MEDLOUPE_THREADS": "3", "MEDLOUPE_HOME": "/x"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[] True"


def test_the_environment_goes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", "/somewhere")
    assert settings.setting("MEDLOUPE_HOME") == "/somewhere"
    monkeypatch.setenv("MEDLOUPE_HOME", "")
    assert settings.setting("MEDLOUPE_HOME") == ""
    with pytest.raises(KeyError):
        settings.setting("MEDLOUPE_HOMM")


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "x"))
    assert settings.home() == tmp_path / "x"
    assert not (tmp_path / "x").exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MEDLOUPE_HOME", "~/y")
    assert settings.home() == tmp_path / "y"
    monkeypatch.delenv("MEDLOUPE_HOME")
    assert settings.home().name == "medloupe"


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_THREADS", " 3 ")
    assert settings.threads() == 3
    monkeypatch.delenv("MEDLOUPE_THREADS")
    assert settings.threads() >= 1
    for wrong in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("MEDLOUPE_THREADS", wrong)
        with pytest.raises(MedloupeError, match="whole number above 0"):
            settings.threads()


@pytest.mark.parametrize(
    ("limit", "cores"), [("max 100000", None), ("150000 100000", 1), ("400000 100000", 4), ("", None)]
)
def test_a_container_may_use_fewer_cores_than_the_machine_has(
    limit: str, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_text(self: Path, *args: object) -> str:
        assert str(self) == "/sys/fs/cgroup/cpu.max"
        return limit

    monkeypatch.setattr(Path, "read_text", read_text)
    assert settings._quota() == cores
