"""What an operator runs: image, compose file, unit, proxies, back-up and restore, and the manuals of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml

import postgres
import tiny
from generated import Ran
from medloupe.accounts.person import Person
from medloupe.cli.app import app as command_line
from medloupe.model.bundle import Model
from medloupe.review.extension import extend_with_review
from medloupe.serving.app import create_app
from medloupe.serving.engine.journal import Journal
from medloupe.serving.engine.service import Service
from medloupe.serving.server import DRAIN, FINISH
from medloupe.store.models import Store
from medloupe.store.tables import now
from medloupe.studio.extension import extend_with_studio
from medloupe.watch.extension import extend_with_watch
from places import ROOT
from trained import Trained

DEPLOY = ROOT / "deploy"
ADMIN = Person(None, "ada", "admin")

# ---------------------------------------------------------------- back-up and restore


def backup(*arguments: object, **environment: str) -> Ran:
    command = [sys.executable, str(DEPLOY / "backup.py"), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
    return Ran(done.returncode, done.stdout, done.stderr)


def filled(folder: Path) -> Store:
    """A store with two versions of a model."""
    store = Store.open()
    for _ in range(2):
        add(store, folder)
    return store


def add(store: Store, folder: Path) -> int | None:
    """The tiny model as the next version; its number."""

    def write(at: Path, model: Model) -> None:
        (at / "model.onnx").write_bytes(b"onnx")

    model = tiny.model(folder, backbone=tiny.backbone(folder).as_json())
    return store.add(model, write_files=write).version


class Asking:
    """Predictions with their images, written one after another while the block runs."""

    def __init__(self, store: Store):
        self.acknowledged: list[str] = []
        self._journal = Journal(store.engine, store.home / "kept")
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._ask()))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._journal.close()

    def wait_for_more(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            self._stop.wait(0.005)

    async def _ask(self) -> None:
        while not self._stop.is_set():
            row = {"id": uuid.uuid4().hex, "at": now(), "user_id": None, "model": "tiny", "version": 1}
            self._journal.keep(row["id"], b"picture " + row["id"].encode(), "png")
            await self._journal.record([{**row, "answer": {"model": "tiny"}, "digest": "0" * 64, "kept": "png"}])
            self.acknowledged.append(row["id"])


@pytest.fixture
def elsewhere(database: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """MEDLOUPE_DATABASE of an empty database beside the one in force."""
    if database == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgres_server")
    name = f"restored_{uuid.uuid4().hex}"
    server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield server.url(name)
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_copy_made_while_people_ask_brings_back_all_that_was_acknowledged(
    home: Path, tmp_path: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
):
    store = filled(tmp_path)
    asking = Asking(store)
    with asking.running():
        asking.wait_for_more(30)
        before = list(asking.acknowledged)
        saved = backup("save", tmp_path / "copy")
        asking.wait_for_more(1)  # it was not stopped by it
    assert saved.code == 0, saved.err
    versions = store.list()

    restored_home = tmp_path / "restored"
    monkeypatch.setenv("MEDLOUPE_HOME", str(restored_home))
    monkeypatch.setenv("MEDLOUPE_DATABASE", elsewhere)
    restored = backup("restore", tmp_path / "copy")
    assert restored.code == 0, restored.err

    store = Store.open()
    assert store.home == restored_home and store.list() == versions and len(versions) == 2
    model = store.get("tiny")
    assert model.version == 1 and model.backbone.path.read_bytes() == tiny.backbone(tmp_path).path.read_bytes()
    assert (store.folder("tiny", 2) / "model.onnx").read_bytes() == b"onnx"
    journal = Journal(store.engine, restored_home / "kept")
    try:
        for id in before:
            found = journal.image(id, ADMIN)
            assert found is not None and found[0].read_bytes() == b"picture " + id.encode()
        asyncio.run(journal.feedback(before[0], ADMIN, True, None))
        assert journal.get(before[0], ADMIN).right is True
    finally:
        journal.close()
    assert add(store, tmp_path) == 3


def test_a_postgresql_database_without_host_and_password_in_its_url_is_copied(
    home: Path, tmp_path: Path, postgres_url: str, postgres_server: Any, monkeypatch: pytest.MonkeyPatch
):
    """As the service on a machine of its own has it: the socket's folder and the user are taken for granted."""
    database = urllib.parse.urlsplit(postgres_url).path
    monkeypatch.setenv("PGHOST", str(postgres_server.folder))
    monkeypatch.setenv("PGUSER", "tester")
    monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
    monkeypatch.setenv("MEDLOUPE_DATABASE", f"postgresql://{database}")
    filled(tmp_path)
    saved = backup("save", tmp_path / "copy")
    assert saved.code == 0, saved.err
    over = backup("restore", tmp_path / "copy", MEDLOUPE_HOME=str(tmp_path / "new"))
    assert over.code == 1 and "pg_restore" in over.err  # there is something in the database already
    assert not any((tmp_path / "new").iterdir())
    wrong = backup("save", tmp_path / "other", PGPASSWORD="wrong")
    assert wrong.code == 1 and "password" in wrong.err and not (tmp_path / "other").exists()


def test_a_damaged_copy_and_a_full_home_are_left_alone(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    filled(tmp_path)
    copy = tmp_path / "copy"
    assert backup("save", copy).code == 0
    assert oct(copy.stat().st_mode & 0o777) == "0o700"

    again = backup("save", copy)
    assert again.code == 1 and "is there already" in again.err
    over = backup("restore", copy)
    assert over.code == 1 and "is not empty" in over.err

    victim = next((copy / "blobs").rglob("*/*"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    damaged = backup("restore", copy, MEDLOUPE_HOME=str(tmp_path / "new"))
    assert damaged.code == 1 and victim.name in damaged.err and not (tmp_path / "new").exists()
    victim.unlink()
    assert backup("restore", copy, MEDLOUPE_HOME=str(tmp_path / "new")).code == 1

    nothing = backup("save", tmp_path / "of-nothing", MEDLOUPE_HOME=str(tmp_path / "nowhere"))
    assert nothing.code == 1 and "MEDLOUPE_HOME" in nothing.err and not (tmp_path / "of-nothing").exists()


# ---------------------------------------------------------------- a server as an operator starts it


class Live:
    """A running `medloupe serve`. url: its address, as it says itself."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process
        assert process.stderr is not None
        self.said = process.stderr.readline()
        found = re.match(r"http://\S+?:(\d+)/", self.said)
        self.port = int(found[1]) if found else 0
        threading.Thread(target=process.stderr.read, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(home: Path, *flags: str) -> Iterator[Live]:
    command = [sys.executable, "-m", "medloupe", "serve", *flags, "--port", "0"]
    environment = {**os.environ, "MEDLOUPE_THREADS": "", "MEDLOUPE_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Live(process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="module")
def live(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server of a copy of the shared model."""
    home = tmp_path_factory.mktemp("live") / "home"
    shutil.copytree(_trained.home, home)
    with serving(home, "--keep-images") as made:
        assert made.port, made.said
        yield made


def healthcheck() -> list[str]:
    """The command in the Dockerfile, with this Python."""
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*?\])$", dockerfile(), re.DOTALL | re.MULTILINE)
    assert found
    command = json.loads(found[1])
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text("utf-8")


def test_the_health_check_of_the_image_passes_only_with_a_server_that_is_ready(live: Live):
    command = healthcheck()
    assert "127.0.0.1:8000/" in command[-1] and "EXPOSE 8000" in dockerfile()
    here = [part.replace(":8000/", f":{live.port}/") for part in command]
    assert subprocess.run(here, timeout=30).returncode == 0
    nobody = [part.replace(":8000/", ":1/") for part in command]
    assert subprocess.run(nobody, stderr=subprocess.DEVNULL, timeout=30).returncode != 0
    missing = [part.replace(":8000/readyz", f":{live.port}/no-such-page") for part in command]
    assert subprocess.run(missing, stderr=subprocess.DEVNULL, timeout=30).returncode != 0


def test_the_containers_command_starts_once_there_is_an_admin(home: Path):
    """As docs/deploy.md tells it: first the account, then `up`."""
    command = yaml.safe_load(compose())["services"]["medloupe"]["command"]
    flags = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", part) for part in command[1:]]
    assert command[0] == "serve" and "--host=0.0.0.0" in flags and not any("$" in flag for flag in flags)
    with serving(home, *flags) as refused:
        assert not refused.port and "no accounts yet" in refused.said
        assert refused.process.wait(30) == 1
    add = [sys.executable, "-m", "medloupe", "users", "add", "ada", "--role", "admin", "--password-stdin"]
    subprocess.run(add, input="four words of hers\n", text=True, check=True, timeout=60)
    with serving(home, *flags) as started:
        assert started.port, started.said
        with urllib.request.urlopen(f"{started.url}/readyz", timeout=10) as answer:
            assert answer.status == 200


# ---------------------------------------------------------------- image, compose file, unit


def compose() -> str:
    return (DEPLOY / "compose.yaml").read_text("utf-8")


def unit() -> dict[str, Any]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # pyright: ignore
    parser.read(DEPLOY / "medloupe.service", "utf-8")
    return dict(parser["Service"])


def seconds(text: str) -> int:
    assert re.fullmatch(r"\d+s?", text)
    return int(text.rstrip("s"))


def test_nobody_ends_the_server_before_it_finished_what_it_accepted():
    own = DRAIN + FINISH + 5  # and closing
    services = yaml.safe_load(compose())["services"]
    assert seconds(services["medloupe"]["stop_grace_period"]) > own
    assert seconds(unit()["TimeoutStopSec"]) > own
    assert unit()["KillMode"] == "mixed"  # the decoders of a request at work live on
    assert "STOPSIGNAL SIGTERM" in dockerfile()
    stop = re.search(r"--stop-timeout (\d+)", manual("deploy.md"))
    assert stop and int(stop[1]) > own
    timeouts = re.findall(r"(?:response_header_timeout|proxy_read_timeout) (\d+)s", proxies())
    assert len(timeouts) == 2 and all(int(t) > FINISH for t in timeouts)


def proxies() -> str:
    return (DEPLOY / "Caddyfile").read_text("utf-8") + (DEPLOY / "nginx.conf").read_text("utf-8")


def test_the_proxies_let_through_what_the_server_takes():
    from medloupe.serving.http.intake import MAX_BODY

    units = {"m": 2**20, "MiB": 2**20}
    sizes = re.findall(r"(?:client_max_body_size|max_size) (\d+)(m|MiB)", proxies())
    assert len(sizes) == 2 and all(int(n) * units[u] == MAX_BODY for n, u in sizes)


def test_the_image_installs_what_the_project_needs(tmp_path: Path):
    """Runs the line of the Dockerfile that makes the requirements."""
    found = re.search(r'^RUN (python -c ".*?" > requirements\.txt) ', dockerfile(), re.MULTILINE)
    assert found
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    line = found[1].replace("python", shlex.quote(sys.executable), 1)
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, timeout=30)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert (tmp_path / "requirements.txt").read_text().split("\n")[:-1] == [
        *project["dependencies"],
        *(need for name in ("postgres", "s3", "otel", "dicom") for need in extras[name]),
    ]


def test_the_image_is_built_from_what_the_context_holds():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == kept
    assert all((ROOT / name).exists() for name in kept)


def test_every_variable_of_the_compose_file_is_in_the_example_and_the_other_way_round():
    used = set(re.findall(r"\$\{(\w+)", compose()))
    example = re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text("utf-8"), re.MULTILINE)
    assert used == set(example) and len(example) == len(used)


def test_only_the_proxy_can_be_reached_and_only_it_reaches_out():
    whole = yaml.safe_load(compose())
    for name, service in whole["services"].items():
        assert ("ports" in service) == (name == "caddy")
        assert ("outside" in service["networks"]) == (name == "caddy")
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in whole["services"][other] or other == "medloupe"  # whose image has one
    assert whole["networks"]["inside"]["internal"] is True


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_unit(tmp_path: Path):
    text = (DEPLOY / "medloupe.service").read_text("utf-8")
    path = tmp_path / "medloupe.service"
    path.write_text(text.replace("/opt/medloupe/bin/medloupe", sys.executable), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "medloupe.service" not in done.stderr, done.stderr


@pytest.mark.parametrize("script", ["install.sh", "medloupe-admin"])
def test_shell_scripts_parse_and_name_files_that_are_there(script: str):
    subprocess.run(["sh", "-n", DEPLOY / script], check=True, timeout=30)
    text = (DEPLOY / script).read_text("utf-8")
    for name in re.findall(r"\$checkout/(deploy/[\w.-]+)", text):
        assert (ROOT / name).is_file(), name


def test_the_cloud_machine_runs_the_installer():
    text = (DEPLOY / "cloud-init.yaml").read_text("utf-8")
    assert text.startswith("#cloud-config\n")
    clone, install = yaml.safe_load(text)["runcmd"]
    folder = Path(clone[-1])
    assert (ROOT / Path(install[1]).relative_to(folder)).is_file()


# ---------------------------------------------------------------- the manuals


def manual(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def test_the_manual_of_the_api_names_every_route_and_no_other(home: Path):
    service = Service(Store.open(), memory=2**26, workers=1)
    try:
        parts = [extend_with_studio(work=False), extend_with_review(), extend_with_watch()]
        paths = create_app(service, extend=parts).openapi()["paths"]
    finally:
        service.close()
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    written = re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE|OPTIONS) /\S*)` \|", manual("api.md"), re.MULTILINE)
    assert set(written) == routes
    assert len(written) == len(set(written))


def test_the_manual_of_the_api_names_every_error_and_no_other():
    folders = (ROOT / "src/medloupe/serving", ROOT / "src/medloupe/studio")
    sources = "".join(p.read_text("utf-8") for folder in folders for p in folder.rglob("*.py"))
    raised = set(re.findall(r'[(=]\s*[45]\d\d,\s*"(\w+)", ', sources)) | set(
        re.findall(r'HttpError\(\s*\d{3},\s*"(\w+)"', sources)
    )
    raised |= set(re.findall(r'^    \(\w+Error, \d{3}, "(\w+)"\),$', sources, re.MULTILINE))
    raised |= {"method_not_allowed", "refused"}  # what the framework itself raises
    rows = re.findall(r"^\| [45]\d\d \| (.+?) \|", manual("api.md"), re.MULTILINE)
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row)} == raised


@pytest.fixture
def desk(live: Live, _trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two pictures, and a curl that fails when the server says no."""
    pictures = sorted(_trained.data.rglob("*.png"))
    for name, picture in zip(("scan.png", "other.png"), pictures, strict=False):
        shutil.copy(picture, tmp_path / name)
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 60\n")
    monkeypatch.setenv("CURL_HOME", str(tmp_path))
    monkeypatch.setenv("URL", live.url)
    return tmp_path


def blocks(name: str, language: str) -> str:
    """All code of a language in a manual, for the model that is there."""
    code = "\n".join(re.findall(rf"^```{language}\n(.*?)^```$", manual(name), re.DOTALL | re.MULTILINE))
    assert code
    return code.replace("pneumonia", "spots").replace("NORMAL", "normal")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_command_in_the_manual_of_the_api_works(desk: Path):
    code = blocks("api.md", "sh")
    done = subprocess.run(["bash", "-euxc", code], cwd=desk, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]


def test_the_answer_in_the_manual_has_the_fields_of_a_real_one(live: Live, desk: Path):
    request = urllib.request.Request(
        f"{live.url}/api/v1/models/spots/predict",
        data=(desk / "scan.png").read_bytes(),
        headers={"Content-Type": "image/png"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        real = json.load(answer)
    shown = json.loads(blocks("api.md", "json"))
    assert list(shown) == list(real) and set(shown["timings"]) == set(real["timings"])


def test_the_example_with_tritons_client_works(desk: Path):
    done = subprocess.run(
        [sys.executable, "-c", blocks("api.md", "python")], cwd=desk, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_figures_to_watch_are_there(live: Live):
    with urllib.request.urlopen(f"{live.url}/metrics", timeout=10) as answer:
        there = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))
    named = {n.removesuffix("_bucket") for n in re.findall(r"\b(?:medloupe|process)_[a-z_]+\b", manual("deploy.md"))}
    assert len(named) >= 8 and named <= there


@pytest.mark.parametrize("name", ["api.md", "deploy.md"])
def test_links_in_the_manuals_lead_somewhere(name: str):
    for target in re.findall(r"\]\(([^)]+)\)", manual(name)):
        path, _, anchor = target.partition("#")
        if path.startswith("http"):
            continue
        file = ROOT / "docs" / (path or name)
        assert file.is_file(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}, target


def commands(text: str) -> list[list[str]]:
    """Every medloupe command line in a manual, without the program's name."""
    found = re.findall(r"(?:^|[ `])medloupe(?:-admin)? ((?:users|models|serve|train)\b[^`|&<\n]*)", text, re.MULTILINE)
    return [shlex.split(re.split(r" {2,}| #", line)[0]) for line in found]


@pytest.mark.parametrize("name", ["deploy.md", "api.md"])
def test_every_command_in_the_manuals_exists_with_its_flags(name: str):
    lines = commands(manual(name))
    assert lines
    for line in lines:
        command: Any = typer.main.get_command(command_line)
        words = iter(line)
        word = next(words)
        while True:
            assert word in command.commands, line
            command = command.commands[word]
            if not isinstance(command, click.Group) and not hasattr(command, "commands"):
                break
            word = next(words)
        known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        assert {w.partition("=")[0] for w in words if w.startswith("--")} <= known, line
