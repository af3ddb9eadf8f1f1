"""The queue of long tasks by page and API: seen and stopped by admins, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from live import Live, running
from medloupe.accounts.people import People
from medloupe.store.jobrows import CANCELLED, DONE, RUNNING, WAITING
from medloupe.store.models import Store
from medloupe.store.queue import JobQueue
from visiting import browser, token

PASSWORD = "kettle orbit plaid"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Live, JobQueue]]:
    home = tmp_path / "home"
    with running(home) as live:
        yield live, JobQueue(Store(home).engine)


def test_they_are_seen_and_stopped(site: tuple[Live, JobQueue]) -> None:
    live, queue = site
    with browser(live) as client:
        assert "No long task waits" in client.get("/jobs").text
        waits = queue.add("train", ["<b>data</b>", "--name", "x y"]).id
        runs = queue.add("stress", ["lungs", "data"]).id
        over = queue.add("train", ["more"]).id
        lease = queue.take("here:1")
        assert lease is not None and lease.job.id == waits
        queue.give_back(lease)
        for state in ("first", "second"):
            lease = queue.take("here:1")
            assert lease is not None
            if state == "first":
                queue.finish(lease, {"name": "lungs", "version": 3})
        assert queue.get(runs).state == RUNNING
        assert queue.beat(lease, {"stage": "embedding", "done": 5, "total": 20}) is False
        page = client.get("/jobs")
        assert (
            "train &#39;&lt;b&gt;data&lt;/b&gt;&#39; --name &#39;x y&#39;" in page.text and "<b>data" not in page.text
        )
        assert "Looking at the data 5/20" in page.text and 'href="/models/lungs">lungs@3</a>' in page.text
        assert "Lecture des données 5/20" in client.get("/jobs?lang=fr").text
        assert page.text.count("/stop") == 2, "what is over cannot be stopped"
        told = {"csrf": token(page)}
        for id in (runs, over):
            assert client.post(f"/jobs/{id}/stop", data=told, follow_redirects=True).status_code == 200
        assert (queue.get(over).state, queue.get(runs).stop_asked) == (CANCELLED, True)
        assert "Is being stopped" in client.get("/jobs?lang=en").text
        assert client.post(f"/jobs/{waits}/stop", data=told, follow_redirects=True).status_code == 200
        assert queue.get(waits).state == DONE
        assert client.post(f"/jobs/{'0' * 32}/stop", data=told).status_code == 404
        assert client.post(f"/jobs/{runs}/stop", data={"csrf": "x"}).status_code == 403


def test_by_the_api(site: tuple[Live, JobQueue]) -> None:
    live, queue = site
    id = queue.add("adapt", ["lungs", "cases"], by="ada").id
    with live.client() as client:
        (one,) = client.get("/api/v1/jobs").json()["jobs"]
        assert (one["id"], one["state"], one["created_by"], one["arguments"]) == (
            id,
            WAITING,
            "ada",
            ["lungs", "cases"],
        )
        assert client.get(f"/api/v1/jobs/{id[:6]}").json() == one
        assert client.post(f"/api/v1/jobs/{id}/stop").json()["state"] == CANCELLED
        assert client.post(f"/api/v1/jobs/{id}/stop").status_code == 409
        assert client.get("/api/v1/jobs").json()["jobs"] == []
        assert len(client.get("/api/v1/jobs?over=true").json()["jobs"]) == 1
        assert client.get("/api/v1/jobs/ffffffff").status_code == 404
        assert client.get("/api/v1/jobs/UPPER").status_code == 422


def test_for_admins_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    people = People(Store(home).engine)
    tokens = {}
    for name, role in (("ada", "admin"), ("bea", "clinician")):
        person = people.add(name, PASSWORD, role)
        tokens[name] = people.logins.add_token(person, "test")
    with running(home) as live, live.client() as client:
        for path in ("/api/v1/jobs", "/jobs"):
            asked = {
                n: client.get(path, headers={"Authorization": f"Bearer {t}"}).status_code for n, t in tokens.items()
            }
            assert asked == {"ada": 200, "bea": 403}
            assert client.get(path, headers={"Accept": "application/json"}).status_code == 401
