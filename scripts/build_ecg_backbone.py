"""Trains the shared ECG backbone and writes its two ONNX files: for single beats, and for twelve leads.

    python scripts/build_ecg_backbone.py --beats DATA/ecg_beats --twelve DATA/ecg_12lead [--out src/medloupe/starter]

A network looks at one lead of one beat: three convolutions and a recurrent layer in both directions (GRU). It learns
the beat classes and the annotated kinds of beat of the training records of the MIT-BIH Arrhythmia Database (DS1 of de
Chazal 2004, without the record of a person who is in DS2, too), from the beat, the recording's typical beat, their
difference and the RR intervals. Its heads are thrown away: `medloupe train` fits its own. For twelve leads the same
network looks at the typical beat of each lead, and its findings are averaged over four parts of the beat instead of
over all of it. It saw no label of a twelve-lead ECG; of the training folds it only learned what is usual on each lead,
which stands in for a lead that is missing.

Takes about five minutes on one core. Needs the extras [finetune,ecg]. Both files must be made anew together with the
check-ups on them (`make starters`), which belong to exactly these networks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import medloupe
from medloupe.ecg.beats import BEAT, RHYTHM
from medloupe.ecg.signal import TWELVE
from medloupe.embed.backbone import BackboneCard
from medloupe.embed.modalities import SIGNAL_KEY
from medloupe.embed.windows import fit_window
from medloupe.errors import ImageError

RATE, BEAT_BEFORE, BEAT_SIZE, TWELVE_BEFORE, TWELVE_SIZE = 125.0, 0.25, 89, 0.352, 112
CHANNELS, HIDDEN, DROPOUT = (24, 48, 64), 32, 0.3
WIDTH = 2 * HIDDEN
KERNELS, STRIDES = (9, 7, 5), (1, 2, 2)
STEPS, BATCH, RATE_OF_LEARNING, DECAY = 560, 256, 2e-3, 1e-3
AUXILIARY = 0.5  # weight of the loss of the annotated kinds of beat
SEGMENTS = 4  # parts of the beat in the embedding of twelve leads
_RATIO = (1.0, 0.2, 3.0, (0.6, 0.75, 0.85, 0.92, 1.08, 1.2, 1.4))
_DEVIATION = (0.0, -10.0, 10.0, (-5, -3, -2, -1, 1, 2, 4))
KNOTS = (
    _RATIO,
    _RATIO,
    _DEVIATION,
    _DEVIATION,
    (0.03, 0.0, 0.6, (0.02, 0.05, 0.1, 0.2)),
    (75.0, 30.0, 200.0, (60, 100)),
)
"""Of each column of RHYTHM: the usual value, the lowest, the highest, and where its hinges begin."""

MEMBERS = 1  # networks side by side; three gained nothing on twelve leads, by cross-validation


class Trunk(nn.Module):
    """One lead of one beat (N, T) → (N, w, WIDTH)."""

    def __init__(self) -> None:
        super().__init__()
        ins = (1, *CHANNELS[:-1])
        self.convolutions = nn.ModuleList(
            nn.Conv1d(i, o, k, stride=s, padding=k // 2)
            for i, o, k, s in zip(ins, CHANNELS, KERNELS, STRIDES, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(c) for c in CHANNELS)
        self.recurrent = nn.GRU(CHANNELS[-1], HIDDEN, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = torch.relu(norm(convolution(x)))
        return self.recurrent(self.dropout(x).transpose(1, 2))[0]


class Network(nn.Module):
    """The trunk with its two heads for training."""

    def __init__(self, rhythms: int, classes: int, symbols: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.dropout = nn.Dropout(DROPOUT)
        self.of_classes = nn.Linear(3 * WIDTH + rhythms, classes)
        self.of_symbols = nn.Linear(3 * WIDTH, symbols)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """Beats (N, 2, T) → (N, 3, w, WIDTH); leads (N, L, T) → (N, L, w, WIDTH)."""
        if x.shape[1] == len(BEAT):
            x = torch.cat([x, x[:, :1] - x[:, 1:]], 1)
        n, leads, size = x.shape
        made = self.trunk(x.reshape(n * leads, size))
        return made.reshape(n, leads, *made.shape[1:])

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        return self.maps(x).mean(2).flatten(1)

    def forward(self, x: torch.Tensor, rhythm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        e = self.dropout(self.embed(x))
        return self.of_classes(torch.cat([e, rhythm], 1)), self.of_symbols(e)


@dataclass(frozen=True, slots=True)
class Beats:
    """Training beats. windows: (N, 2, T). rhythm: (N, R), encoded. classes, symbols, records: int (N,), the class, the
    kind of beat as annotated, and which recording it is of."""

    windows: np.ndarray
    rhythm: np.ndarray
    classes: np.ndarray
    symbols: np.ndarray
    records: np.ndarray


def card_of(leads: tuple[str, ...], size: int, before: float) -> BackboneCard:
    return BackboneCard(
        name="",
        source="",
        licence="",
        input_size=size,
        dimension=0,
        levels=(),
        places=(1, 1),
        cut=(0, 0, 0),
        modality="ecg",
        leads=leads,
        rate=RATE,
        before=before,
    )


def read_beats(folder: Path) -> Beats:
    data = medloupe.read(folder)
    card = card_of(BEAT, BEAT_SIZE, BEAT_BEFORE)
    held = {r.patient for r in data.records if r.split == "test"} - {None}  # 201 is of the person of 202
    taken = [r for r in data.records if r.split != "test" and r.labels and r.patient not in held]
    windows = np.stack([fit_window(r.signal, card) for r in taken])
    told = np.array([[float(r.columns.get(name) or np.nan) for name in RHYTHM] for r in taken])
    classes = np.array([data.labels.index(next(iter(r.labels))) for r in taken])
    # the kind of beat as annotated is no column of the data set, as it tells the class
    with np.load(next(folder.glob("*.npz")), allow_pickle=False) as stored:
        at = zip(stored["record_id"].tolist(), stored["sample"].tolist(), strict=True)
        kind = {f"{record}/{sample:06d}": s for (record, sample), s in zip(at, stored["symbol"].tolist(), strict=True)}
    symbols = np.unique([kind[r.id] for r in taken], return_inverse=True)[1]
    records = np.unique([r.id.split("/")[0] for r in taken], return_inverse=True)[1]
    return Beats(windows, encoded(told), classes, symbols, records)


def read_twelve(folder: Path) -> np.ndarray:
    """Windows (N, 12, T) outside the test split; no label is read."""
    data = medloupe.read(folder)
    card = card_of(TWELVE, TWELVE_SIZE, TWELVE_BEFORE)
    windows = []
    for record in data.records:
        if record.split != "test":
            try:
                windows.append(fit_window(record.signal, card))
            except ImageError as e:
                print(f"{record.id}: {e}")
    return np.stack(windows)


def encoded(rhythm: np.ndarray) -> np.ndarray:
    """RHYTHM (N, 6) with hinges at KNOTS, so that a linear layer can bend. Unknown is usual."""
    parts = []
    for values, (usual, low, high, knots) in zip(rhythm.T, KNOTS, strict=True):
        x = np.nan_to_num(values, nan=usual).clip(low, high)
        parts += [x, *(np.maximum(0, k - x) if k < usual else np.maximum(0, x - k) for k in knots)]
    made = np.stack(parts, 1)
    return ((made - made.mean(0)) / (made.std(0) + 1e-3)).astype(np.float32)


def varied(windows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Beats (N, 2, T) as other people, electrodes and detectors might give them."""
    n, _, size = windows.shape
    peak = round(BEAT_BEFORE * RATE)
    out = windows * np.exp(rng.normal(0, 0.25, (n, 1, 1)))
    stretch = 1 + rng.normal(0, 0.06, (n, 1, 1))  # heart rate
    moved = rng.integers(-2, 3, (n, 2, 1))  # of the R peak found
    at = np.clip(peak + (np.arange(size) - peak) * stretch + moved, 0, size - 1.001)
    low = np.floor(at).astype(np.int64)
    part = at - low
    out = np.take_along_axis(out, low, 2) * (1 - part) + np.take_along_axis(out, low + 1, 2) * part
    time = np.arange(size) / RATE
    wander = rng.exponential(0.08, (n, 1)) * np.sin(
        rng.uniform(0, 6.28, (n, 1)) + 6.28 * rng.uniform(0.1, 0.7, (n, 1)) * time
    )
    out[:, 0] += wander + rng.normal(0, 1, (n, size)) * rng.exponential(0.02, (n, 1))
    return out.astype(np.float32)


def chances(beats: Beats) -> np.ndarray:
    """How often each beat is drawn: rare classes oftener, and no recording that is full of them too often."""
    by_class = np.bincount(beats.classes)[beats.classes] ** -0.5
    both = beats.records * (beats.classes.max() + 1) + beats.classes
    _, inverse, count = np.unique(both, return_inverse=True, return_counts=True)
    weight = by_class * count[inverse] ** -0.5
    return weight / weight.sum()


def train(beats: Beats, seed: int, steps: int = STEPS) -> Network:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = Network(beats.rhythm.shape[1], beats.classes.max() + 1, beats.symbols.max() + 1)
    optimiser = torch.optim.AdamW(network.parameters(), RATE_OF_LEARNING, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE_OF_LEARNING, total_steps=steps)
    of_classes, of_symbols = nn.CrossEntropyLoss(label_smoothing=0.05), nn.CrossEntropyLoss()
    often = chances(beats)
    network.train()
    for step in range(steps):
        rows = rng.choice(len(often), BATCH, p=often)
        rhythm = beats.rhythm[rows] * (rng.random((BATCH, 1)) > 0.15)  # single beats come without
        windows = torch.from_numpy(varied(beats.windows[rows], rng))
        said, kind = network(windows, torch.from_numpy(rhythm.astype(np.float32)))
        loss = of_classes(said, torch.from_numpy(beats.classes[rows]))
        loss = loss + AUXILIARY * of_symbols(kind, torch.from_numpy(beats.symbols[rows]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"network {seed}, step {step} of {steps}: loss {loss.item():.3f}", flush=True)
    return network.eval()


def side_by_side(networks: Sequence[Network], windows: np.ndarray) -> torch.Tensor:
    """Maps (N, L, w, MEMBERS · WIDTH)."""
    with torch.no_grad():
        return torch.cat([network.maps(torch.from_numpy(windows)) for network in networks], 3)


# ------------------------------------------------------------------ ONNX


def graph(
    trunks: Sequence[Trunk], leads: tuple[str, ...], size: int, before: float, usual: np.ndarray | None
) -> onnx.ModelProto:
    """signal (N, L, T) → map (N, D, 1, w), embedding (N, D).

    usual: map (L, MEMBERS · WIDTH, w) that stands in for leads of zeros.
    """
    beat = leads == BEAT
    rows, width = 3 if beat else len(leads), len(trunks) * WIDTH
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def tensor(name: str, value: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(kind: str, given: list[str], made: str, **how: object) -> str:
        nodes.append(helper.make_node(kind, given, [made], name=made, **how))
        return made

    x = "signal"
    if beat:
        first = node(
            "Slice",
            [x, tensor("zero", np.array([0])), tensor("one", np.array([1])), tensor("leads", np.array([1]))],
            "beat",
        )
        second = node("Slice", [x, "one", tensor("two", np.array([2])), "leads"], "typical")
        x = node("Concat", [x, node("Sub", [first, second], "difference")], "three", axis=1)
    single = node("Reshape", [x, tensor("apart", np.array([-1, 1, size]))], "single")
    places = int(np.ceil(np.ceil(size / STRIDES[1]) / STRIDES[2]))
    tensor("together", np.array([-1, rows, WIDTH, places]))
    members = []
    for m, trunk in enumerate(trunks):
        x = single
        for i, (convolution, norm) in enumerate(zip(trunk.convolutions, trunk.norms, strict=True)):
            assert isinstance(convolution, nn.Conv1d) and isinstance(norm, nn.BatchNorm1d)
            weight, bias = folded(convolution, norm)
            x = node(
                "Conv",
                [x, tensor(f"conv{m}.{i}.weight", weight), tensor(f"conv{m}.{i}.bias", bias)],
                f"conv{m}.{i}",
                kernel_shape=[KERNELS[i]],
                strides=[STRIDES[i]],
                pads=[KERNELS[i] // 2] * 2,
            )
            x = node("Relu", [x], f"relu{m}.{i}")
        x = node("Transpose", [x], f"steps{m}", perm=[2, 0, 1])
        x = node(
            "GRU",
            [x, *(tensor(f"gru{m}.{n}", v) for n, v in gates(trunk.recurrent).items())],
            f"gru{m}",
            hidden_size=HIDDEN,
            direction="bidirectional",
            linear_before_reset=1,
        )  # (w, 2, N·L, H)
        x = node("Transpose", [x], f"channels{m}", perm=[2, 1, 3, 0])  # (N·L, 2, H, w)
        members.append(node("Reshape", [x, "together"], f"by_lead{m}"))
    x = node("Concat", members, "by_lead", axis=2)
    if usual is not None:
        there = node(
            "ReduceMax", [node("Abs", ["signal"], "size"), tensor("last", np.array([2]))], "largest", keepdims=1
        )
        there = node("Greater", [there, tensor("none", np.array(0, np.float32))], "there")
        there = node("Unsqueeze", [there, tensor("place", np.array([3]))], "mask")
        x = node(
            "Where", [there, x, tensor("usual", usual.reshape(1, rows, width, places).astype(np.float32))], "filled"
        )
    d = rows * width
    if not beat:  # a channel for each part of the beat, which is 0 outside it: its mean over all is the part's mean
        d *= SEGMENTS
        part = np.arange(places) * SEGMENTS // places
        mask = (part == np.arange(SEGMENTS)[:, None]).astype(np.float32)
        mask *= places / mask.sum(1, keepdims=True)
        x = node("Unsqueeze", [x, tensor("segment", np.array([2]))], "segments")
        x = node("Mul", [x, tensor("mask_of_parts", mask.reshape(1, 1, SEGMENTS, 1, places))], "by_part")
    node("Reshape", [x, tensor("flat", np.array([-1, d, 1, places]))], "map")
    node("ReduceMean", ["map", tensor("where", np.array([2, 3]))], "embedding", keepdims=0)
    made = helper.make_graph(
        nodes,
        "ecg",
        [helper.make_tensor_value_info("signal", TensorProto.FLOAT, ["N", len(leads), size])],
        [
            helper.make_tensor_value_info("map", TensorProto.FLOAT, ["N", d, 1, places]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", d]),
        ],
        tensors,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    said = {"leads": list(leads), "rate": RATE, "before": before}
    helper.set_model_props(model, {SIGNAL_KEY: json.dumps(said)})
    onnx.checker.check_model(model)
    return model


def folded(convolution: nn.Conv1d, norm: nn.BatchNorm1d) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias with the normalisation in them."""
    assert norm.running_var is not None and norm.running_mean is not None and convolution.bias is not None
    scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
    weight = (convolution.weight * scale[:, None, None]).detach().numpy()
    bias = ((convolution.bias - norm.running_mean) * scale + norm.bias).detach().numpy()
    return weight, bias


def gates(gru: nn.GRU) -> dict[str, np.ndarray]:
    """PyTorch orders reset, update, new; ONNX update, reset, hidden."""

    def ordered(name: str) -> np.ndarray:
        both = []
        for end in ("", "_reverse"):
            r, z, n = np.split(getattr(gru, f"{name}_l0{end}").detach().numpy(), 3)
            both.append(np.concatenate([z, r, n]))
        return np.stack(both)

    return {
        "w": ordered("weight_ih"),
        "r": ordered("weight_hh"),
        "b": np.concatenate([ordered("bias_ih"), ordered("bias_hh")], 1),
    }


def usual_map(networks: Sequence[Network], twelve: np.ndarray) -> np.ndarray:
    """Mean map (L, MEMBERS · WIDTH, w) of the training ECGs."""
    return side_by_side(networks, twelve).mean(0).permute(0, 2, 1).numpy()


def agree(networks: Sequence[Network], model: onnx.ModelProto, windows: np.ndarray) -> float:
    """Largest difference of an embedding between PyTorch and ONNX Runtime."""
    import onnxruntime

    x = windows[:64]
    (ours,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["embedding"], {"signal": x})
    maps = side_by_side(networks, x)
    if x.shape[1] == len(BEAT):
        theirs = maps.mean(2).flatten(1)
    else:
        theirs = torch.stack([part.mean(2) for part in maps.chunk(SEGMENTS, 2)], 2).flatten(1)
    return float(np.abs(ours - theirs.numpy()).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beats", type=Path, required=True)
    parser.add_argument("--twelve", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "src" / "medloupe" / "starter")
    parser.add_argument("--steps", type=int, default=STEPS)
    told = parser.parse_args()
    beats, twelve = read_beats(told.beats), read_twelve(told.twelve)
    print(f"{len(beats.classes):,} beats of {len(np.unique(beats.records))} recordings, {len(twelve)} twelve-lead ECGs")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        networks = list(pool.map(train, [beats] * MEMBERS, range(MEMBERS), [told.steps] * MEMBERS))
    trunks = [network.trunk for network in networks]
    for name, leads, size, before, windows, usual in (
        ("ecg-beats", BEAT, BEAT_SIZE, BEAT_BEFORE, beats.windows, None),
        ("ecg-12lead", TWELVE, TWELVE_SIZE, TWELVE_BEFORE, twelve, usual_map(networks, twelve)),
    ):
        model = graph(trunks, leads, size, before, usual)
        if (apart := agree(networks, model, windows)) > 1e-4:
            raise SystemExit(f"{name}: PyTorch and ONNX Runtime differ by {apart:.2g}.")
        (told.out / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        print(f"{told.out / name}.onnx: differs by {apart:.1g} at most")


if __name__ == "__main__":
    main()
