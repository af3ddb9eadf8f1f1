"""Three servers of one store behind nginx, under load, while everything around them fails.

    python benchmarks/replicas.py [--promotions 500] [--kills 20] [--restarts 5] [--storage 30] [--clients 32]

PostgreSQL and nginx are Debian's, object storage is moto's server. Clients send each request with a key of its own, and
again with the same key after a 503. What is counted is what clients saw; at the end every answer that one of them
got must be in the database, once. How soon a promotion is answered by is told twice: as clients see it, whose requests
wait among the others, and by each server's own log. tests/support/replicated.py does it; the suite runs a twentieth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import drills
import trained
from drills import NAME, Oracle, add_versions
from medloupe.metrics.evidence import FILE
from medloupe.store.models import Store
from objectstorage import run_moto
from postgres import find_programs, running_server
from replicated import Drill, admin_token, environment_of, lost, running_replicas, summary, take_ups


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("promotions", 500),
        ("kills", 20),
        ("restarts", 5),
        ("storage", 30),
        ("clients", 32),
        ("most", 7200),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    programs = find_programs()
    if programs is None:
        raise SystemExit("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with tempfile.TemporaryDirectory() as name, running_server(programs) as postgres, run_moto() as s3:
        root = Path(name)
        ran = trained._train(root / "first")
        assert ran.code == 0, ran.err
        alone = Store(root / "first" / "home")
        model, folder = alone.get(NAME, 1), alone.folder(NAME, 1)
        postgres.execute("CREATE DATABASE replicas TEMPLATE template0")
        database = postgres.url("replicas")
        environment = environment_of(database, s3, f"{s3.bucket('replicas')}/store")
        os.environ.update(environment, MEDLOUPE_HOME=str(root / "seed" / "home"))

        def write_files(into: Path, _: object) -> None:
            for file in ("model.onnx", "report.html", FILE):
                shutil.copy(folder / file, into)

        Store(root / "seed" / "home").add(model, write_files=write_files)
        image = drills.picture()
        oracle = Oracle.of(add_versions(root / "seed" / "home", root), image)
        token = admin_token(root / "seed" / "home")
        with running_replicas(root, environment, 3, token) as made:
            began = time.monotonic()
            sizes = {n: getattr(told, n) for n in ("clients", "promotions", "kills", "restarts", "seed")}
            drill = Drill(made, oracle, image, postgres, s3, storage_seconds=told.storage, **sizes)
            drill.most_seconds = told.most
            seen = asyncio.run(drill.run())
            said = {
                **summary(seen, take_ups(root, seen)),
                "seconds": round(time.monotonic() - began),
                "lost": lost(database, seen),
            }
        print(json.dumps(said, indent=1))
        for line in seen.other[:20]:
            print(line, file=sys.stderr)
        return 1 if seen.other or seen.mixed or said["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
