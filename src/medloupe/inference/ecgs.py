"""Answer ECGs: file → signal → windows → network → calibrated probabilities → answer. Nothing here trains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import Signal
from medloupe.embed.network import Network
from medloupe.errors import SignalError
from medloupe.graphs.session import open_session, run
from medloupe.inference.answering import apply_head
from medloupe.inference.inputs import require_inputs
from medloupe.inference.pictures import Unanswered, predict_in_order
from medloupe.inference.recordings import WindowOutputs, answer_signal, list_influences
from medloupe.model.decision import Decision
from medloupe.model.leads import LeadRule
from medloupe.model.prediction import Prediction, Refusal

if TYPE_CHECKING:
    from medloupe.model.bundle import Model

_BATCH = 256  # windows at once

FOREIGN = "This signal is unlike the ECGs that {} was trained on (novelty {:.2f}, limit 1)."


class EcgPredictor:
    """A model of ECGs ready to answer; safe to use from several threads.

    Parameters
    ----------
    model : Model
        The model.
    network_threads : int, optional
        Of one run of the network; settings.threads() by default.
    rate : float, optional
        In Hz, for files that do not tell it.
    gain : float, optional
        Units a millivolt, for files that do not tell their unit.
    """

    def __init__(
        self,
        model: Model,
        *,
        network_threads: int | None = None,
        rate: float | None = None,
        gain: float | None = None,
    ):
        self.model = model
        self._rate, self._gain = rate, gain
        self._file = open_session(model.onnx, threads=network_threads) if model.onnx is not None else None
        self._network = None if self._file else Network(model.backbone, None, threads=network_threads)
        self._decision = Decision.from_card(model.card)
        self.leads = LeadRule.from_card(model.card, model.backbone.card.leads)

    def predict(
        self,
        source: str | Path | Mapping[str, bytes] | Signal | np.ndarray,
        given: Mapping[str, str] | None = None,
        *,
        file: str = "",
        heatmap: bool = False,
        rate: float | None = None,
        gain: float | None = None,
    ) -> Prediction:
        """Answer one ECG.

        Parameters
        ----------
        source : str, Path, mapping or Signal
            A file, the files of an upload by name, or a Signal.
        given : mapping, optional
            What is known beside it, by the names of the model's inputs.
        file : str
            What to call it in the answer; its path by default.
        heatmap : bool
            Whether the evidence along the signal is wanted, too.
        rate : float, optional
            In Hz, where the file does not tell it; instead of the predictor's.
        gain : float, optional
            Units a millivolt, where the file does not tell its unit; instead of the predictor's.

        Raises
        ------
        SignalError
            When it cannot be read or is no usable ECG.
        ClinicalError
            When a value beside it cannot be read.
        MedloupeError
            For an input that the model does not have.
        """
        if isinstance(source, np.ndarray | bytes):
            raise SignalError("An array or bytes do not tell the sampling rate.", "Give a file, or a medloupe Signal.")
        started = time.perf_counter()
        told = require_inputs(self.model, given or {})
        if isinstance(source, Signal):
            signal = source
        else:
            file_or_files = Path(source) if isinstance(source, str) else source
            signal = read_ecg(file_or_files, rate=rate or self._rate, gain=gain or self._gain)
        name = file or (str(source) if isinstance(source, (str, Path)) else "")
        return self.predict_signal(signal, told, file=name, heatmap=heatmap, started=started)[0]

    def predict_signal(
        self,
        signal: Signal,
        given: Mapping[str, str],
        *,
        file: str = "",
        heatmap: bool = False,
        started: float | None = None,
    ) -> tuple[Prediction, float]:
        """Answer a Signal, and tell how foreign it is.

        Parameters
        ----------
        signal : Signal
            The ECG.
        given : mapping
            What is known beside it, by the model's names.
        file : str
            What to call it in the answer.
        heatmap : bool
            Whether the evidence along the signal is wanted, too.
        started : float, optional
            By perf_counter, when reading it began.

        Returns
        -------
        prediction : Prediction
            The answer.
        novelty : float
            Above 1 it is foreign; 0 where the model refuses nothing.

        Raises
        ------
        SignalError
            When it is no usable ECG.
        ClinicalError
            When a value beside it cannot be read.
        """
        model = self.model
        decoded = time.perf_counter()
        found = answer_signal(
            signal,
            model.backbone.card,
            self._decision,
            lambda windows: self._see(windows, heatmap),
            extras=model.extras,
            novelty=model.novelty,
            leads=self.leads,
            given=given,
        )
        answered = time.perf_counter()
        foreign = found.novelty is not None and found.novelty > 1 and found.unusable is None
        refused = Refusal(reason=FOREIGN.format(model.name, found.novelty), looks_like="") if foreign else None
        prediction = Prediction.of(
            self._decision,
            found.probabilities,
            said=found.said,
            file=file,
            model=model.name,
            version=model.version,
            refused=refused,
            unusable=found.unusable,
            heatmap=found.parts,
            timings={
                "decode": 1000 * (decoded - (decoded if started is None else started)),
                "network": 1000 * (answered - decoded),
            },
            inputs=list_influences(model.extras, model.labels, given),
            ecg=found.reading,
        )
        return prediction, found.novelty or 0.0

    def _see(self, windows: np.ndarray, heatmap: bool) -> WindowOutputs:
        parts = [self._see_some(windows[i : i + _BATCH], heatmap) for i in range(0, len(windows), _BATCH)]
        return WindowOutputs(
            np.concatenate([p.embedding for p in parts]),
            np.concatenate([p.logits for p in parts]),
            np.concatenate([p.parts for p in parts if p.parts is not None]) if heatmap else None,
        )

    def _see_some(self, windows: np.ndarray, heatmap: bool) -> WindowOutputs:
        if self._file is not None:
            wanted = ["embedding", "logits", "heatmap"] if heatmap else ["embedding", "logits"]
            made = run(self._file, wanted, {"signal": windows})
            return WindowOutputs(made[0], made[1], made[2] if heatmap else None)
        assert self._network is not None
        seen = self._network.see(windows, maps=heatmap)
        return WindowOutputs(seen.embedding, *apply_head(self.model, seen.embedding, seen.map))

    def predict_many(
        self, files: Iterable[Path], given: Callable[[Path], Mapping[str, str]] | None = None
    ) -> Iterator[tuple[Path, Prediction | Unanswered]]:
        """Answer files as Predictor.predict_many does."""
        return predict_in_order(self.predict if given is None else lambda path: self.predict(path, given(path)), files)
