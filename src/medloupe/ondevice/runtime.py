"""Find onnxruntime-web, which runs networks in a browser: three files, taken from npm when medloupe is built.

They are no part of the repository. `scripts/web_runtime.py` fetches them at one version, checked by the package's
sha512, and a wheel has them inside; where they were not taken everything else works, and pages say what is missing.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from medloupe.utils.files import sha256_of

VERSION = "1.30.0"
PACKAGE = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package, as the registry's `integrity` has it."""
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""By name the sha256 of what is taken; plain WebAssembly with SIMD, which needs no special headers for one thread."""
FOLDER = Path(__file__).parent / "runtime"
COMMAND = "python scripts/web_runtime.py"


@cache
def find_runtime(folder: Path = FOLDER) -> Path | None:
    """Return the folder with the runtime's files; None where they are not all there, or others than expected."""
    for name, digest in FILES.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != digest:
            return None
    return folder
