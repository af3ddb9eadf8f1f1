"""Read ECGs in DICOM: the waveform objects of PS3.3 A.34, by pydicom."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medloupe.ecg.channels import MAX_LEADS, Channel, assemble_signal, check_size
from medloupe.ecg.signal import Signal, lead_name
from medloupe.errors import SignalError
from medloupe.imaging import dicom

_WAVEFORMS = Tag(0x5400, 0x0100)
_TAGS = [Tag(0x0008, 0x0016), Tag(0x0028, 0x0010), _WAVEFORMS]  # SOP class, rows, waveforms
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_TYPES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4"}
# Leads by code where the meaning is no usual name: MDC "2:1" and SCP-ECG "5.6.3-9-1" count alike (CID 3001).
_CODES = {1: "I", 2: "II", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF", **{k + 2: f"V{k}" for k in range(1, 7)}}
_MOST_GROUPS = 64


def read(data: bytes, name: str, *, gain: float | None = None) -> Signal:
    """Read the ECG in a DICOM waveform file: of several multiplex groups the one with most leads and samples.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        What to call it in errors.
    gain : float, optional
        Units a millivolt, for channels that tell no sensitivity.

    Raises
    ------
    SignalError
        Where there is no waveform, or less of it than claimed.
    """
    ds, syntax = dicom.parse_elements(data, name, _TAGS)
    groups = list(ds.get("WaveformSequence") or [])[:_MOST_GROUPS]
    if not groups:
        what = "an image" if ds.get("Rows") else "without a waveform"
        raise SignalError(f"{name} is a DICOM file, but {what}.", "Choose the ECG (waveform) object of the study.")
    group = max(groups, key=lambda g: int(g.NumberOfWaveformChannels) * int(g.NumberOfWaveformSamples))
    notes = [f"The file holds {len(groups)} recordings; the largest is read."] if len(groups) > 1 else []
    count, length = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    rate = float(group.SamplingFrequency)
    check_size(name, count, length, rate)
    kind = np.dtype(_TYPES[str(group.WaveformSampleInterpretation)]).newbyteorder(">" if syntax == _BIG_ENDIAN else "<")
    stored = bytes(group.WaveformData)
    if len(stored) < count * length * kind.itemsize:
        raise SignalError(
            f"{name} claims {count} × {length:,} samples and holds {len(stored):,} bytes.", "Copy it again."
        )
    raw = np.frombuffer(stored, kind, count * length).reshape(length, count)
    padding = _padding(group, kind)
    definitions = list(group.ChannelDefinitionSequence)[:MAX_LEADS]
    if len(definitions) != count:
        raise SignalError(f"{name} describes {len(definitions)} of its {count} channels.", "Export it again.")
    channels = []
    for k, channel in enumerate(definitions):
        sensitivity = float(channel.get("ChannelSensitivity") or 1)
        factor = sensitivity * float(channel.get("ChannelSensitivityCorrectionFactor") or 1)
        samples = raw[:, k] * factor + float(channel.get("ChannelBaseline") or 0)
        if padding is not None:
            samples[raw[:, k] == padding] = np.nan
        units = channel.get("ChannelSensitivityUnitsSequence")
        unit = str(units[0].get("CodeValue", "")) if units else ""
        channels.append(Channel(_channel_name(channel), unit, samples))
    return assemble_signal(channels, rate, "DICOM", name, notes, gain=gain)


def _channel_name(channel: Dataset) -> str:
    sources = channel.get("ChannelSourceSequence")
    said = [str(channel.get("ChannelLabel") or "")]
    if sources:
        code, meaning = str(sources[0].get("CodeValue") or ""), str(sources[0].get("CodeMeaning") or "")
        number = code.rpartition(":")[2].rpartition("-")[2]
        known = _CODES.get(int(number), "") if number.isascii() and number.isdigit() else ""
        said = [known, meaning, code, *said] if not lead_name(meaning) else [meaning]
    return next((lead_name(text) for text in said if lead_name(text)), next(filter(None, said), ""))


def _padding(group: Dataset, kind: np.dtype) -> int | None:
    """Return the stored value that stands for no sample."""
    value = group.get("WaveformPaddingValue")
    if isinstance(value, bytes) and len(value) >= kind.itemsize:
        return int(np.frombuffer(value, kind, 1)[0])
    return int(value) if isinstance(value, int) else None
