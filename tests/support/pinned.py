"""Keep answers as text that loses nothing, one set for each kind of machine, and say where new ones differ.

ONNX Runtime and BLAS choose their kernels by processor, and other kernels add up in another order: the last bits are
the same only on the same `kind` of machine. On others numbers are held to a tolerance, and digests say nothing. What a
training ends with moves further than what a model answers: its solvers stop within a tolerance of their own.
"""

from __future__ import annotations

import contextlib
import json
import math
import platform
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import fixed_pictures

TOLERANCES = {"answers": 1e-5, "trainings": 0.01}  # by part; relative to a number's size, or to 1 where it is smaller
DECIDING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_int8")
DECIDING += ("asimddp", "fphp", "i8mm", "bf16", "sve", "sve2")  # ARM
LIBRARIES = ("onnxruntime", "numpy", "pillow", "scipy", "sleepecg")  # the last two read ECGs


def kind() -> str:
    """The processor's family, by what kernels are chosen for, and the libraries that compute."""
    flags: set[str] = set()
    with contextlib.suppress(OSError):
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        flags = set(found[1].split()) if found else set()
    versions = []
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    family = (platform.system(), platform.machine(), *(flag for flag in DECIDING if flag in flags))
    return f"{' '.join(family)}; {', '.join(versions)}"


def exact(value: Any) -> Any:
    """The same with each float as hexadecimal text, which loses nothing."""
    if isinstance(value, Mapping):
        return {str(k): exact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [exact(v) for v in value]
    return float(value).hex() if isinstance(value, float | np.floating) else value


def fingerprint(values: np.ndarray) -> dict[str, Any]:
    """Of an array, its digest; for machines whose last bits differ, its length and its balance (its sum, as a share of
    what that would be without signs), both rounded once."""
    flat = np.asarray(values, np.float64).ravel().tolist()
    return {
        "digest": fixed_pictures.digest([values]),
        "length": exact(math.sqrt(math.fsum(v * v for v in flat))),
        "balance": exact(math.fsum(flat) / (math.fsum(map(abs, flat)) or 1.0)),
    }


def closest(entries: Mapping[str, Any], wanted: str) -> str:
    """The kind among entries that has the most in common with this one."""
    words = set(re.split(r"[ ,;]+", wanted))
    return max(entries, key=lambda name: len(words.intersection(re.split(r"[ ,;]+", name))))


def differences(expected: Any, found: Any, tolerance: float = 0, where: str = "") -> Iterator[str]:
    """Each place where the two differ, in words. tolerance: of answers from another kind of machine, above 0."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}):
            here = f"{where} › {key}" if where else key
            if key not in expected or key not in found:
                yield f"{here}: {'is missing' if key in expected else 'was not there before'}"
            else:
                yield from differences(expected[key], found[key], tolerance, here)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, (a, b) in enumerate(zip(expected, found, strict=True)):
            yield from differences(a, b, tolerance, f"{where} [{i}]")
    elif expected != found and not (tolerance and _close(expected, found, tolerance)):
        yield f"{where}: {_shown(expected)} is now {_shown(found)}"


HEX = re.compile(r"-?0x[01]\.[0-9a-f]+p[+-]\d+")
DIGEST = re.compile(r"[0-9a-f]{16}")
NUMBER = re.compile(r"\d+\.\d+|\d+")


def _close(expected: Any, found: Any, tolerance: float) -> bool:
    """Whether two values say the same on different machines."""
    counted = 100 * tolerance  # of whole numbers, on their own or in a text: they count cases, here about a hundred
    if isinstance(expected, int) and isinstance(found, int):
        return abs(expected - found) <= counted
    if not isinstance(expected, str) or not isinstance(found, str):
        return False
    if HEX.fullmatch(expected) and HEX.fullmatch(found):
        a, b = float.fromhex(expected), float.fromhex(found)
        return abs(a - b) <= tolerance * max(1, abs(a))
    if DIGEST.fullmatch(expected) and DIGEST.fullmatch(found):
        return True  # nothing can be said; what they are made of stands beside them in numbers
    if NUMBER.sub("", expected) != NUMBER.sub("", found):
        return False
    pairs = zip(NUMBER.findall(expected), NUMBER.findall(found), strict=True)
    return all(abs(float(a) - float(b)) <= max(counted, 0.11 * ("." in a)) for a, b in pairs)  # "19.5 times", rounded


def _shown(value: Any) -> str:
    return f"{float.fromhex(value)!r} ({value})" if isinstance(value, str) and HEX.fullmatch(value) else repr(value)


# ------------------------------------------------------------------- the file


def read(golden: Path) -> dict[str, Any]:
    """drawn: digests of the inputs. kinds: what was answered, by kind of machine and part."""
    return json.loads(golden.read_text("utf-8")) if golden.exists() else {"drawn": {}, "kinds": {}}


def compared(golden: Path, part: str, found: Mapping[str, Any]) -> tuple[str, list[str]]:
    """How one part was compared, in words, and where it differs."""
    kinds, here = read(golden)["kinds"], kind()
    if here in kinds:
        return f"bit for bit, as kept for {here}", [*differences(kinds[here][part], found)]
    other, tolerance = closest(kinds, here), TOLERANCES[part]
    said = f"within {tolerance:g}: nothing is kept for {here}; the closest is {other}"
    return said, [*differences(kinds[other][part], found, tolerance)]


def write(golden: Path, drawn: Mapping[str, str], found: Mapping[str, Any]) -> list[str]:
    """Keep what was found for this kind of machine. What is kept for others stays as long as it says the same; returns
    the kinds whose entries had to go."""
    before, here = read(golden)["kinds"], kind()
    gone = [name for name, kept in before.items() if name != here and _says_else(kept, found)]
    kinds = {**{name: kept for name, kept in before.items() if name not in gone}, here: found}
    golden.write_text(_text({"drawn": drawn, "kinds": kinds}, depth=6) + "\n", encoding="utf-8")
    return gone


def _says_else(kept: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return any(part not in kept or any(differences(kept[part], found[part], TOLERANCES[part])) for part in found)


def _text(value: Any, depth: int, margin: str = "") -> str:
    """JSON in which the upper levels have a line for each entry, so that a change is seen where it is."""
    if depth == 0 or not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = margin + " "
    rows = (f"{inner}{json.dumps(k, ensure_ascii=False)}: {_text(v, depth - 1, inner)}" for k, v in value.items())
    return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
