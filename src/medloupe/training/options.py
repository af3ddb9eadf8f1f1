"""Options of a training, checked where they are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medloupe.data.labels import FALSE_FLAGS, tell_roles
from medloupe.errors import DataError, did_you_mean
from medloupe.inputs.limits import LONGEST_MASK, MOST_MASKS

if TYPE_CHECKING:
    from medloupe.data.records import Dataset
    from medloupe.embed.hub.text import TextNetwork
    from medloupe.embed.tail import Tail

LONGEST_KIND = 60  # letters
FINETUNE_MODES = ("none", "tail", "full", "auto")
FIELD_MODES = ("auto", "none")
MINUTES = 15.0  # that `auto` may take for fine-tuning where nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All that a person may ask of a training; the outcome depends on these, the data and the backbone alone.

    Attributes
    ----------
    seed : int
        Of all randomness (folds, bootstrap, fine-tuning): 0 or above. The same seed gives the same model. Costs
        nothing.
    sensitivity : float
        At which the operating point of each label is set: a share of the cases that must be found, at least 0.5 and
        below 1. A higher one flags more of the healthy. Costs nothing.
    finetune : str
        One of FINETUNE_MODES. "none" trains a linear head on embeddings only: seconds to minutes on a CPU. "tail" tunes
        the upper stages of the network, on cached activations, and "full" all of it: four networks, one a fold and one
        to ship, each of several passes over the pictures; minutes to hours, and room on the disk for what is cached.
        "auto" tries "tail" and keeps it only where it is better by more than chance. All but "none" need the `finetune`
        extra, and pictures: networks of ECGs are used as they are.
    minutes : float or None
        That fine-tuning may take, above 0 and below 100,000: views, epochs and folds are given up to stay within, and
        where even the least takes longer the training ends with FinetuneError ("auto" goes on untuned). A search takes
        half of them, and a comparison with random weights as many again. None: MINUTES for "auto"; the others take as
        long as they need.
    start : Tail or None
        A tuned tail, of an earlier model, to go on from; None for the backbone's own weights.
    search : bool
        Whether to look for a better recipe of fine-tuning first, within half of the minutes; needs "tail" or "full".
    scratch : bool
        Whether to train the same network from random weights too, to compare; takes about `minutes`, 15 where None.
    clinical : tuple of str or None
        Columns to read beside the picture: names; ("all",) for all that pass the leak probe; () for none; None for
        what the reader of the data proposes. Each is probed for leaks first; seconds.
    notes : str or None
        The column of free text to read beside the picture; None for none.
    notes_model : TextNet or None
        The network that reads the notes, run once for each text; None reads their letters, which costs next to nothing.
    mask : tuple of str or None
        Words to blank in the notes, at most MOST_MASKS of at most LONGEST_MASK letters, `*` for any letters; () blanks
        none; None blanks those that are found to state the label. Needs `notes`.
    keep_leaks : bool
        Whether columns and notes that name the answer are used all the same.
    normal, harmless : tuple of str
        Labels that say that nothing was found, or nothing that matters.
    sought : tuple of str
        Labels that are findings, the most dangerous first. Where neither is told, names that are recognised get a role.
    ordered : bool
        Whether the labels are grades, in the order of the data: the first is normal, later ones are worse.
    false_flags : float
        Share of the examples without a finding that may get any flag, above 0 and at most one half. Fewer costs
        sensitivity.
    roles_by : str
        Who says so, for the card: "told" or "curated".
    false_marks : float
        Boxes of a label a picture that may be marked wrongly by a detector, above 0 and at most 100. Fewer costs
        sensitivity.
    measure : tuple of str
        Of a detector what is computed from its boxes, each as medloupe.model.measurements has it, such as "ctr =
        width(heart) / width(left_lung + right_lung)"; where none is told, those that are known.
    field : str
        One of FIELD_MODES. "auto" makes simulated photographs and worn copies of the pictures and learns from them too,
        where there are enough pictures: two to three times the time of embedding. "none" does not. Only heads on an
        untuned network learn from them.
    robust : bool
        Whether penalty and share of field views are chosen by leaving one source (hospital, device) out at a time, and
        heads are judged on sources that they had not seen; costs as many trainings of a head as there are sources, and
        as many again for each. Needs a linear head, and a column that tells the source.
    source : str or None
        The column that tells the source; None finds it by its name. Needs `robust`.
    kind : str
        Of picture, in words ("chest X-ray"): where the app chooses, all check-ups of one kind answer, and of the kinds
        that are known it is its own; "" for a kind of its own, and one that is found by distance.

    Raises
    ------
    DataError
        For values out of range, and for options that make sense only beside others that are missing.
    """

    seed: int = 0
    sensitivity: float = 0.9
    finetune: str = "none"
    minutes: float | None = None
    start: Tail | None = None
    search: bool = False
    scratch: bool = False
    clinical: tuple[str, ...] | None = None
    notes: str | None = None
    notes_model: TextNetwork | None = None
    mask: tuple[str, ...] | None = None
    keep_leaks: bool = False
    normal: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    sought: tuple[str, ...] = ()
    ordered: bool = False
    false_flags: float = FALSE_FLAGS
    roles_by: str = "told"
    false_marks: float = 1.0
    measure: tuple[str, ...] = ()
    field: str = "auto"
    robust: bool = False
    source: str | None = None
    kind: str = ""

    def __post_init__(self) -> None:
        if not 0.5 <= self.sensitivity < 1:
            raise DataError(f"The sensitivity {self.sensitivity} is not between 0.5 and 1.", "Give for example 0.95.")
        if not 0 < self.false_flags <= 0.5:
            raise DataError(
                f"The share {self.false_flags} of false flags is not above 0 and at most one half.",
                "Give for example 0.1: of 100 without a finding at most 10 are flagged.",
            )
        if not 0 < self.false_marks <= 100:
            raise DataError(
                f"{self.false_marks} false marks a picture are not above 0 and at most 100.", "Give for example 1."
            )
        if len(self.kind) > LONGEST_KIND or not self.kind.isprintable():
            raise DataError(
                f"A kind of picture is told in at most {LONGEST_KIND} letters.", 'Give for example "chest X-ray".'
            )
        if self.seed < 0:
            raise DataError(f"The seed {self.seed} is negative.", "Give 0 or a whole number above.")
        if self.finetune not in FINETUNE_MODES:
            raise DataError(
                f"There is no way of fine-tuning {self.finetune!r}; known are {', '.join(FINETUNE_MODES)}.",
                did_you_mean(self.finetune, FINETUNE_MODES),
            )
        if self.field not in FIELD_MODES:
            raise DataError(
                f"There are no field views {self.field!r}; known are {', '.join(FIELD_MODES)}.",
                did_you_mean(self.field, FIELD_MODES),
            )
        self._check_robust()
        if self.minutes is not None and not 0 < self.minutes < 100_000:
            raise DataError(f"{self.minutes:g} minutes make no sense.", "Give for example --minutes 15.")
        if self.search and self.finetune not in ("tail", "full"):
            raise DataError("A search tries recipes of fine-tuning.", "Add --finetune tail or full.")
        if self.notes_model is not None and self.notes is None:
            raise DataError("A network is to read notes, and none are given.", "Name their column with --notes.")
        if self.mask is not None and self.notes is None:
            raise DataError("Words are masked in notes, and none are to be read.", "Name their column with --notes.")
        if self.mask and (len(self.mask) > MOST_MASKS or max(map(len, self.mask)) > LONGEST_MASK):
            raise DataError(
                f"At most {MOST_MASKS} words of at most {LONGEST_MASK} letters can be masked.",
                "Use * for any letters: *covid* masks every word that holds it.",
            )

    def _check_robust(self) -> None:
        if self.source is not None and not self.robust:
            raise DataError("The column of the source is told, and nothing asks for it.", "Add --robust.")
        if self.robust and (self.finetune != "none" or self.start is not None):
            raise DataError(
                "A robust training chooses a linear head on the network as it is: upper stages are tuned in folds that"
                " mix sources, and those of an earlier model may have learned from the source that is to judge.",
                "Leave --finetune and --from out, or leave --robust out.",
            )

    @property
    def key(self) -> tuple[object, ...]:
        """All that the outcome depends on, as values that can be compared and hashed."""
        start = self.start.sha256 if self.start else ""
        reader = (self.notes_model.sha256, self.notes_model.words) if self.notes_model else ()
        extras = self.clinical, self.notes, reader, self.mask, self.keep_leaks
        roles = self.normal, self.harmless, self.sought, self.ordered, self.false_flags, self.roles_by
        asked = (
            self.seed,
            self.sensitivity,
            self.finetune,
            self.minutes,
            start,
            self.search,
            self.scratch,
            extras,
            roles,
        )
        asked = asked if self.false_marks == 1.0 else (*asked, self.false_marks)
        asked = asked if self.field == "auto" else (*asked, self.field)
        asked = (*asked, "kind", self.kind) if self.kind else asked
        asked = (*asked, "robust", self.source) if self.robust else asked
        return (*asked, self.measure) if self.measure else asked

    def assign_roles(self, data: Dataset) -> Dataset:
        """Give the labels of a data set the roles asked for. Raises DataError for labels that it does not have."""
        if not (self.normal or self.harmless or self.sought or self.ordered or self.false_flags != FALSE_FLAGS):
            return data
        roles = tell_roles(
            data.labels,
            normal=self.normal,
            sought=self.sought,
            harmless=self.harmless,
            ordered=self.ordered,
            by=self.roles_by,
            false_flags=self.false_flags,
        )
        return replace(data, told_roles=roles)
