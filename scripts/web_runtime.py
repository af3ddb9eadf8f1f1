"""Fetch onnxruntime-web, by which check-ups answer in a browser without a server; print where it lies.

python scripts/web_runtime.py

Three files of the npm package, at the version that `medloupe.ondevice.runtime` names, checked by its sha512 and by a
sha256 each. They lie beside that module, where the server and the wheel find them, and are not in the repository. Where
Node is at hand they are also packed by Brotli, which a third less has to be sent of than by gzip.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from medloupe.ondevice.runtime import FILES, FOLDER, PACKAGE, SHA512, find_runtime

_MOST = 64 * 2**20  # bytes of the package
_PACK = (
    "const z = require('zlib'), fs = require('fs'), c = z.constants;"
    "for (const f of process.argv.slice(1)) fs.writeFileSync(f + '.br', z.brotliCompressSync(fs.readFileSync(f),"
    " {params: {[c.BROTLI_PARAM_QUALITY]: 11, [c.BROTLI_PARAM_LGWIN]: 24}}));"
)


def main() -> None:
    """Fetch what is not there yet."""
    if find_runtime() is None:
        with urllib.request.urlopen(PACKAGE, timeout=300) as answer:
            package = answer.read(_MOST)
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, data in extract(package).items():
            (FOLDER / name).write_bytes(data)
    pack()
    print(FOLDER)


def extract(package: bytes) -> dict[str, bytes]:
    """Return the files of the package, which must be those that are expected."""
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != SHA512:
        raise SystemExit(
            f"{PACKAGE} is not what was expected: its sha512 is {found}. Try again, or look at who changed it."
        )
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        for name, digest in FILES.items():
            member = archive.extractfile(f"package/dist/{name}")
            data = b"" if member is None else member.read()
            if hashlib.sha256(data).hexdigest() != digest:
                raise SystemExit(f"{PACKAGE} holds another {name} than medloupe.ondevice.runtime names.")
            files[name] = data
    return files


def pack() -> None:
    """Pack the files by Brotli where Node is at hand; without it they are sent by gzip."""
    waiting = [path for name in FILES if not (path := FOLDER / name).with_name(f"{name}.br").exists()]
    node = shutil.which("node")
    if waiting and node is not None:
        subprocess.run([node, "-e", _PACK, *map(str, waiting)], check=True)


if __name__ == "__main__":
    main()
