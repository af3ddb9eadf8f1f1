"""Keep what a training computed under everything that went into it: the same data and options take it from there."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.scan import Scan
from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.embed.maps import resize_backbone
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.tail import Tail
from medloupe.inputs.extras import Extras
from medloupe.metrics.box_evidence import BoxEvidence
from medloupe.metrics.evidence import Evidence
from medloupe.model.boxes import Detector
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.model.sight import SharedSight
from medloupe.modelfile.parts import detector_arrays, read_detector
from medloupe.settings import home
from medloupe.training.options import Options
from medloupe.utils.files import write_atomically, write_cache
from medloupe.utils.sourcecode import source_digest
from medloupe.version import __version__

METHOD = 2  # raise when the method changes what comes out of the same data
_COMPUTES = "medloupe.training.pipeline.steps"  # an outcome is named by the code of this and of all that it imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What training gives, apart from names and dates.

    Attributes
    ----------
    head : Head
        The head that ships.
    novelty : Novelty or None
        By what other kinds are refused; None with too few images.
    report : dict
        Card, curves and examples.
    evidence : Evidence, BoxEvidence or None
        The predictions that the figures come from; of detectors the boxes.
    out_of_fold : Evidence or None
        Those of cross-validation, where the figures come from a test split.
    network : bytes
        The ONNX file of a tuned tail, or of a whole tuned network; b"" without fine-tuning.
    whole : bool
        Whether `network` is a whole one.
    extras : Extras or None
        What the model reads beside the picture.
    detector : Detector or None
        What finds boxes.
    sight : SharedSight or None
        Of a detector, what its pictures look like to the network that others share.
    """

    head: Head
    novelty: Novelty | None
    report: dict[str, Any]
    evidence: Evidence | BoxEvidence | None
    network: bytes = b""
    whole: bool = False
    extras: Extras | None = None
    detector: Detector | None = None
    sight: SharedSight | None = None
    out_of_fold: Evidence | None = None

    def restore_network(self, backbone: Backbone) -> tuple[Backbone, Tail | None]:
        """Write the model's network under home, and give its backbone and tail.

        Parameters
        ----------
        backbone : Backbone
            The one trained with, which stays where nothing or only a tail was tuned.
        """
        if not self.network and self.detector is not None:
            return resize_backbone(backbone, self.report["card"]["backbone"]["input_size"]), None
        if not self.network:
            return backbone, None
        folder = home() / "cache" / "tuned"
        sha256 = hashlib.sha256(self.network).hexdigest()
        path = folder / f"{sha256[:32]}.onnx"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, self.network)
        card = self.report["card"]
        if self.whole:
            described = BackboneCard.from_json(card["backbone"])
            return Backbone(card=described, path=path, sha256=sha256), None
        return backbone, Tail.from_json({**card["tail"], "sha256": sha256}, path)


def outcome_path(found: Scan, network: Backbone, options: Options) -> Path:
    """Name the file of an outcome by everything that it depends on."""
    data = found.data
    key = hashlib.sha256()

    def add(*values: object) -> None:
        key.update(repr(values).encode())

    add(METHOD, __version__, source_digest(_COMPUTES), network.sha256, options.key, data.task, data.labels, data.name)
    add(data.notes, sorted(data.origin.items()), sorted((k, len(v)) for k, v in data.skipped.items()))
    add(EMBEDDINGS[data.modality].fitting, data.roles.as_json())
    if told := data.asked.get("unboxed"):
        add(told)
    if data.cropped is not None:
        add(data.cropped)
    for r in data.records:
        add(r.id, found.digest[r.id], sorted(r.labels.items()), r.patient, r.split, sorted(r.columns.items()))
        if data.task == "detection":
            add(r.boxes)
        if r.source is not None:
            add(r.source)
    return home() / "cache" / "outcomes" / f"{key.hexdigest()[:32]}.npz"


def read_outcome(path: Path) -> Outcome | None:
    """Read what `write_outcome` wrote; None where there is nothing, or nothing whole."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            report = json.loads(stored["report"].tobytes())
            return Outcome(
                head=Head(weight=stored["weight"], bias=stored["bias"], task=report["card"]["task"]),
                novelty=Novelty.from_arrays(stored),
                report=report,
                evidence=_read_evidence(stored["evidence"].tobytes(), report["card"]["task"]),
                network=stored["network"].tobytes(),
                whole=bool(stored["whole"]),
                extras=Extras.from_json(json.loads(stored["extras"].tobytes())) if "extras" in stored else None,
                detector=read_detector(stored),
                sight=SharedSight.from_arrays(stored),
                out_of_fold=Evidence.from_bytes(stored["out_of_fold"].tobytes()) if "out_of_fold" in stored else None,
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):  # absent, or spoilt: anew
        return None


def _read_evidence(data: bytes, task: str) -> Evidence | BoxEvidence | None:
    if not data:
        return None
    return BoxEvidence.from_bytes(data) if task == "detection" else Evidence.from_bytes(data)


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Keep an outcome.

    Raises
    ------
    StoreError
        When the disk is full.
    """
    out = io.BytesIO()
    extras = json.dumps(outcome.extras.as_json()).encode() if outcome.extras else b""
    arrays: Mapping[str, Any] = {
        "weight": outcome.head.weight,
        "bias": outcome.head.bias,
        "report": np.frombuffer(json.dumps(outcome.report).encode(), np.uint8),
        "evidence": np.frombuffer(outcome.evidence.as_bytes() if outcome.evidence else b"", np.uint8),
        "network": np.frombuffer(outcome.network, np.uint8),
        "whole": np.array(outcome.whole),
        **(outcome.novelty.as_arrays() if outcome.novelty else {}),
        **({"extras": np.frombuffer(extras, np.uint8)} if extras else {}),
        **(detector_arrays(outcome.detector) if outcome.detector else {}),
        **(outcome.sight.as_arrays() if outcome.sight else {}),
        **({"out_of_fold": np.frombuffer(outcome.out_of_fold.as_bytes(), np.uint8)} if outcome.out_of_fold else {}),
    }
    np.savez(out, allow_pickle=False, **arrays)
    write_cache(path, out.getvalue())
