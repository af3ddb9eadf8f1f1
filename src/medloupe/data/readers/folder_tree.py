"""Hold the folders above the images as a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Folder:
    """A folder that holds images, itself or below.

    Attributes
    ----------
    name : str
        Its own name; "" of the top.
    path : tuple of str
        The names from the top down.
    children : dict
        The folders in it, by name.
    images : list of str
        The images right in it, as relative paths.
    """

    name: str
    path: tuple[str, ...]
    children: dict[str, Folder] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)

    @property
    def folders(self) -> list[Folder]:
        """The folders in it."""
        return list(self.children.values())

    def all_images(self) -> Iterator[str]:
        """Give every image in it and below."""
        open_: list[Folder] = [self]
        while open_:
            folder = open_.pop()
            yield from folder.images
            open_ += folder.children.values()

    def count(self) -> int:
        """Count the images in it and below."""
        return sum(1 for _ in self.all_images())


def build_tree(images: Iterable[str]) -> Folder:
    """Build the tree of the folders above images (relative paths with forward slashes)."""
    top = Folder("", ())
    for image in images:
        here = top
        for name in image.split("/")[:-1]:
            below = here.children.get(name)
            if below is None:
                below = here.children[name] = Folder(name, (*here.path, name))
            here = below
        here.images.append(image)
    return top


def list_children(folders: Sequence[Folder]) -> list[Folder]:
    """List the folders in these folders."""
    return [child for folder in folders for child in folder.children.values()]


def group_by_name(folders: Iterable[Folder]) -> dict[str, list[Folder]]:
    """Group folders by their own names, in natural sequence of first appearance."""
    found: dict[str, list[Folder]] = {}
    for folder in folders:
        found.setdefault(folder.name, []).append(folder)
    return found
