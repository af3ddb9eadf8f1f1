"""Which of two classes is the one looked for."""

from __future__ import annotations

import pytest

from medloupe.data.labels import positive_label


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
        (("Parasitized", "Uninfected"), "Parasitized"),
        (("benign", "malignant"), "malignant"),
        (("abnormal", "normal"), "abnormal"),
        (("glaucoma", "healthy"), "glaucoma"),
        (("healthy", "unhealthy"), "unhealthy"),
        (("Monkeypox", "Others"), "Monkeypox"),
        (("negative", "positive"), "positive"),
        (("COVID-19", "Non-COVID"), "COVID-19"),
        (("COVID", "NonCOVID"), "COVID"),
        (("NonCOVID", "COVID"), "COVID"),
        (("notumor", "tumor"), "tumor"),
        (("tumor", "no_tumor"), "tumor"),
        (("no tumor", "tumor"), "tumor"),
        (("infected", "uninfected"), "infected"),
        (("0", "1"), "1"),
        (("1", "0"), "1"),
        (("false", "true"), "true"),
        (("no", "yes"), "yes"),
        (("No Finding", "Nodule"), "Nodule"),
        (("no finding", "finding"), "finding"),
        (("control", "case"), "case"),
        (("cat", "dog"), "dog"),  # nothing tells: the second
        (("nodule", "nothing"), "nothing"),
    ],
)
def test_of_two(labels: tuple[str, str], expected: str):
    assert positive_label(labels, "multiclass") == expected


def test_only_of_two_exclusive_classes():
    assert positive_label(("a", "b", "normal"), "multiclass") is None
    assert positive_label(("effusion", "normal"), "multilabel") is None
    assert positive_label(("a",), "multiclass") is None
    assert positive_label((), "multiclass") is None
