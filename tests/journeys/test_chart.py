"""The Helm chart: rendered and validated, and the command line of every container run for real."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import yaml

from medloupe.accounts.people import People
from medloupe.store.models import Store
from missing import give_up
from objectstorage import S3Server, free_port
from places import ROOT
from storing import made, write_files

pytest.importorskip("kubernetes_validate")
KEY = "c4" * 32


@pytest.fixture(scope="module")
def chart() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chart", ROOT / "scripts" / "chart.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.helm()
    except OSError as e:
        give_up(f"helm cannot be fetched: {e}")
    return module


def test_lint_render_and_validate(chart: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    chart.main()
    said = capfd.readouterr().out
    assert "0 chart(s) failed" in said and "without a schema: InferenceService, ServiceMonitor, ServingRuntime" in said


def test_every_pod_is_confined_and_no_secret_is_written_down(chart: ModuleType) -> None:
    for settings in chart.WAYS.values():
        rendered = chart.render(settings)
        assert not any(document["kind"] == "Secret" for document in rendered)
        pods = [pod for document in rendered if (pod := _pod(document)) is not None]
        assert len(pods) >= 2
        for pod in pods:
            assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
            for container in pod["containers"]:
                confined = container["securityContext"]
                assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
                assert confined["capabilities"] == {"drop": ["ALL"]}
                assert container["resources"]["requests"] and container["resources"]["limits"]["memory"]
                assert container["envFrom"] == [{"secretRef": {"name": "medloupe"}}]
                mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
                assert mounted == {"/data", "/tmp"}


def test_only_servers_are_sent_requests(chart: ModuleType) -> None:
    rendered = chart.render(chart.WAYS["all"])
    selector = next(d for d in rendered if d["kind"] == "Service")["spec"]["selector"]
    for document in rendered:
        template = _template(document)
        if template is not None:
            chosen = selector.items() <= template["metadata"]["labels"].items()
            assert chosen == (document["kind"] == "Deployment")


def test_the_autoscaler_asks_for_a_metric_that_is_there(chart: ModuleType) -> None:
    scaler = next(d for d in chart.render(chart.WAYS["shared"]) if d["kind"] == "HorizontalPodAutoscaler")
    names = [m["pods"]["metric"]["name"] for m in scaler["spec"]["metrics"] if m["type"] == "Pods"]
    source = (ROOT / "src" / "medloupe" / "serving" / "observe.py").read_text("utf-8")
    assert names and all(f'"{name}"' in source for name in names)


def test_the_containers_run(
    chart: ModuleType, postgres_url: str, moto_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each as its manifest says, but for its port, in a folder of its own that alone it writes to."""
    bucket = moto_server.bucket(f"chart-{time.monotonic_ns()}")
    rendered = chart.render([f"blobs={bucket}/store"])
    rendered += list(yaml.safe_load_all((ROOT / "deploy" / "kserve" / "servingruntime.yaml").read_text("utf-8")))
    secret = {**moto_server.environment, "MEDLOUPE_DATABASE": postgres_url, "MEDLOUPE_STORE_KEY": KEY}
    for name, value in {**secret, "MEDLOUPE_BLOBS": f"{bucket}/store", "MEDLOUPE_HOME": str(tmp_path / "me")}.items():
        monkeypatch.setenv(name, value)

    kinds = {d["kind"]: pod["containers"][0] for d in rendered if (pod := _pod(d)) is not None}
    assert set(kinds) == {"Job", "Deployment", "CronJob", "ServingRuntime"}
    done = subprocess.run(_command(kinds["Job"]), **_how(kinds["Job"], secret, tmp_path / "migrate"), timeout=300)
    assert done.returncode == 0, done.stderr

    store = Store(tmp_path / "me")
    People(store.engine).add("ada", "seven grey herons", "admin")
    store.add(made(tmp_path), write_files=write_files)
    store.remove("lungs")
    done = subprocess.run(
        _command(kinds["CronJob"]), **_how(kinds["CronJob"], secret, tmp_path / "collect"), timeout=300
    )
    assert done.returncode == 0 and '"waiting": 4' in done.stdout, done.stderr + done.stdout

    for kind in ("Deployment", "ServingRuntime"):
        container, port = kinds[kind], free_port()
        command = [re.sub(r"^--port=\d+$", f"--port={port}", part) for part in _command(container)]
        assert f"--port={port}" in command
        how = _how(container, secret, tmp_path / kind)
        how["env"]["MEDLOUPE_BLOBS"] = f"{bucket}/store"
        process = subprocess.Popen(command, **how)
        try:
            for probe in ("livenessProbe", "readinessProbe"):
                _wait_for(f"http://127.0.0.1:{port}{container[probe]['httpGet']['path']}", process)
            assert httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).status_code == 401
            process.terminate()
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
        finally:
            process.kill()
            process.communicate()


def _template(document: dict[str, Any]) -> dict[str, Any] | None:
    if document["kind"] == "CronJob":
        return document["spec"]["jobTemplate"]["spec"]["template"]
    return document["spec"]["template"] if document["kind"] in ("Deployment", "Job") else None


def _pod(document: dict[str, Any]) -> dict[str, Any] | None:
    if document["kind"] == "ServingRuntime":
        return document["spec"]
    template = _template(document)
    return None if template is None else template["spec"]


def _command(container: dict[str, Any]) -> list[str]:
    """With the image's entrypoint, which the Dockerfile names."""
    assert 'ENTRYPOINT ["medloupe"]' in (ROOT / "Dockerfile").read_text("utf-8")
    return [sys.executable, "-m", "medloupe", *container["args"]]


def _how(container: dict[str, Any], secret: dict[str, str], folder: Path) -> dict[str, Any]:
    told = {entry["name"]: entry["value"] for entry in container["env"]}
    folder.mkdir()
    told["MEDLOUPE_HOME"] = str(folder)  # where the volume is mounted
    keep = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "MEDLOUPE_"))}
    environment = {**keep, **secret, **told, "MEDLOUPE_STARTERS": "all"}
    return {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": folder}


def _wait_for(url: str, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            if httpx.get(url, timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")
