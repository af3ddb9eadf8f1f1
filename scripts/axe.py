"""Fetch axe-core, by which tests look for what keeps people from using a page; print where it lies.

python scripts/axe.py

One file of the npm package, at one version, checked by its sha512. It is no part of medloupe: it stays under build/.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path

VERSION = "4.10.3"
SHA512 = "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="
"""Of the package, as the registry's `integrity` has it."""
URL = f"https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz"
FILE = Path(__file__).resolve().parents[1] / "build" / "axe-core" / "axe.min.js"
_MOST = 16 * 2**20  # bytes of the package


def main() -> None:
    """Fetch it unless this version is there."""
    mark = FILE.with_name("VERSION")
    if not (FILE.exists() and mark.exists() and mark.read_text("utf-8") == VERSION):
        with urllib.request.urlopen(URL, timeout=60) as answer:
            data = answer.read(_MOST)
        script = extract(data)
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_bytes(script)
        mark.write_text(VERSION, "utf-8")
    print(FILE)


def extract(package: bytes) -> bytes:
    """Return axe.min.js of the package, which must be the one that is expected."""
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != SHA512:
        raise SystemExit(
            f"{URL} is not what was expected: its sha512 is {found}. Try again, or look at who changed it."
        )
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        member = archive.extractfile("package/axe.min.js")
        if member is None:
            raise SystemExit(f"{URL} holds no axe.min.js.")
        return member.read()


if __name__ == "__main__":
    main()
