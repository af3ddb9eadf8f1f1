"""Read originals whose folders and file names say everything: class, split and patient."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medloupe.data.originals.outline import Outline
from medloupe.data.readers.base import ReadOptions, merge_reasons, parse_split, walk
from medloupe.data.readers.columns import FILES
from medloupe.data.readers.derived import MASK, find_marked
from medloupe.data.readers.folders import UNUSED
from medloupe.data.readers.origin import read_origin
from medloupe.data.records import Dataset, Record, Split
from medloupe.errors import DataError

COPY = "a second copy within the download"
ELSEWHERE = "not where the original has its images"
_SHARE = 0.8  # of the images seen that must be named as in the original
_SPECIAL = frozenset({"label", "patient", "split"})


@dataclass(frozen=True, slots=True)
class _ParsedPath:
    """What one path says. key: the path below whatever folders the archive was unpacked into."""

    key: str
    label: str
    patient: str | None
    split: Split | None
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathLayout:
    """One regular expression for the lower end of every image's path.

    Attributes
    ----------
    pattern : Pattern
        The groups `label`, `patient`, `split` are what they are called; any other becomes a column.
    labels : Mapping
        Label by what the group says, in the order of labels; all of them must be there to recognise the set.
    restarts : Pattern or None
        Patients whose numbering starts anew in each split, so that their ids carry it.
    joined : Mapping
        Splits that are read as another, such as a validation folder of a few images as training.
    others : Mapping
        Images that belong to the download but are no cases of their own, by the reason told.
    tables : Pattern or None
        Tables of the original itself; any other that names images is a person's own, and goes before the recipe.
    """

    pattern: re.Pattern[str]
    labels: Mapping[str, str]
    restarts: re.Pattern[str] | None = None
    joined: Mapping[Split, Split] = field(default_factory=dict)
    others: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    tables: re.Pattern[str] | None = None

    def accepts(self, options: ReadOptions) -> bool:
        """Tell whether no option was told: with any the ordinary readers read the set."""
        told = (options.labels, options.patient, options.split, options.image, options.table, options.folders)
        return not any((*told, options.annotations, options.task == "detection"))

    def recognises(self, seen: Outline) -> bool:
        """Tell whether most images are named as in the original, all labels are there, and no table of another's."""
        for table, header in seen.headers.items():
            ours = self.tables and self.tables.search(table)
            if not ours and (header & frozenset(FILES) or not header):
                return False
        images, _ = self._find_cases(seen.images)
        named = [match["label"] for image in images if (match := self.pattern.search(image))]
        return bool(named) and len(named) >= _SHARE * len(images) and set(named) >= set(self.labels)

    def read(self, root: Path, options: ReadOptions) -> Dataset:
        """Read the data set.

        Raises
        ------
        DataError
            Where no image is named as in the original.
        """
        files = walk(root)
        images, skipped = self._find_cases(files.images)
        found: dict[str, tuple[str, _ParsedPath]] = {}
        # The copy nearest to the top is the one that counts.
        for image in sorted(images, key=lambda i: (i.count("/"), i)):
            named = self._parse_path(image)
            if named is None:
                skipped.setdefault(ELSEWHERE, []).append(image)
            elif named.key in found:
                skipped.setdefault(COPY, []).append(image)
            else:
                found[named.key] = (image, named)
        if not found:
            raise DataError(f"{root} holds no image that is named as in the original.", "Check the folder.")
        records = [
            Record(
                id=image,
                image=root / image,
                labels={named.label: 1},
                patient=named.patient,
                split=named.split,
                columns=named.columns,
            )
            for image, named in sorted(found.values(), key=lambda pair: pair[0])
        ]
        present = {named.label for _, named in found.values()}
        return Dataset(
            name=root.resolve().name,
            root=root,
            records=tuple(records),
            labels=tuple(label for label in dict.fromkeys(self.labels.values()) if label in present),
            task="multiclass",
            reader="paths",
            skipped=merge_reasons(files.skipped, skipped, {UNUSED: files.tables}),
            notes=tuple(self._describe(records, found, skipped)),
            origin=read_origin(root),
        )

    def _find_cases(self, images: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
        """List the images that may be cases, and the others by reason."""
        outlines = find_marked(images)
        skipped = {MASK: sorted(outlines)}
        cases = []
        for image in images:
            why = next((reason for reason, pattern in self.others.items() if pattern.search(image)), None)
            if why:
                skipped.setdefault(why, []).append(image)
            elif image not in outlines:
                cases.append(image)
        return cases, skipped

    def _parse_path(self, image: str) -> _ParsedPath | None:
        match = self.pattern.search(image)
        if match is None:
            return None
        groups = {name: value for name, value in match.groupdict().items() if value}
        split = parse_split(groups.get("split", ""))
        split = self.joined.get(split, split) if split else None
        patient = groups.get("patient")
        if patient and split and self.restarts and self.restarts.match(patient):
            patient = f"{split}/{patient}"
        return _ParsedPath(
            key=match[0].lstrip("/").lower(),
            label=self.labels[groups["label"]],
            patient=patient,
            split=split,
            columns={name: value for name, value in groups.items() if name not in _SPECIAL},
        )

    def _describe(
        self, records: Sequence[Record], keys: Iterable[str], skipped: Mapping[str, Sequence[str]]
    ) -> list[str]:
        patients = {record.patient for record in records} - {None}
        notes = [f"The file names tell {len(patients)} patients apart."] if patients else []
        for old, new in self.joined.items():
            if count := sum(key.startswith(f"{old}/") for key in keys):
                notes.append(f"The {count} images of the {old} folder are read as {new}.")
        copies = skipped.get(COPY)
        if copies:
            notes.append(f"The download holds {len(copies)} images twice, such as {copies[0]}; each is read once.")
        return notes
