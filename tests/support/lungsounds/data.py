"""What a lung sound is: recognised, read and checked."""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.modalities import Modality
from medloupe.errors import UnreadableImageError

_SILENT = 0.001


@dataclass(frozen=True, slots=True)
class Sound:
    """samples: float32 (n,), -1 to 1. rate: samples a second."""

    samples: np.ndarray
    rate: int


class LungSounds(Modality):
    name, one, many, called = "sound", "sound", "sounds", "lung sounds"
    suffixes = frozenset({".wav"})

    def recognises(self, start: bytes, name: str) -> bool:
        return start[:4] == b"RIFF" and start[8:12] == b"WAVE"

    def read(self, source: Path | Mapping[str, bytes], *, rate: float | None = None) -> Sound:
        name = str(source) if isinstance(source, Path) else next(iter(source))
        try:
            data = source.read_bytes() if isinstance(source, Path) else source[name]
            with wave.open(io.BytesIO(data)) as opened:
                if (opened.getnchannels(), opened.getsampwidth()) != (1, 2):
                    raise UnreadableImageError(f"{name} is not of one channel of 16 bits.", "Export it so.")
                samples = np.frombuffer(opened.readframes(opened.getnframes()), "<i2")
                return Sound(samples.astype(np.float32) / 32768, opened.getframerate())
        except (OSError, EOFError, wave.Error) as e:
            raise UnreadableImageError(f"{name} is no sound that can be read: {e}.", "Expected a .wav file.") from e

    def fault(self, example: Any) -> str:
        if len(example.samples) < example.rate / 2:
            return f"It lasts {len(example.samples) / example.rate:.2f} s; at least 0.5 s are needed."
        return "It is silent." if np.abs(example.samples).max() < _SILENT else ""


ENTRY = LungSounds()
