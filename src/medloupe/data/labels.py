"""Tell what labels say: which mean that nothing was found, and which are looked for.

Roles are told by people, curated for the shipped check-ups, or recognised by the names of labels; then that is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from medloupe.errors import DataError, did_you_mean

Role = Literal["sought", "normal", "harmless", "none"]
FALSE_FLAGS = 0.25  # of the examples without a finding, that may get any flag unless told otherwise
ROLES: tuple[Role, ...] = ("sought", "normal", "harmless", "none")

_HEALTHY = re.compile(
    r"^(no|not|non)[\s_-]|(?<!ab)normal|healthy|negative|uninfected|benign|control|no.?finding|others?$"
    r"|^(norm|none|absent|0|false|no)$",
    re.IGNORECASE,
)


def is_healthy(label: str) -> bool:
    """Tell whether the name of a label says that nothing is wrong: normal, no finding, benign."""
    return _HEALTHY.search(label) is not None


def positive_label(labels: Sequence[str], task: str) -> str | None:
    """Find the one of two classes that is looked for: whose name does not say healthy, else the second.

    None unless the task is multi-class and there are two labels.
    """
    if task != "multiclass" or len(labels) != 2:
        return None
    for one, other in (labels, reversed(labels)):  # NonCOVID is healthy because its counterpart is called COVID
        if re.fullmatch(rf"(no|not|non|un)[\s_-]*{re.escape(one)}", other, re.IGNORECASE) and not is_healthy(one):
            return one
    ill = [name for name in labels if not is_healthy(name)]
    return ill[0] if len(ill) == 1 else labels[-1]


_NORMAL = re.compile(
    r"^(no|not|non|without)[\s_.-]|^no.?(tumou?r|finding|disease|dr|lesion|cancer|pneumonia|covid)|(?<!ab)normal"
    r"|healthy|negative|uninfected|^control|^(norm|none|absent|0|false|no|nothing)$|^\d[\s_.-]*no[\s_.-]",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"benign|harmless|^(nv|nevus|naevus|mole)$", re.IGNORECASE)
_SOUGHT = re.compile(
    r"positive|malignan|abnormal|infected|parasit|disease|cancer|carcinoma|melanoma|tumou?r|glioma|pneumon|covid"
    r"|tubercul|effusion|nodule|fracture|retinopathy|(?<!_)referable|glaucoma|malaria|monkey.?pox|mpox|h(a?)emorrhage"
    r"|stroke|infarct|arrhythmi|fibrillation|^(sick|ill|mi|mel|bcc|scc|tb)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """What each label means for the answer.

    Attributes
    ----------
    labels : tuple of str
        K names, in the order of the outputs.
    role : mapping
        By label: "sought" (a finding), "normal", "harmless", or "none"; what is left out has none.
    danger : mapping of int
        Of sought labels: 1 is the most dangerous, equals may share a rank.
    ordered : bool
        Whether the labels are grades, from the least to the worst.
    by : str
        "told", "curated", or "recognised" by the names of the labels.
    false_flags : float
        Share of the finding-free examples that may get any flag.
    """

    labels: tuple[str, ...]
    role: Mapping[str, Role] = field(default_factory=dict)
    danger: Mapping[str, int] = field(default_factory=dict)
    ordered: bool = False
    by: str = "recognised"
    false_flags: float = FALSE_FLAGS

    def of(self, label: str) -> Role:
        """Tell the role of a label."""
        return self.role.get(label, "none")

    def mask(self, *roles: Role) -> np.ndarray:
        """Tell which labels have one of these roles, bool (K,)."""
        return np.array([self.of(name) in roles for name in self.labels], bool)

    @property
    def sought(self) -> np.ndarray:
        """Which labels are findings, bool (K,)."""
        return self.mask("sought")

    @property
    def settled(self) -> bool:
        """Whether a label says that nothing dangerous was found."""
        return bool(self.mask("normal", "harmless").any())

    @property
    def ranks(self) -> np.ndarray:
        """The rank of danger of each label, int (K,); 0 of what is not sought."""
        return np.array([self.danger.get(n, 1) if self.of(n) == "sought" else 0 for n in self.labels], int)

    @property
    def words(self) -> str:
        """The same as a sentence, for card and command line."""
        said = [
            f"{title} {', '.join(names)}"
            for role, title in (("sought", "looked for:"), ("normal", "normal:"), ("harmless", "harmless:"))
            if (names := [n for n in self.by_danger() if self.of(n) == role])
        ]
        rest = [n for n in self.labels if self.of(n) == "none"]
        if rest and said:
            said.append(f"without a role: {', '.join(rest[:20])}{' …' if len(rest) > 20 else ''}")
        how = {"told": "as told", "curated": "as curated", "recognised": "recognised by the names of the labels"}
        text = "; ".join(said)
        if not text:
            return "No label is looked for, so no answer is flagged or called clear."
        return f"{text[:1].upper()}{text[1:]} ({how.get(self.by, self.by)}){', in order' if self.ordered else ''}."

    def by_danger(self) -> list[str]:
        """List the labels, the most dangerous first, then those that are not sought."""
        return sorted(self.labels, key=lambda n: (self.of(n) != "sought", self.danger.get(n, 1)))

    def as_json(self) -> dict[str, Any]:
        """Give the card's entry `roles`."""
        entries = {
            n: {"role": self.of(n)} | ({"danger": int(self.danger.get(n, 1))} if self.of(n) == "sought" else {})
            for n in self.labels
            if self.of(n) != "none"
        }
        return {
            "by": self.by,
            "ordered": self.ordered,
            "false_flags": self.false_flags,
            "labels": entries,
            "words": self.words,
        }

    @classmethod
    def from_json(cls, labels: Sequence[str], entry: Mapping[str, Any] | None) -> Roles:
        """Read a card's entry `roles`; where it has none, as of versions made before there were any, by the names."""
        if not entry:
            return recognise_roles(labels)
        said = {n: e for n, e in (entry.get("labels") or {}).items() if n in labels}
        return cls(
            labels=tuple(labels),
            role={n: e.get("role", "none") for n, e in said.items()},
            danger={n: int(e["danger"]) for n, e in said.items() if e.get("danger")},
            ordered=bool(entry.get("ordered")),
            by=str(entry.get("by") or "told"),
            false_flags=float(entry.get("false_flags") or FALSE_FLAGS),
        )


def recognise_roles(labels: Sequence[str]) -> Roles:
    """Recognise roles by the names of labels: normal, healthy, no_…, benign; pneumonia, malignant, X beside no_X.

    Findings are only taken for recognised where every label is: flagging some of them would call the others clear.
    """
    role: dict[str, Role] = {}
    known = {name.casefold() for name in labels}
    denies = {name: known & _list_denied(name) for name in labels}
    denied = {other for others in denies.values() for other in others}
    for name in labels:
        has_counterpart = name.casefold() in denied
        if denies[name] or (_NORMAL.search(name) and not has_counterpart):
            role[name] = "normal"
        elif _HARMLESS.search(name):
            role[name] = "harmless"
        elif has_counterpart or _SOUGHT.search(name):
            role[name] = "sought"
    if len(role) < len(labels):
        role = {name: r for name, r in role.items() if r != "sought"}
    return Roles(labels=tuple(labels), role=role)


def _list_denied(label: str) -> set[str]:
    """List what a label may be the counterpart of, in small letters: NonCOVID of COVID, not_referable of referable."""
    text, found = label.casefold(), set[str]()
    for word in ("no", "not", "non", "un"):
        rest = text.removeprefix(word) if text.startswith(word) else ""
        while rest:
            found.add(rest)
            rest = rest[1:] if rest[0] in "_-" or rest[0].isspace() else ""
    return found


def tell_roles(
    labels: Sequence[str],
    *,
    normal: Sequence[str] = (),
    sought: Sequence[str] = (),
    harmless: Sequence[str] = (),
    ordered: bool = False,
    by: str = "told",
    false_flags: float = FALSE_FLAGS,
) -> Roles:
    """Give labels the roles that a person tells; what is not told is recognised, unless any is told sought.

    Parameters
    ----------
    labels : sequence of str
        As the data has them.
    normal, harmless : sequence of str
        Labels that say that nothing was found, or nothing that matters.
    sought : sequence of str
        Findings, the most dangerous first.
    ordered : bool
        Whether the labels are grades in this order; then a later one is the more dangerous.
    by : str
        Who says so, for the card.
    false_flags : float
        Share of the finding-free examples that may get any flag.

    Raises
    ------
    DataError
        For a label that the data does not have, or one that is told two roles.
    """
    told: dict[str, Role] = {}
    for role, names in (("normal", normal), ("sought", sought), ("harmless", harmless)):
        for name in names:
            found = next((n for n in labels if n == name or n.casefold() == name.casefold()), None)
            if found is None:
                raise DataError(
                    f"There is no label {name!r}; the data has {', '.join(list(labels)[:20])}.",
                    did_you_mean(name, labels) or f"Give --{role} names of labels.",
                )
            if told.setdefault(found, role) != role:  # type: ignore[arg-type]
                raise DataError(f"The label {found!r} is told to be {told[found]} and {role}.", "Give it one role.")
    guessed = recognise_roles(labels)
    if not told and not ordered:
        return replace(guessed, false_flags=false_flags)
    rest = {n: r for n, r in guessed.role.items() if n not in told and (r != "sought" or not sought)}
    if ordered and not sought:  # of grades every one but the normal ones is looked for
        first = next((n for n in labels if told.get(n) == "normal"), None) or labels[0]
        told.setdefault(first, "normal")
        rest = {n: "sought" for n in labels if n not in told}
    roles: dict[str, Role] = {**rest, **told}
    named = [next(x for x in labels if x.casefold() == name.casefold()) for name in sought]
    if ordered:
        grades = [n for n in labels if roles.get(n) == "sought"]
        danger = {n: len(grades) - i for i, n in enumerate(grades)}
    else:
        danger = {n: i + 1 for i, n in enumerate(named)}
    return Roles(labels=tuple(labels), role=roles, danger=danger, ordered=ordered, by=by, false_flags=false_flags)
