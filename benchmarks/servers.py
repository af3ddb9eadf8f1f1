"""The servers that serving.py compares: how each is started, awaited, stopped for a while, weighed and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psutil

from load import Job, processes

_START = 120  # seconds that a server may take to its first answer
_END = 20  # seconds that it may take to end
_FOLDER = Path(__file__).with_name("peers")

Command = Callable[[str, int, int], Sequence[str]]
PEERS: dict[str, Command] = {
    "flask": lambda python, port, _: [python, "flask_app.py", str(port)],
    "gunicorn": lambda python, port, workers: [
        *(python, "-m", "gunicorn", "--workers", str(workers), "--bind", f"127.0.0.1:{port}"),
        # No worker is to be taken for hung after it was stopped for the others' turns.
        *("--timeout", "0", "flask_app:app"),
    ],
    "fastapi": lambda python, port, _: [python, "fastapi_app.py", str(port)],
    "fastapi-pool": lambda python, port, _: [python, "fastapi_app.py", str(port), "pool"],
    "litserve": lambda python, port, _: [python, "litserve_app.py", str(port)],
    "bentoml": lambda python, port, _: [
        *(python, "-m", "bentoml", "serve", "bentoml_app:Classifier", "--host", "127.0.0.1", "--port", str(port)),
    ],
    "medloupe": lambda _, port, __: [
        *(sys.executable, "-m", "medloupe", "serve", "--host", "127.0.0.1", "--port", str(port)),
    ],
}
"""Name → command of (the peers' python, port, workers), run in peers/."""


class Asks(Protocol):
    """What measures: serving.Loader."""

    def run(self, job: Job) -> dict[str, Any]: ...


class Server:
    """A running server; as a context manager it is ended, with all that it started."""

    def __init__(self, name: str, command: Sequence[str], port: int, path: str, env: dict[str, str], log: Path) -> None:
        self.name = name
        self.port = port
        self.path = path
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, cwd=_FOLDER, env=env, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        self.pid = self._process.pid

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        running = processes(self.pid) if self._process.poll() is None else []
        self._signal(signal.SIGCONT, reversed(running))
        self._process.terminate()
        psutil.wait_procs(running, timeout=_END)
        self._signal(signal.SIGKILL, running)
        self._process.wait()

    @staticmethod
    def _signal(number: signal.Signals, running: Iterable[psutil.Process]) -> None:
        for process in running:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def wait(self, loader: Asks, job: Job) -> None:
        """Until it answers the job. Exits with the end of its log when it does not."""
        result: dict[str, Any] = {}
        until = time.monotonic() + _START
        while time.monotonic() < until and self._process.poll() is None:
            result = loader.run(job)
            if "error" not in result and not result["failed"]:
                return
            time.sleep(0.3)
        sys.exit(f"{self.name} does not answer: {result.get('error') or result.get('failed')}\n{self.log_end()}")

    def rest(self) -> None:
        """Stopped until `wake`: takes no processor time. Parents first, that none misses its children."""
        self._signal(signal.SIGSTOP, processes(self.pid))

    def wake(self) -> None:
        """Goes on; parents last."""
        self._signal(signal.SIGCONT, reversed(processes(self.pid)))

    def memory(self) -> dict[str, int]:
        """Bytes over the process tree. memory: what is private to its processes, and once what the one that shares
        most shares (PSS would not do: pages that are shared with another measured server would count less).
        pss, private, rss: sums over the processes."""
        parts = []
        for process in processes(self.pid):
            with suppress(psutil.NoSuchProcess):
                parts.append(process.memory_full_info())
        private = sum(p.uss for p in parts)
        return {
            "memory": private + max(p.rss - p.uss for p in parts),
            "pss": sum(p.pss for p in parts),
            "private": private,
            "rss": sum(p.rss for p in parts),
            "processes": len(parts),
        }

    def log_end(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


def peer(name: str, onnx: Path, folder: Path, model: str, python: str, workers: int) -> Server:
    """Starts one of PEERS. onnx: the file that peers serve; folder: holds medloupe's `home`, gets logs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "MODEL": str(onnx),
        "WORKERS": str(workers),
        "MEDLOUPE_HOME": str(folder / "home"),
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    if name == "gunicorn":
        env["ONE_THREAD"] = "1"
    path = f"/api/v1/models/{model}/predict?heatmap=true" if name == "medloupe" else "/predict"
    return Server(name, PEERS[name](python, port, workers), port, path, env, folder / f"{name}.log")


def versions(python: str, names: Sequence[str]) -> dict[str, str]:
    """Installed versions of what the peers run on, and of medloupe's own runtime."""
    asked = ["flask", "gunicorn", "fastapi", "uvicorn", "litserve", "bentoml", "onnxruntime", "pillow"]
    program = (
        "import sys, json, importlib.metadata as m, platform\n"
        "out = {'python': platform.python_version()}\n"
        "for name in sys.argv[1:]:\n"
        "    try: out[name] = m.version(name)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(out))"
    )

    def told(which: str, packages: Sequence[str]) -> dict[str, str]:
        done = subprocess.run([which, "-c", program, *packages], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    theirs = told(python, asked) if set(names) - {"medloupe"} else {}
    ours = told(sys.executable, ["medloupe", "onnxruntime", "pillow"])
    return theirs | {f"{k} (medloupe's)" if k != "medloupe" else k: v for k, v in ours.items()}
