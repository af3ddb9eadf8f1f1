"""What a network makes of a lung sound: a second at 2,000 Hz."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.backbone import BackboneCard
from medloupe.embed.modalities import Embedding, read_and_checked
from medloupe.settings import home

if TYPE_CHECKING:
    from medloupe.data.records import Dataset

_WIDE, _HIGH = 400, 120


class SoundEmbedding(Embedding):
    name = input = "sound"

    @property
    def fitting(self) -> int:
        return 1

    def default_backbone(self, data: Dataset, shipped: Sequence[BackboneCard]) -> str:
        from lungsounds.network import written

        path = home() / "cache" / "backbones" / "lungsounds.onnx"
        return str(path if path.exists() else written(path))

    def window(self, example: Any, card: BackboneCard) -> np.ndarray:
        from lungsounds.network import RATE

        sound = read_and_checked(example, self.name)
        wanted = np.arange(card.input_shape[-1]) / RATE
        there = np.arange(len(sound.samples)) / sound.rate
        return np.interp(wanted, there, sound.samples, right=0)[None].astype(np.float32)

    def drawn(self, window: np.ndarray, card: BackboneCard, attention: np.ndarray | None, title: str) -> str:
        x = np.linspace(0, _WIDE, window.shape[-1])
        y = _HIGH / 2 * (1 - window[0] / max(float(np.abs(window).max()), 1e-6))
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[::5], y[::5], strict=True))
        shade = ""
        if attention is not None:
            wide = _WIDE / 50
            levels = attention[: len(attention) // 50 * 50].reshape(50, -1).mean(1)
            shade = "".join(
                f'<rect x="{i * wide:.1f}" width="{wide:.1f}" height="{_HIGH}" fill="#d63b1d" opacity="{v / 2:.2f}"/>'
                for i, v in enumerate(levels)
            )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_HIGH}" role="img"'
            f' aria-label="{escape(title)}">{shade}<polyline fill="none" stroke="#123" points="{line}"/></svg>'
        )


ENTRY = SoundEmbedding()
