"""Several servers of one store: whichever is asked, the answer is the same, and what one learns all know."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

import drills
from drills import NAME, Oracle, add_versions
from medloupe.accounts.people import People
from medloupe.store.models import Store
from objectstorage import S3Server
from postgres import Server
from replicated import Drill, Replicas, admin_token, environment_of, lost, running_replicas, summary
from trained import Trained

PASSWORD = "seven grey herons"


@pytest.fixture
def replicated(
    trained: Trained,
    postgres_url: str,
    moto_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[tuple[Replicas, Oracle, bytes]]:
    """Two servers, or as many as the test's parameter says, with three versions that can be told apart."""
    count = getattr(request, "param", 2)
    bucket = moto_server.bucket(f"replicas-{time.monotonic_ns()}")
    environment = environment_of(postgres_url, moto_server, f"{bucket}/store")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    seed = tmp_path / "seed" / "home"
    monkeypatch.setenv("MEDLOUPE_HOME", str(seed))
    first = _first_version(trained, seed)
    models = add_versions(seed, tmp_path)
    image = drills.picture()
    oracle = Oracle.of(models, image)
    assert first == 1
    token = admin_token(seed) if count > 2 else ""
    with running_replicas(tmp_path, environment, count, token) as made:
        yield made, oracle, image


def _first_version(trained: Trained, home: Path) -> int:
    """The shared model as version 1 of the store in the bucket, with its report and its evidence."""
    database = os.environ.pop("MEDLOUPE_DATABASE")
    blobs = os.environ.pop("MEDLOUPE_BLOBS")
    key = os.environ.pop("MEDLOUPE_STORE_KEY")
    model = Store(trained.home).get(NAME, 1)
    folder = Store(trained.home).folder(NAME, 1)
    os.environ |= {"MEDLOUPE_DATABASE": database, "MEDLOUPE_BLOBS": blobs, "MEDLOUPE_STORE_KEY": key}
    added = Store(home).add(
        model, write_files=lambda into, _: [shutil.copy(p, into) for p in folder.iterdir()] and None
    )
    return added.version or 0


def _ask(url: str, image: bytes, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{url}/api/v1/models/{NAME}/predict", files={"image": ("x.png", image)}, headers=headers, timeout=120
    )


def test_whichever_is_asked(replicated: tuple[Replicas, Oracle, bytes], postgres_url: str) -> None:
    made, oracle, image = replicated
    urls = [live.url for live in made.servers]
    first, second = (_ask(url, image) for url in urls)
    assert first.status_code == second.status_code == 200
    assert oracle.agrees(first.json()) and oracle.agrees(second.json())
    # History of one at the other.
    got = httpx.get(f"{urls[1]}/api/v1/predictions/{first.json()['id']}", timeout=60)
    assert got.status_code == 200 and got.json()["probabilities"] == first.json()["probabilities"]
    # A request that both get at once, under one key, is done once.
    for i in range(5):
        key = f"the-same-{i}"
        with ThreadPoolExecutor(4) as pool:
            replies = [pool.submit(_ask, urls[n % 2], image, **{"Idempotency-Key": key}) for n in range(4)]
        said = [r.result() for r in replies]
        assert [r.status_code for r in said] == [200] * 4, [r.text for r in said]
        assert len({r.json()["id"] for r in said}) == 1
    # Files of a version, which no server but the first ever wrote.
    files = [httpx.get(f"{url}/api/v1/models/{NAME}/versions/2/onnx", timeout=120) for url in urls]
    assert [f.status_code for f in files] == [200, 200] and files[0].content == files[1].content
    assert all("judged" in httpx.get(f"{url}/api/v1/models/{NAME}/compare?a=2&b=1", timeout=120).text for url in urls)


def test_sessions_and_guesses_count_everywhere(replicated: tuple[Replicas, Oracle, bytes], postgres_url: str) -> None:
    made, _, image = replicated
    urls = [live.url for live in made.servers]
    people = People(Store(made.root / "replica-0" / "home").engine)
    people.add("ada", PASSWORD, "admin")
    end = time.monotonic() + 60
    while _ask(urls[0], image).status_code == 200 or _ask(urls[1], image).status_code == 200:
        assert time.monotonic() < end  # both know soon that there are accounts
        time.sleep(0.2)
    with httpx.Client(timeout=60) as client:
        page = client.get(f"{urls[0]}/login")
        token = re.search(r'name="csrf" value="([^"]+)"', page.text)
        form = {"name": "ada", "password": PASSWORD, **({"csrf": token[1]} if token else {})}
        done = client.post(f"{urls[0]}/login", data=form, headers={"Origin": urls[0]})
        assert done.status_code in (200, 302, 303), done.text[:500]
        cookies = "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)
    assert httpx.get(f"{urls[1]}/api/v1/models", headers={"Cookie": cookies}, timeout=60).status_code == 200
    assert httpx.get(f"{urls[1]}/api/v1/models", timeout=60).status_code == 401

    def guess(i: int) -> int:
        with httpx.Client(timeout=60) as client:
            page = client.get(f"{urls[i % 2]}/login")
            token = re.search(r'name="csrf" value="([^"]+)"', page.text)
            form = {"name": "ada", "password": f"wrong {i}", **({"csrf": token[1]} if token else {})}
            return client.post(f"{urls[i % 2]}/login", data=form, headers={"Origin": urls[i % 2]}).status_code

    said = [guess(i) for i in range(7)]
    assert 429 in said[5:] and said[:5].count(429) == 0, said  # five are free, wherever they were made


def test_promotions_are_seen_by_all_within_two_seconds(replicated: tuple[Replicas, Oracle, bytes]) -> None:
    made, oracle, image = replicated
    delays = []
    store = Store(made.root / "seed" / "home")
    for i in range(6):
        store.promote(NAME, (2, 3, 1)[i % 3], actor="test", force=True, reason="a test")
        began = time.monotonic()
        for live in made.servers:
            while (said := _ask(live.url, image).json())["version"] != (2, 3, 1)[i % 3]:
                assert time.monotonic() - began < 60
            assert oracle.agrees(said)
        delays.append(time.monotonic() - began)
    assert sorted(delays)[len(delays) // 2] < 2, delays  # of the middle: the machine may be busy with much else


@pytest.mark.slow
@pytest.mark.parametrize("replicated", [3], indirect=True)
def test_nothing_is_lost_or_mixed_whatever_happens(
    replicated: tuple[Replicas, Oracle, bytes], postgres_server: Server, postgres_url: str, moto_server: S3Server
) -> None:
    """A twentieth of benchmarks/replicas.py."""
    made, oracle, image = replicated
    sizes = {"clients": 8, "promotions": 25, "kills": 1, "restarts": 1, "storage_seconds": 5, "most_seconds": 600}
    seen = asyncio.run(Drill(made, oracle, image, postgres_server, moto_server, **sizes).run())
    said = summary(seen)
    assert not seen.other and not seen.mixed, (said, seen.other[:5])
    assert seen.answers > 10 and seen.promoted >= 25 and seen.killed and seen.restarts, said
    assert lost(postgres_url, seen) == 0
