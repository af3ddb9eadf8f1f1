"""Files in object storage are scored into tables there, or into a folder, and are the same as scored from a folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest
from obstore.store import from_url
from pyarrow import parquet

from generated import run
from medloupe.errors import BusyError, DataError, RemoteMissingError, RemoteRefusedError
from medloupe.scoring import fetching, remote_inputs
from medloupe.scoring import run as scoring
from medloupe.scoring.fetching import FetchedItems, GoneError
from medloupe.scoring.inputs import Item, list_inputs
from medloupe.scoring.places import BucketPlace, open_place
from medloupe.scoring.run import Scored, score
from medloupe.scoring.shards import ResultFolder
from medloupe.settings import home as medloupe_home
from medloupe.utils.remote.address import parse_address
from scorepools import WorkHere
from site_of_files import Site
from trained import Trained

ROWS = 4
Files = dict[str, bytes]


def store_of(address: str) -> Any:
    return from_url("/".join(address.split("/")[:3]), client_options={"allow_http": True})


def key_of(address: str) -> str:
    return parse_address(address).key


def put_all(address: str, files: Files) -> None:
    for name, data in files.items():
        obstore.put(store_of(address), f"{key_of(address)}/{name}", data)


def read_all(address: str) -> Files:
    """What lies below an address, by name."""
    store, prefix = store_of(address), key_of(address)
    found = [str(o["path"]) for page in obstore.list(store, prefix) for o in page]
    return {key[len(prefix) + 1 :]: bytes(obstore.get(store, key).bytes()) for key in found}


def read_folder(out: Path) -> Files:
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file() and f.name != ".lock"}


def rows_of(files: Files, folder: str) -> list[dict[str, Any]]:
    tables = [parquet.read_table(pa.BufferReader(files[name])) for name in sorted(files) if name.startswith(folder)]
    return moved([row for table in tables for row in table.to_pylist()], "", "")


def moved(rows: list[dict[str, Any]], old: str, new: str) -> list[dict[str, Any]]:
    """Rows with another place in them, as JSON has them."""
    return [json.loads(json.dumps(row).replace(old, new) if old else json.dumps(row)) for row in rows]


def _names(files: Files) -> list[str]:
    return sorted(name for name in files if not name.startswith("inputs-"))


@pytest.fixture
def pictures(trained: Trained) -> Files:
    """Nine pictures and two files that are none, by name."""
    good = sorted(trained.data.rglob("*.png"))[:9]
    files = {f"ward {k % 2}/{k:03}.png": file.read_bytes() for k, file in enumerate(good)}
    return {**files, "ward 0/cut.png": good[0].read_bytes()[:90], "ward 1/text.png": b"no picture"}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are scored in this process."""
    monkeypatch.setattr(scoring, "open_pool", lambda engine, scorer, workers: WorkHere(scorer))


def ask(source: Any, out: Any, **more: Any) -> Scored:
    return score("spots", str(source), str(out), rows=ROWS, **more)


@pytest.mark.usefixtures("here")
def test_wherever_files_and_results_lie_the_answers_are_the_same(
    pictures: Files, s3_bucket: str, tmp_path: Path
) -> None:
    put_all(f"{s3_bucket}/in", {**pictures, "ward 1/notes.txt": b"not scored", ".hidden/x.png": b"nor this"})
    for name, data in pictures.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(data)
    told = ask(tmp_path / "in", tmp_path / "out")
    assert (told.files, told.answers, told.unreadable) == (11, 9, 2)
    local = read_folder(tmp_path / "out")

    assert ask(tmp_path / "in", f"{s3_bucket}/mixed").answers == 9
    assert read_all(f"{s3_bucket}/mixed") == local, "the same bytes, manifest and list included"

    assert ask(f"{s3_bucket}/in/", f"{s3_bucket}/out").answers == 9
    there = read_all(f"{s3_bucket}/out")
    assert _names(there) == _names(local)
    for folder in ("answers", "unreadable"):
        rows = rows_of(there, folder)
        here = moved(rows_of(local, folder), str(tmp_path / "in"), f"{s3_bucket}/in")
        assert rows == here
        assert all(row["file"].startswith("s3://") for row in rows)
    assert not list((medloupe_home() / "cache" / "scoring").glob("*")), "nothing of a picture stays"

    assert ask(f"{s3_bucket}/in/", tmp_path / "brought").answers == 9
    assert read_folder(tmp_path / "brought") == there

    again = ask(f"{s3_bucket}/in/", f"{s3_bucket}/out")
    assert again.kept == 11 and read_all(f"{s3_bucket}/out") == there


@pytest.mark.usefixtures("here")
def test_what_is_lost_or_cut_short_there_is_made_again(pictures: Files, s3_bucket: str) -> None:
    put_all(f"{s3_bucket}/in", pictures)
    out = f"{s3_bucket}/out"
    ask(f"{s3_bucket}/in", out)
    before = read_all(out)
    store = store_of(out)
    obstore.delete(store, ["out/manifest.json", "out/answers/00000001.parquet", "out/entries/00000002.json"])
    obstore.put(store, "out/answers/00000000.parquet", before["answers/00000000.parquet"][:-1])
    assert ask(f"{s3_bucket}/in", out).kept == 0
    assert read_all(out) == before


@pytest.mark.usefixtures("here")
def test_a_file_that_went_after_it_was_listed_is_told(
    pictures: Files, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(f"{s3_bucket}/in", pictures)
    began = FetchedItems.__enter__

    def enter(self: FetchedItems) -> FetchedItems:
        obstore.delete(store_of(s3_bucket), "in/ward 0/002.png")
        return began(self)

    monkeypatch.setattr(FetchedItems, "__enter__", enter)
    told = ask(f"{s3_bucket}/in", f"{s3_bucket}/out")
    assert (told.answers, told.unreadable) == (8, 3)
    lost = [row for row in rows_of(read_all(f"{s3_bucket}/out"), "unreadable") if row["kind"] == GoneError.__name__]
    assert [row["file"] for row in lost] == [f"{s3_bucket}/in/ward 0/002.png"]


def test_storage_that_does_not_answer_ends_the_run_and_is_no_reason_of_a_file(
    s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise BusyError("s3://… does not answer.")

    monkeypatch.setattr(fetching, "_download", busy)
    with FetchedItems([Item(f"{s3_bucket}/in/a.png", {})]) as files, pytest.raises(BusyError):
        files.locate(0)


def test_two_who_begin_at_once_make_one_plan(s3_bucket: str, tmp_path: Path) -> None:
    first, second = (ResultFolder(BucketPlace(f"{s3_bucket}/out")) for _ in range(2))
    with first.hold() as one, second.hold() as two:
        plan = first.make_plan({"rows": 1}, [Item("a", {})], one)
        assert plan is not None
        assert second.make_plan({"rows": 1}, [Item("b", {})], two) is None
        assert second.read_plan() == plan
        assert second.bring_items(plan, two).read_bytes() == first.bring_items(plan, one).read_bytes()


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_every_file_once(pictures: Files, s3_bucket: str) -> None:
    put_all(f"{s3_bucket}/in", pictures)
    score("spots", f"{s3_bucket}/in", f"{s3_bucket}/calm", rows=1, workers=1)
    out = f"{s3_bucket}/killed"
    told = ["--out", out, "--rows", "1", "--workers", "1"]
    command = [sys.executable, "-m", "medloupe", "score", "spots", f"{s3_bucket}/in", *told]
    for k in range(2):
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while driver.poll() is None and sum("entries/" in name for name in read_all(out)) < 3 * (k + 1):
            assert time.monotonic() < end
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    assert read_all(out) == read_all(f"{s3_bucket}/calm")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_writes_the_same_bytes(pictures: Files, s3_bucket: str) -> None:
    put_all(f"{s3_bucket}/in", pictures)
    ask(f"{s3_bucket}/in", f"{s3_bucket}/local", workers=1)
    ask(f"{s3_bucket}/in", f"{s3_bucket}/ray", engine="ray", workers=1)
    assert read_all(f"{s3_bucket}/ray") == read_all(f"{s3_bucket}/local")


def test_lists_and_tables_name_what_lies_beside_them(s3_bucket: str, tmp_path: Path) -> None:
    listed = {"lists/some.txt": b"a.png\nward/b.png\n", "lists/some.csv": b"picture,age\nward/b.png,3\n"}
    put_all(
        f"{s3_bucket}/x", {**listed, "lists/away.txt": b"../c.png\n", "lists/far.txt": b"https://example.org/d.png\n"}
    )
    there = f"{s3_bucket}/x/lists"
    names = [item.file for item in list_inputs(f"{there}/some.txt", ["image"])]
    assert names == [f"{there}/a.png", f"{there}/ward/b.png"]
    assert [item.file for item in list_inputs(f"{there}/some.csv", ["image"])] == [f"{there}/ward/b.png"]
    with pytest.raises(RemoteRefusedError, match="does not lie beside"):
        list(list_inputs(f"{there}/away.txt", ["image"]))
    with pytest.raises(RemoteRefusedError, match="names addresses") as caught:
        list(list_inputs(f"{there}/far.txt", ["image"]))
    assert "--allow-urls" in caught.value.hint
    assert list(list_inputs(f"{there}/far.txt", ["image"], urls=True)) == [
        Item("https://example.org/d.png", {}, linked=True)
    ]
    (tmp_path / "mixed.txt").write_text(f"here.png\n{there}/a.png\n")
    assert list(list_inputs(str(tmp_path / "mixed.txt"), ["image"], urls=True)) == [
        Item(str(tmp_path / "here.png"), {}),
        Item(f"{there}/a.png", {}, linked=True),
    ]
    with pytest.raises(RemoteMissingError, match="nothing at"):
        list(list_inputs(f"{s3_bucket}/nowhere/", ["image"]))


def test_which_keys_count() -> None:
    good = ("a.png", "ward/B.JPG", "study/0001", "x/y.dcm")
    bad = ("ward/", "notes.txt", ".git/x.png", "ward/.x.png", "r.dat")
    assert [remote_inputs.counts(key, ["image"]) for key in (*good, *bad)] == [True] * len(good) + [False] * len(bad)
    assert remote_inputs.counts("r.hea", ["ecg"]) and not remote_inputs.counts("r.dat", ["ecg"])


def test_a_file_by_https_is_scored_and_a_signed_address_is_not(site: Site, home: Path) -> None:
    site.files["/a.png"] = b"some bytes"
    url = site.url("/a.png")
    assert list(list_inputs(url, ["image"])) == [Item(url, {})]
    with FetchedItems([Item(url, {})]) as files:
        path = files.locate(0)
        assert isinstance(path, Path) and path.read_bytes() == b"some bytes"
        files.drop(path)
        assert not path.exists()
    with FetchedItems([Item(url, {}, linked=True)]) as files, pytest.raises(RemoteRefusedError):
        files.locate(0)  # this machine is no host of the public internet
    with pytest.raises(RemoteRefusedError, match="signed"):
        list(list_inputs(f"{url}?signature=x", ["image"]))


def test_a_record_comes_with_its_signals(s3_bucket: str, home: Path) -> None:
    header = b"r 2 360 10\nr.dat 212 200 11 1024 0 0 0 I\nr.dat 212 200 11 1024 0 0 0 II\n# a comment\n"
    put_all(f"{s3_bucket}/in", {"r.hea": header, "r.dat": b"\0" * 30})
    with FetchedItems([Item(f"{s3_bucket}/in/r.hea", {})]) as files:
        path = files.locate(0)
        assert isinstance(path, Path) and path.with_name("r.dat").read_bytes() == b"\0" * 30


def test_where_results_cannot_go(tmp_path: Path) -> None:
    for place in ("https://example.org/out", "s3://bucket"):
        with pytest.raises(RemoteRefusedError):
            open_place(place)


@pytest.mark.usefixtures("here")
def test_nothing_there(s3_bucket: str, trained: Trained) -> None:
    put_all(f"{s3_bucket}/in", {"notes.txt": b"no picture"})
    with pytest.raises(DataError, match="nothing to score"):
        ask(f"{s3_bucket}/in", f"{s3_bucket}/out")
    assert "plan.json" not in read_all(f"{s3_bucket}/out")


@pytest.mark.usefixtures("here")
def test_the_command_line(pictures: Files, s3_bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    put_all(f"{s3_bucket}/in", pictures)
    ran = run(capsys, "score", "spots", f"{s3_bucket}/in/", "--out", f"{s3_bucket}/out/", "--rows", ROWS)
    assert ran.code == 0 and "11 files: " in ran.out and f"{s3_bucket}/out/unreadable" in ran.out
