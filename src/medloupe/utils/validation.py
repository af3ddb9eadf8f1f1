"""Check what came from elsewhere against a pydantic model, and say in plain words what is wrong with it.

pydantic takes some 60 ms to import. Modules with models are therefore imported where something is to be checked, and
this one knows it by its types alone. Sizes are limited before: pydantic sees nothing that is too large or too deep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Schema = TypeVar("Schema", bound="BaseModel")

ROOT = ""  # of sentences: the whole is no object
MISSING = "missing"  # of sentences: keys are not there, or are there that must not be
_LONGEST = 40  # characters of a wrong value that are repeated
_KEYS = ("missing", "extra_forbidden")
_EXPECTED = {
    "bool_type": "neither true nor false",
    "dict_type": "no object",
    "float_type": "no number",
    "finite_number": "no finite number",
    "int_type": "no whole number",
    "list_type": "no list",
    "model_type": "no object",
    "string_type": "no text",
}


def read_entry(
    schema: type[Schema], entry: object, sentences: Mapping[str, str], *, tags: Sequence[str] = ()
) -> Schema:
    """Read an entry as a model, trusting nothing in it.

    Parameters
    ----------
    schema
        The model.
    entry
        What JSON gave.
    sentences, tags
        As for `explain`.

    Raises
    ------
    ValueError
        Says what is wrong with it.
    """
    from pydantic import ValidationError

    try:
        return schema.model_validate(entry)
    except ValidationError as error:
        raise ValueError(explain(error, entry, sentences, tags=tags)) from None


def explain(error: ValidationError, entry: object, sentences: Mapping[str, str], *, tags: Sequence[str] = ()) -> str:
    """Say what is wrong first, in the sentences given; what a validator raises as ValueError is said as it is.

    Parameters
    ----------
    error
        What pydantic found.
    entry
        What it was given.
    sentences
        By the path of a key ("backbone.places"; "#" is any place in a list), or by that of all keys in something
        ("backbone.*"), or ROOT, or MISSING (of something in it: "columns.#.missing"). The longest that fits is taken,
        and of the whole what is MISSING comes first. Filled in are key, value (what was given, cut), missing (the
        keys) and within (the objects on the way: within[1] is the second of them).
    tags
        Of tagged unions, which pydantic takes into the path.
    """
    found = error.errors(include_url=False)
    first = next((e for e in found if len(e["loc"]) == 1 and e["type"] in _KEYS), found[0])
    if first["type"] == "value_error":
        return str(first.get("ctx", {})["error"])
    path = ["#" if isinstance(part, int) else part for part in first["loc"] if part not in tags]
    known = {"value": str(first["input"])[:_LONGEST], "within": _objects(entry, first["loc"])}
    if first["type"] in _KEYS and (name := ".".join((*path[:-1], MISSING))) in sentences:
        missing = [str(e["loc"][-1]) for e in found if e["loc"][:-1] == first["loc"][:-1] and e["type"] == "missing"]
        return sentences[name].format(missing=", ".join(missing))
    for end in range(len(path), -1, -1):
        for name in (".".join(path[:end]), ".".join((*path[: end - 1], "*"))):
            if name in sentences and (name or not path):
                return sentences[name].format(**known, key=path[end - 1] if path else "")
    named = ".".join(part for part in path if part != "#")
    return f"has a {named!r} that is {_EXPECTED.get(first['type'], 'not as it must be')}"


def sentences_under(key: str, sentences: Mapping[str, str]) -> dict[str, str]:
    """Place the sentences of a model for where it is part of another, under key."""
    return {f"{key}.{path}" if path else key: said for path, said in sentences.items()}


def _objects(entry: object, places: Sequence[int | str]) -> list[Mapping[str, Any]]:
    """List the objects on the way from an entry to what lies at the end of places."""
    found: list[Mapping[str, Any]] = []
    for place in places:
        if isinstance(entry, Mapping):
            found.append(entry)
        try:
            entry = entry[place]  # pyright: ignore[reportIndexIssue]
        except (LookupError, TypeError):  # a tag, or what is missing
            continue
    return found
