"""Networks that turn texts into numbers: what they give, which are taken, and where they are looked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import tinytext
from medloupe.embed.hub import text as textnet
from medloupe.embed.hub.text import TextNetwork, find_by_sha256, find_text_network, remember_network
from medloupe.errors import BackboneError, StoreError

TEXTS = ("fever and cough", "came by bus", "waited an hour", "Fever  and cough " * 40, "x")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinytext.save(tmp_path_factory.mktemp("networks") / "small")


@pytest.fixture
def network(folder: Path) -> TextNetwork:
    return find_text_network(str(folder))


def expected(folder: Path, text: str) -> np.ndarray:
    """The mean over the token vectors as transformers itself gives them, one text at a time."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    given = tokenizer(text, truncation=True, max_length=tinytext.PLACES, return_tensors="pt")
    with torch.no_grad():
        vectors = transformers.AutoModel.from_pretrained(folder).eval()(**given).last_hidden_state[0].numpy()
    return vectors.mean(0) / np.linalg.norm(vectors.mean(0))


def test_a_text_is_the_mean_of_its_tokens(network: TextNetwork, folder: Path) -> None:
    x = network.embed(TEXTS)
    assert x.shape == (len(TEXTS), tinytext.HIDDEN) and x.dtype == np.float32
    for text, vector in zip(TEXTS, x, strict=True):  # whatever stood beside it in the batch, and however long it is
        np.testing.assert_allclose(vector, expected(folder, text), atol=1e-5)
    assert network.embed([]).shape == (0, tinytext.HIDDEN)
    assert network.words == "transformers network of the folder small" and str(folder.parent) not in network.words


def test_only_trainings_remember_texts(network: TextNetwork) -> None:
    network.embed(TEXTS)
    assert network.known == {}
    first = network.embed(TEXTS, remembering=True)
    assert set(network.known) == set(TEXTS)
    network.known["x"] = np.zeros(tinytext.HIDDEN, np.float32)
    again = network.embed(TEXTS, remembering=True)
    np.testing.assert_array_equal(again[:4], first[:4])
    assert not again[4].any()


# What cannot serve


def test_pickled_weights_are_not_read(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    (old / "model.safetensors").unlink()
    torch.save({}, old / "pytorch_model.bin")
    with pytest.raises(BackboneError, match=r"pytorch_model\.bin is not read"):
        find_text_network(str(old))


def test_what_is_no_network_is_said(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="There is no folder") as error:
        find_text_network(str(tmp_path / "missing"))
    assert "hub:OWNER/NAME" in error.value.hint
    with pytest.raises(BackboneError, match=r"holds no config\.json"):
        find_text_network(str(tmp_path))
    with pytest.raises(BackboneError, match="names no repository"):
        find_text_network("hub:https://example.org/x")


def test_a_network_that_reads_no_texts(tmp_path: Path) -> None:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16
    )
    transformers.ViTModel(config).save_pretrained(tmp_path / "vit")
    with pytest.raises(BackboneError, match="cannot read texts") as error:
        find_text_network(str(tmp_path / "vit")).open()
    assert "encoder of texts" in error.value.hint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 3}, "do not fit its config.json"),
        ({"model_type": "evil", "auto_map": {"AutoModel": "evil.Evil"}}, "transformers cannot load"),
    ],
)
def test_a_config_that_is_not_its_own(change: dict[str, object], said: str, folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    shutil.copytree(folder, odd)
    (odd / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\nclass Evil: pass\n"
    )
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(BackboneError, match=said):
        find_text_network(str(odd)).open()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_damaged_files(name: str, folder: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / name).write_bytes(b"junk")
    with pytest.raises(BackboneError, match="broken") as error:
        find_text_network(str(broken)).open()
    assert error.value.hint


def test_a_network_that_changes_while_it_is_in_use(folder: Path, tmp_path: Path) -> None:
    moving = tmp_path / "moving"
    shutil.copytree(folder, moving)
    network = find_text_network(str(moving))
    network.embed(["fever"])
    shutil.copy(tinytext.save(tmp_path / "other", seed=1) / "model.safetensors", moving)
    with pytest.raises(BackboneError, match="changed while it was in use"):
        network.embed(["fever"])


def test_without_the_extra(network: TextNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    textnet._open.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BackboneError, match="need transformers, which is not installed") as error:
        network.embed(["fever"])
    assert error.value.hint == "Run: pip install 'medloupe[hub]'"


# Where they are looked for


def test_by_its_files_and_only_where_a_person_named_it(
    network: TextNetwork, folder: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BackboneError, match="not at hand: some words") as error:
        find_by_sha256(network.sha256, "some words")
    assert "MEDLOUPE_NOTES_MODELS" in error.value.hint
    moved, other = tmp_path / "moved", tinytext.save(tmp_path / "other", seed=1)
    shutil.copytree(folder, moved)
    monkeypatch.setenv("MEDLOUPE_NOTES_MODELS", f"{other}, {tmp_path / 'none'}")
    with pytest.raises(BackboneError) as error:
        find_by_sha256(network.sha256, "some words")
    assert "other is another network" in error.value.message and "There is no folder" in error.value.message
    monkeypatch.setenv("MEDLOUPE_NOTES_MODELS", f"{other}, {moved}")
    assert find_by_sha256(network.sha256, "").folder == moved
    monkeypatch.delenv("MEDLOUPE_NOTES_MODELS")
    remember_network(network)
    assert find_by_sha256(network.sha256, "").folder == folder
    with pytest.raises(BackboneError):
        find_by_sha256(find_text_network(str(other)).sha256, "")


def test_what_was_remembered_and_then_changed_is_not_taken(folder: Path, tmp_path: Path, home: Path) -> None:
    moving = tmp_path / "moving"
    shutil.copytree(folder, moving)
    network = find_text_network(str(moving))
    remember_network(network)
    (moving / "vocab.txt").write_text("[PAD]\n")
    with pytest.raises(BackboneError, match="moving is another network"):
        find_by_sha256(network.sha256, "")


def test_a_home_that_cannot_be_written(network: TextNetwork, home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    home.write_text("no folder")
    with pytest.raises(StoreError, match="cannot be written"):
        remember_network(network)


def test_names_of_the_hub_are_taken_from_its_cache_alone(folder: Path, tmp_path: Path) -> None:
    at = tmp_path / "hf" / "hub" / "models--owner--small"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (at / "refs").mkdir(parents=True)
    (at / "refs" / "main").write_text(commit)
    shutil.copytree(folder, at / "snapshots" / commit)
    code = (
        "from medloupe.embed.hub.text import find_by_sha256\n"
        f"print(find_by_sha256({find_text_network(str(folder)).sha256!r}, '').words)\n"
        "try: find_by_sha256('0' * 64, 'x')\n"
        "except Exception as e: print(e)\n"
    )
    environment = {
        **os.environ,
        "MEDLOUPE_HOME": str(tmp_path / "home"),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": "http://127.0.0.1:1",
        "MEDLOUPE_NOTES_MODELS": "hub:owner/unknown,hub:owner/small",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    first, second = done.stdout.splitlines()
    assert first == f"owner/small on the Hugging Face hub, revision {commit[:12]}", done.stderr
    assert "owner/unknown was not downloaded yet" in second and "hub:owner/small is another network" in second
