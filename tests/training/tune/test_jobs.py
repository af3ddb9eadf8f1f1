"""Trainings in processes of their own: done once, taken up after any kill, and failing with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import tunable
from medloupe.errors import FinetuneError
from medloupe.training.tune import jobs as tuningjobs
from medloupe.training.tune.jobfolder import FinishedJob
from medloupe.training.tune.jobs import run_jobs
from places import TESTS
from tuningwork import LONG, LONGER, QUICK, ROWS, N, job, prepared

pytest.importorskip("torch")
posix = pytest.mark.skipif(os.name == "nt", reason="needs signals")


@pytest.fixture
def given(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("MEDLOUPE_THREADS", "2")
    return prepared(tmp_path)


def same(one: FinishedJob, other: FinishedJob) -> bool:
    return all(np.array_equal(v, other.weights[k]) for k, v in one.weights.items()) and all(
        np.array_equal(v, other.embeddings[k]) for k, v in one.embeddings.items()
    )


def test_jobs_are_done_in_their_order_and_only_once(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [job("b"), job("a", seed=4), job("c", rows=ROWS[:8], checked=ROWS[:0])]
    said: list[tuple[int, int]] = []
    done = run_jobs(jobs, **given, progress=lambda *at: said.append(at))
    assert [d.name for d in done] == ["b", "a", "c"]
    assert said[-1] == (2 * 16 + 2 * 16 + 2 * 8,) * 2
    assert [at for at, _ in said] == sorted(at for at, _ in said)
    one, other, short = done
    assert one.embeddings.keys() == {0.5, 1.0}
    assert one.embeddings[1.0].shape == (N, tunable.UPPER)
    assert not np.array_equal(one.embeddings[0.5], one.embeddings[1.0])
    assert not same(one, other)
    assert [e["epoch"] for e in one.history] == [1, 2]
    assert "val_loss" in one.history[0] and "val_loss" not in short.history[0]
    assert (one.images, short.images, short.stopped) == (32, 16, 2)
    assert one.seconds > 0
    assert one.head[0].shape == (2, tunable.UPPER)
    files = sorted(p.name for p in (given["folder"] / "b").iterdir())
    assert files == ["done.npz", "history.json", "job.json", "log", "rows.npz"]

    def none(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", none)
    again = run_jobs(jobs, **given)
    assert all(same(a, b) for a, b in zip(done, again, strict=True))


def test_the_longest_begins_first(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    start = tuningjobs.start_job

    def noted(place: Path, cores: int) -> Any:
        begun.append(place.name)
        return start(place, cores)

    monkeypatch.setattr(tuningjobs, "start_job", noted)
    done = run_jobs([job("short", rows=ROWS[:8], checked=ROWS[:0]), job("long")], **given)
    assert begun == ["long", "short"] and [d.name for d in done] == ["short", "long"]


def test_what_is_embedded_is_what_will_ship(given: dict[str, Any], tmp_path: Path) -> None:
    """Weights are rounded as the file holds them, and an ONNX session gives the same numbers."""
    from medloupe.embed import tail as tails
    from medloupe.embed.network import Network
    from medloupe.graphs.module import replace_weights
    from medloupe.graphs.nodes import read_constants
    from medloupe.training.tune.network import interpolate_weights

    (done,) = run_jobs([job(recipe=replace(QUICK, rate=3e-2, views=1))], **given)
    graph = tails.extract_upper_part(tunable.graph())
    held = read_constants(graph)
    network = tunable.backbone(tmp_path / "again")
    images = np.stack([tunable.picture(i, i % 2 == 1) for i in range(N)])
    for share, embeddings in done.embeddings.items():
        tail = tails.write_tail(
            replace_weights(graph, interpolate_weights(done.weights, held, share)), tmp_path / "tails"
        )
        seen = Network(network, tail).see(images).embedding[:, : tunable.UPPER]
        np.testing.assert_allclose(seen, embeddings, atol=6e-3)  # activations are cached in half precision
        assert np.abs(given["inputs"].embeddings - embeddings).max() > 0.05


def test_rows_that_nobody_asks_for_are_not_embedded(given: dict[str, Any]) -> None:
    (done,) = run_jobs([job(asked=np.array([2, 20]))], **given)
    found = done.embeddings[1.0]
    assert (found[[2, 20]] != 0).any(1).all()
    assert (np.delete(found, [2, 20], 0) == 0).all()


def workers(of: int) -> list[psutil.Process]:
    """The processes of trainings that a process started."""
    try:
        return [p for p in psutil.Process(of).children() if "medloupe.training.tune.job" in " ".join(p.cmdline())]
    except psutil.Error:
        return []


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.005)


def epoch_of(checkpoint: Path) -> int:
    import torch

    return torch.load(checkpoint, weights_only=True)["state"]["epoch"]


@posix
@pytest.mark.slow
def test_a_killed_training_is_taken_up(given: dict[str, Any]) -> None:
    import threading

    place = given["folder"] / "one"

    def kill() -> None:
        wait_for(place / "checkpoint.pt")
        for worker in workers(os.getpid()):
            worker.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(FinetuneError, match="exit status -9") as caught:
        run_jobs([job(recipe=LONG)], **given)
    killer.join()
    assert "goes on from there" in caught.value.hint
    reached = epoch_of(place / "checkpoint.pt")
    assert 0 < reached < LONG.epochs
    said: list[int] = []
    (done,) = run_jobs([job(recipe=LONG)], **given, progress=lambda at, total: said.append(at))
    assert [e["epoch"] for e in done.history] == list(range(1, LONG.epochs + 1))
    assert min(at for at in said if at) > reached * len(ROWS)
    (whole,) = run_jobs([job(recipe=LONG)], **{**given, "folder": given["folder"] / "elsewhere"})
    assert same(done, whole)
    assert not (place / "checkpoint.pt").exists()


PARENT = """
    import sys
    from pathlib import Path
    from medloupe.training.tune.jobs import run_jobs
    from tuningwork import LONGER, job, prepared
    run_jobs([job("one", LONGER), job("two", LONGER, seed=5)], **prepared(Path(sys.argv[1])))
"""


@posix
@pytest.mark.slow
def test_when_the_parent_is_killed_the_trainings_end_and_are_taken_up(given: dict[str, Any], tmp_path: Path) -> None:
    path = os.pathsep.join([str(TESTS / "support"), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(tmp_path)], env=environment, stderr=subprocess.PIPE
    )
    try:
        places = [given["folder"] / name for name in ("one", "two")]
        for place in places:
            wait_for(place / "checkpoint.pt")
        orphans = workers(parent.pid)
        assert len(orphans) == 2
    finally:
        parent.kill()
        parent.communicate()
    gone, alive = psutil.wait_procs(orphans, timeout=10)
    assert not alive and len(gone) == 2
    assert not any((place / "history.json").exists() for place in places)
    reached = [epoch_of(place / "checkpoint.pt") for place in places]
    assert all(0 < r < LONGER.epochs for r in reached)
    done = run_jobs([job("one", LONGER), job("two", LONGER, seed=5)], **given)
    assert [len(d.history) for d in done] == [LONGER.epochs] * 2
    # Beside the other again: one alone has more threads, and on some processors that changes the last bits.
    jobs = [job("one", LONGER), job("two", LONGER, seed=5)]
    whole = run_jobs(jobs, **{**given, "folder": given["folder"] / "elsewhere"})
    assert same(done[0], whole[0]) and same(done[1], whole[1])


def test_two_that_train_the_same_train_it_once(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    started: list[Path] = []
    real = tuningjobs.start_job
    monkeypatch.setattr(tuningjobs, "start_job", lambda place, cores: started.append(place) or real(place, cores))
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: run_jobs([job()], **given), range(2))
    assert len(started) == 1
    assert same(one[0], other[0])


def test_a_failure_gives_its_reason(given: dict[str, Any], tmp_path: Path) -> None:
    missing = replace(given["inputs"], files=(tmp_path / "nowhere.f16", tmp_path / "gone.f16"))
    with pytest.raises(FinetuneError, match=r"exit status 1: .*nowhere\.f16") as caught:
        run_jobs([job(), job("two")], **{**given, "inputs": missing})
    assert "--finetune none" in caught.value.hint
    assert not workers(os.getpid())
    (done,) = run_jobs([job()], **given)  # and the same folder serves once it is mended
    assert done.history


def test_a_result_without_its_end_is_not_a_result(given: dict[str, Any]) -> None:
    (first,) = run_jobs([job()], **given)
    (given["folder"] / "one" / "history.json").unlink()
    (given["folder"] / "one" / "done.npz").write_bytes(b"torn")
    (again,) = run_jobs([job()], **given)
    assert same(first, again)
