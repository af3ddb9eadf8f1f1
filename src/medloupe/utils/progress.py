"""Report how far a long task has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A callback of a task with one stage: called with how much of it is done, of how much in all."""

    def __call__(self, done: int, total: int, /) -> None:
        """Report that `done` of `total` steps (images, records, trainings) are done; `total` may be 0."""
        ...


class StageProgress(Protocol):
    """A callback of a task with several stages, such as a training: called with the stage's name too."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Report that `done` of `total` steps of the stage are done; each stage counts from the start."""
        ...
