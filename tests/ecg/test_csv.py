"""Text: separators, decimal commas, headers, units and the many places where a sampling rate stands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgmaker import ecg, even
from ecgwriters import text
from medloupe.ecg.csv import looks_like_ecg, read
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.errors import SignalError

LEADS = ("II", "V1", "V5")
SIGNAL = ecg(even(5), 5, 360, LEADS, noise=0.005)
ONE = Signal(samples=SIGNAL.samples[:1], rate=360, leads=("II",))


def same(got: Signal, wanted: Signal = SIGNAL, leads: tuple[str, ...] | None = None) -> None:
    assert got.leads == (wanted.leads if leads is None else leads)
    assert got.rate == pytest.approx(wanted.rate, abs=1e-6)
    assert got.samples.shape == wanted.samples.shape
    np.testing.assert_allclose(got.samples, wanted.samples, atol=2e-5)


@pytest.mark.parametrize(
    "before",
    [
        *("# fs=360\n", "fs,360\n", "sampling_rate: 360\n", "# Sampling frequency (Hz) = 360\n", "Sample Rate;360,0\n"),
        *("# recorded at 360 Hz, filter 0.05-150 Hz\n", "# heart rate: 72\n# rate 360\n", "% 360 samples per second\n"),
    ],
)
def test_where_the_rate_stands(before: str):
    same(read(text(SIGNAL, before=before), "a.csv"))


@pytest.mark.parametrize(
    ("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("  ", "."), (" ", ",")]
)
@pytest.mark.parametrize("header", [True, False])
def test_separators(separator: str, decimal: str, header: bool):
    data = text(SIGNAL, None if header else "", separator=separator, decimal=decimal)
    same(read(data, "a.csv", 360), leads=LEADS if header else ("", "", ""))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding: str):
    data = text(replace(SIGNAL, samples=SIGNAL.samples * 1000), "II (µV),V1 (µV),V5 (µV)", before="fs: 360\n")
    got = read(data.decode().encode(encoding), "a.csv")
    assert got.leads == LEADS
    np.testing.assert_allclose(got.samples, SIGNAL.samples, atol=1e-5)
    assert not got.notes


@pytest.mark.parametrize(
    ("header", "factor", "said"),
    [
        ("II (mV),V1 (mV),V5 (mV)", 1, ""),
        ("II (uV),V1 [uV],V5_uV", 1000, ""),
        ("ECG II,ECG V1,ECG V5", 1000, "read as µV"),
        ("ii,v1,v5", 1e-3, "read as volts"),
        ("Lead II,Lead V1,Lead V5", 1, ""),
    ],
)
def test_units(header: str, factor: float, said: str):
    got = read(text(SIGNAL, header, factor=factor), "a.csv", 360)
    same(got)
    assert said in " ".join(got.notes)
    assert bool(said) == bool(got.notes)
    told = read(text(SIGNAL, header.split(" (")[0] and None, before="# unit: uV, fs=360\n", factor=1000), "a.csv")
    same(told)


@pytest.mark.parametrize(
    ("header", "second"),
    [
        *(("time,II,V1,V5", 1), ("Time (s),II,V1,V5", 1), ("time (ms),II,V1,V5", 1000), ("t_ms,II,V1,V5", 1000)),
        *(("time,II,V1,V5", 1000), ("timestamp,II,V1,V5", 1), ("", 1), ("", 1000)),
    ],
)
def test_a_time_column_tells_the_rate(header: str, second: float):
    same(read(text(SIGNAL, header, time=second), "a.csv"), leads=None if header else ("", "", ""))


def test_a_column_that_counts_samples_is_no_lead_and_no_time():
    counted = text(SIGNAL, "'sample #','II','V1','V5'", time=360)
    same(read(counted, "a.csv", 360))
    same(read(text(SIGNAL, "", time=360), "a.csv", 360), leads=("", "", ""))
    with pytest.raises(SignalError, match="sampling rate"):
        read(counted, "a.csv")


def test_as_physionet_exports():
    lines = text(SIGNAL, "'Elapsed time','II','V1','V5'\n'hh:mm:ss.mmm','mV','mV','mV'", time=1).decode().splitlines()
    stamped = [f"'0:{float(line.split(',')[0]):06.3f}',{line.split(',', 1)[1]}" for line in lines[2:]]
    same(read("\n".join(lines[:2] + stamped).encode(), "a.csv", 360))


def test_what_is_told_goes_before_the_times():
    got = read(text(SIGNAL, time=1), "a.csv", 180)
    assert got.rate == 180
    assert "time column runs at 360" in got.notes[0]


def test_one_column():
    same(read(text(ONE, "", before="# fs=360\n"), "a.txt"), ONE, leads=("",))
    same(read(text(ONE, "II", before="# fs=360\n", decimal=","), "a.txt"), ONE)


def test_a_row_a_lead():
    rows = "\n".join(",".join(f"{value:.6g}" for value in lead) for lead in SIGNAL.samples)
    same(read(rows.encode(), "a.csv", 360), leads=("", "", ""))


def test_twelve_columns_without_names():
    twelve = ecg(even(3), 3, 250)
    got = read(text(twelve, ""), "a.csv", 250)
    assert got.leads == TWELVE
    assert "no names" in got.notes[0]


def test_blank_cells_are_missing():
    lines = text(SIGNAL, before="# fs=360\n").decode().splitlines()
    lines[100] = lines[100].split(",", 1)[0] + ",,nan"
    got = read("\n".join(lines).encode(), "a.csv")
    assert np.isnan(got.samples[1:, 98]).all()
    assert np.isnan(got.samples).sum() == 2


def test_other_channels_are_left_out():
    got = read(text(SIGNAL, "II,Resp,label"), "a.csv", 360)
    assert got.leads == ("II",)
    assert "Resp, label" in got.notes[0]


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (text(SIGNAL), "does not tell its sampling rate"),
        (text(SIGNAL, before="# heart rate: 72\n# notch 50 Hz\n"), "does not tell its sampling rate"),
        (text(SIGNAL, before="# fs=5\n"), "5 Hz"),
        (b"a,b\nc,d\n", "no columns of numbers"),
        (b"# fs=360\n1,2\n3,4\n5\n6,7\n", "different numbers of columns"),
        (b"# fs=360\n" + b"\n".join([b",".join([b"1"] * 40)] * 60), "40 channels|32"),
        (b"\n\n\n", "no columns of numbers"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, match: str):
    with pytest.raises(SignalError, match=match):
        read(data, "a.csv")


def test_tables_are_told_from_ecgs():
    assert looks_like_ecg(text(SIGNAL))
    assert looks_like_ecg(text(SIGNAL, "", before="# fs=360\n"))
    assert not looks_like_ecg(b"file,label\na.hea,N\nb.hea,S\n")
    assert not looks_like_ecg(b"age,weight\n50,80\n51,70\n52,60\n")
    assert not looks_like_ecg(b"")


# ---------------------------------------------------------------- commas

HALF = ecg(even(30), 30, 360, ("I",), noise=0.004)
MANY = Signal(samples=HALF.samples - np.float32(0.02), rate=360, leads=("I",))
WATCH = (
    'Name,"Jo Beispiel"\nAufzeichnungsdatum,"2021-01-05 10:11:12 +0100"\nSoftwareversion,"1,90"\n'
    'Abtastrate,"360 Hertz"\n\n\nAbleitung,"Ableitung I"\nEinheit,µV\n\n'
)


def lone(form: str, scale: float = 1, before: str = "# fs=360\n", *, quoted: bool = False, sign: str = ",") -> bytes:
    cells = [f"{value * scale:{form}}".replace(".", sign) for value in MANY.samples[0].tolist()]
    return (before + "\n".join(f'"{cell}"' if quoted else cell for cell in cells) + "\n").encode()


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("sign", [",", "."])
@pytest.mark.parametrize(
    ("form", "scale", "before"),
    [
        (".3f", 1, "# fs=360\n"),
        (".4f", 1, "# fs=360\n\n# patient: 7\n\n"),
        (".5g", 1, "# fs=360\n"),
        (".3f", 1, "# fs=360\nI\n\n"),
        (".3f", 1, "# fs=360\nmV\n"),
        (".3f", 1000, WATCH),
        (".1f", 1000, WATCH),
        (".0f", 1000, WATCH),
    ],
)
def test_a_lone_column_with_decimal_commas(form: str, scale: float, before: str, sign: str, quoted: bool):
    got = read(lone(form, scale, before, quoted=quoted, sign=sign), "a.csv")
    assert got.samples.shape == MANY.samples.shape
    np.testing.assert_allclose(got.samples, MANY.samples, atol=0.001)
    assert got.leads == (("I",) if before == WATCH or "I\n" in before else ("",))


@pytest.mark.parametrize("separator", [";", "\t", ",", "; "])
def test_decimal_commas_between_separators(separator: str):
    """In quotes where commas separate, too; the first lines may hold whole numbers."""
    rows = [[f"{value:.3f}".replace(".", ",") for value in row] for row in SIGNAL.samples.T.tolist()]
    rows[0] = ["0", "0", "0"]
    quote = '"{}"' if separator == "," else "{}"
    lines = ["# fs=360", separator.join(LEADS), *(separator.join(map(quote.format, row)) for row in rows)]
    got = read("\n".join(lines).encode(), "a.csv")
    assert got.leads == LEADS
    np.testing.assert_allclose(got.samples[:, 1:], SIGNAL.samples[:, 1:], atol=0.0006)


def whole(low: int, high: int, count: int = 400) -> str:
    """Two columns of whole numbers, a slow wave each."""
    wave = np.sin(np.arange(count) / 9)
    one, two = ((low + high) / 2 + (high - low) / 2 * sign * wave for sign in (1, -1))
    return "\n".join(f"{a:.0f},{b:.0f}" for a, b in zip(one, two, strict=True)) + "\n"


def test_two_columns_of_whole_numbers_stay_two():
    for low, high in ((-200, 300), (900, 1100), (300, 800)):
        got = read(("# fs=360\n" + whole(low, high)).encode(), "a.csv", gain=200)
        assert len(got.samples) == 2
    named = read(("# fs=360\nII,V1\n" + whole(500, 800, 30)).encode(), "a.csv", gain=200)
    assert named.leads == ("II", "V1")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (whole(300, 800, 30), "separates two columns"),
        ("\n".join(f"1,{k % 300:03}" for k in range(400)) + "\n", "thousands"),
        ("\n".join(f"{k:,}" for k in range(800, 1300)) + "\n", "thousands"),
        ("\n".join(f'"1,{k:03}","2,{k:03}"' for k in range(300)) + "\n", "thousands"),
        ("\n".join(f"0,{k:03},0,{k:03}" for k in range(300)) + "\n", "or both"),
    ],
)
def test_a_comma_that_may_be_two_things_is_asked_about(body: str, what: str):
    with pytest.raises(SignalError, match=f"cannot be told whether the comma .*{what}"):
        read(("# fs=360\n" + body).encode(), "a.csv")


def test_text_among_numbers_is_no_gap():
    lines = text(SIGNAL, before="# fs=360\n").decode().splitlines()
    lines[90] = "0.1,lead off,0.2"
    with pytest.raises(SignalError, match="'lead off' in a column of numbers"):
        read("\n".join(lines).encode(), "a.csv")


# ---------------------------------------------------------------- rates


def test_a_file_that_contradicts_itself_is_asked_about():
    data = text(SIGNAL, before="# fs=250\n", time=1)
    with pytest.raises(SignalError, match="250 Hz, but its time column runs at 360"):
        read(data, "a.csv")
    assert read(data, "a.csv", 360).rate == 360


@pytest.mark.parametrize("rate", [100, 128, 250, 496, 500, 1000, 2000])
@pytest.mark.parametrize(("unit", "second"), [("", 1), ("", 1000), ("", 1e6), ("s", 1), ("ms", 1000), ("us", 1e6)])
def test_units_of_time(rate: int, unit: str, second: float):
    signal = ecg(even(3), 3, rate, LEADS, noise=0.005)
    header = f"time{f' ({unit})' if unit else ''},II,V1,V5"
    data = text(signal, header, time=second)
    if not unit and second == rate:
        with pytest.raises(SignalError, match="does not tell its sampling rate"):
            read(data, "a.csv")  # thousandths of a second, or samples counted
    else:
        assert read(data, "a.csv").rate == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    ("before", "rate"),
    [("# fs=1,000\n", 1000), ("Sample Rate,512.4 hertz\n", 512.4), ("# rate: 256,5 Hz\n", 256.5), ("fs,360\n", 360)],
)
def test_how_rates_are_written(before: str, rate: float):
    assert read(text(SIGNAL, before=before), "a.csv").rate == rate


@pytest.mark.parametrize(
    ("before", "signal"),
    [
        *(("# sampling rate: 1 kHz\n", 1000), ("# recorded at 1 kHz, filter 40 Hz\n", 1000)),
        *(("# Sampling frequency (kHz): 0.5\n", 500), ("fs = 0,5 kHz\n", 500)),
    ],
)
def test_kilohertz(before: str, signal: float):
    one = ecg(even(3), 3, signal, ("II", "V1"))
    same(read(text(one, before=before), "a.csv"), one)


@pytest.mark.parametrize("head", ["Zeit [ms]", "temps (ms)", "tiempo ms", "tijd_ms"])
def test_time_in_other_languages_is_no_lead(head: str):
    data = text(SIGNAL, f"{head},II,V1,V5", time=1000)
    same(read(data, "a.csv"))
    same(read(data, "a.csv", 360))


@pytest.mark.parametrize("other", ["HR", "RR", "R_peak", "quality", "filtered", "is_valid", "respiration"])
def test_a_column_that_is_no_lead_does_not_tell_the_unit(other: str):
    n = SIGNAL.samples.shape[1]
    beside = np.full((2, n), 75.0) + np.sin(np.arange(n) / 50)
    both = Signal(samples=np.vstack([SIGNAL.samples[:1], beside]), rate=360, leads=("II", other, "SpO2"))
    got = read(text(both, before="# fs=360\n"), "a.csv")
    same(got, ONE)
    assert got.notes == (f"Columns called after no lead are left out: {other}, SpO2.",)


def test_columns_that_may_be_leads_of_their_own_stay():
    both = Signal(samples=SIGNAL.samples, rate=360, leads=("II", "ECG 7", "Ableitung X"))
    assert read(text(both, before="# fs=360\n"), "a.csv").samples.shape == SIGNAL.samples.shape


def test_a_lone_column_keeps_its_name_and_unit():
    got = read(text(ONE, "II (µV)", before="# fs=360\n", factor=1000), "a.csv")
    assert got.leads == ("II",)
    np.testing.assert_allclose(got.samples, ONE.samples, atol=1e-5)
