"""ECG files of every format, written from a Signal; each returns the path or the bytes it made."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

if TYPE_CHECKING:
    from medloupe.ecg.signal import Signal

TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"


def wfdb_record(signal: Signal, folder: Path, name: str = "r1", form: str = "16", beats: dict[int, str] | None = None):
    """A WFDB record, and with `beats` (symbol by sample) its .atr; returns the .hea."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # wfdb on pandas
        import wfdb

        folder.mkdir(parents=True, exist_ok=True)
        wfdb.wrsamp(
            name,
            fs=signal.rate,
            units=["mV"] * len(signal.leads),
            sig_name=list(signal.leads),
            p_signal=signal.samples.T.astype(np.float64),
            fmt=[form] * len(signal.leads),
            write_dir=str(folder),
        )
        if beats:
            wfdb.wrann(name, "atr", np.array([*beats]), symbol=[*beats.values()], write_dir=str(folder))
    return folder / f"{name}.hea"


def text(
    signal: Signal,
    header: str | None = None,
    before: str = "",
    *,
    separator: str = ",",
    decimal: str = ".",
    factor: float = 1.0,
    time: float | None = None,
) -> bytes:
    """A column a lead. header: column names, the leads' by default, "" for none. time: what a second is in a first
    column of times."""
    columns = [[f"{value * factor:.6g}" for value in lead] for lead in signal.samples]
    names = [*signal.leads]
    if time is not None:
        columns.insert(0, [f"{k / signal.rate * time:.8g}" for k in range(signal.samples.shape[1])])
        names.insert(0, "time")
    header = separator.join(names) if header is None else header
    rows = [separator.join(cell.replace(".", decimal) for cell in row) for row in zip(*columns, strict=True)]
    return (before + (header + "\n" if header else "") + "\n".join(rows) + "\n").encode()


def npz(**arrays: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{name: np.asarray(value) for name, value in arrays.items()})
    return out.getvalue()


def dicom_waveform(
    signal: Signal, unit: str = "uV", per_unit: float = 2.5, offset: float = 0.0, **tags: object
) -> bytes:
    """A 12-lead ECG object of 16-bit samples, each `per_unit` of the unit, `offset` of it added."""
    factor = {"uV": 1e3, "mV": 1.0}[unit]
    stored = np.rint((signal.samples.T * factor - offset) / per_unit).astype("<i2")
    group = Dataset()
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels = len(signal.leads)
    group.NumberOfWaveformSamples = len(stored)
    group.SamplingFrequency = signal.rate
    channels = []
    for lead in signal.leads:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "2:1", "MDC", f"Lead {lead}"
        units = Dataset()
        units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", unit
        channel = Dataset()
        channel.ChannelSourceSequence = [code]
        channel.ChannelSensitivity = per_unit
        channel.ChannelSensitivityUnitsSequence = [units]
        channel.ChannelSensitivityCorrectionFactor = 1
        channel.ChannelBaseline = offset
        channel.WaveformBitsStored = 16
        channels.append(channel)
    group.ChannelDefinitionSequence = channels
    group.WaveformBitsAllocated = 16
    group.WaveformSampleInterpretation = "SS"
    group.WaveformData = stored.tobytes()
    for name, value in tags.items():
        setattr(group, name, value)
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = TWELVE_LEAD_ECG
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=["ecg"])
    ds.Modality = "ECG"
    ds.PatientID = "p1"
    ds.WaveformSequence = [group]
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def edf(signal: Signal, *, bdf: bool = False, unit: str = "uV") -> bytes:
    """EDF or BDF with a breathing channel beside the leads."""
    import edfio

    kind, channel = (edfio.Bdf, edfio.BdfSignal) if bdf else (edfio.Edf, edfio.EdfSignal)
    factor = {"uV": 1e3, "mV": 1.0}[unit]
    channels = [
        channel(lead.astype(np.float64) * factor, signal.rate, label=f"ECG {name}", physical_dimension=unit)
        for lead, name in zip(signal.samples, signal.leads, strict=True)
    ]
    seconds = round(signal.seconds)
    channels.append(channel(np.sin(np.arange(seconds * 10) / 9), 10, label="Resp thorax"))
    out = io.BytesIO()
    kind(channels).write(out)
    return out.getvalue()
