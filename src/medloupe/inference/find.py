"""Find the model that a person names: one in the store, name@version, an .onnx file, or a shipped one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.data.modalities import PICTURES
from medloupe.errors import StoreError, UnknownError, did_you_mean
from medloupe.model.bundle import Model

if TYPE_CHECKING:
    from medloupe.inference.pictures import LooksLike
    from medloupe.store.models import Store

AUTO = "auto"


def find_model(reference: str, *, composed: bool = False) -> Model:
    """Find the model of that name (its version in production), name@version or file.

    A model in the store goes before a shipped one of the same name.

    Parameters
    ----------
    reference : str
        As a person types it.
    composed : bool
        Whether a composed check-up will do, which cannot be judged, exported or changed as others can.

    Raises
    ------
    StoreError
        When there is no such model, or it is damaged.
    ModelFileError
        When the file cannot be read.
    BackboneError
        When its backbone is not at hand.
    """
    model = _find_any(reference)
    if model.asks is not None and not composed:
        made = model.card["composed"]
        raise StoreError(
            f"{model.name} is composed of {made['find']['called']} and {made['ask']['called']}; it can be asked, but"
            " not this.",
            "Do it with one of the two, and compose them again.",
        )
    return model


def _find_any(reference: str) -> Model:
    """Find a model as `find_model` does, composed or not."""
    if reference.endswith(".onnx") or Path(reference).is_file():
        from medloupe.modelfile.reader import load

        return load(Path(reference))
    if reference == AUTO:
        raise StoreError(f"{AUTO!r} chooses a model for each image; it is none itself.", "`medloupe models list`")
    from medloupe.starter import shipped
    from medloupe.store.models import Store
    from medloupe.store.names import is_name, parse_reference

    store = Store.open()
    if not is_name(reference.partition("@")[0]):  # a path, or a name with capital letters: no model has it
        raise _unknown_error(reference, store, shipped.list_offered())
    name, version = parse_reference(reference)
    if store.has(name):
        return store.get(name, version)
    offered = shipped.list_offered()
    if name not in offered:
        raise _unknown_error(name, store, offered)
    if version is not None:
        raise StoreError(f"{name} comes with medloupe and has no versions; {reference!r} names none.", f"Write {name}.")
    return shipped.load_shipped(name)


def _unknown_error(name: str, store: Store, offered: Sequence[str]) -> UnknownError:
    """Make the error that says which models there are instead, in the store and shipped."""
    from medloupe.starter import shipped

    stored = list(dict.fromkeys(v.name for v in store.list()))
    there = f"there are: {', '.join(stored)}" if stored else "it is empty"
    comes = f"; with medloupe come: {', '.join(offered)}" if offered else ""
    return UnknownError(
        f"The store {store.home} has no model {name!r}; {there}{comes}.",
        shipped.tell_where(name)
        or did_you_mean(name, [*stored, *offered])
        or "Train one: medloupe train FOLDER --name NAME",
    )


def list_choosable_models() -> list[Model]:
    """List the models among which an image can choose.

    They are in production or shipped, on the default backbone, and know their own kind.

    Raises
    ------
    StoreError
        When there is none.
    """
    from medloupe.embed.registry import backbone
    from medloupe.store.models import Store

    usual, models = backbone().sha256, _list_models()
    models = [m for m in models if not m.card.get("crop")]  # which look at no whole picture
    models_that_know = [m for m in models if m.novelty is not None and m.novelty.can_choose]
    able = [m for m in models_that_know if m.onnx is None and m.backbone.sha256 == usual]
    if not able:
        there = f"none of its models ({', '.join(m.name for m in models)}) can be" if models else "it is empty"
        raise StoreError(
            f"No model of the store {Store.open().home} can be chosen by an image: {there}.",
            "Train one on images of 30 patients or more: medloupe train FOLDER --name NAME. Or name the model.",
        )
    return able


def list_beside(choosable: Sequence[Model]) -> list[Model]:
    """List the models that answer beside those among which images choose, being of the same kinds of picture.

    They are in production or shipped and have a network of their own, or no novelty. Also listed are those that are
    found by what their pictures look like to the network of the others, whatever their kind.
    """
    from medloupe.model.router import kind_key

    known, kinds = {m.name for m in choosable}, {kind_key(m.card, m.name) for m in choosable}
    others = [
        m
        for m in _list_models()
        if m.name not in known and not m.card.get("crop") and m.backbone.card.modality == PICTURES.name
    ]
    shared = choosable[0].backbone.sha256 if choosable else ""
    return [m for m in others if kind_key(m.card, m.name) in kinds or m.find_sight(shared) is not None]


def list_questions() -> dict[str, tuple[str, ...]]:
    """List the questions that decide which models are meant, each with its choices (medloupe.model.applies)."""
    from medloupe.model.applies import gather_questions, read_applies

    return gather_questions(read_applies(m.card) for m in _list_models())


def _list_models() -> list[Model]:
    """List the models in production, and those shipped under other names."""
    from medloupe.starter import shipped
    from medloupe.store.models import Store

    store = Store.open()
    stored = list(dict.fromkeys(v.name for v in store.list()))
    models = [store.get(name, report=False) for name in stored]
    models = [m for m in models if m.asks is None]  # those are asked by name
    return models + [shipped.load_shipped(n) for n in shipped.list_offered() if n not in (*stored, shipped.EVERYDAY)]


def make_looks_like(backbone_sha256: str) -> LooksLike:
    """Make the function that says what else an image looks like that a model on this backbone refused.

    The store is read when it is first asked.
    """
    from medloupe.inference.everyday import load_everyday
    from medloupe.model.router import Router
    from medloupe.starter.printed_ecg import load_printed_ecg

    @cache
    def router() -> Router:
        try:
            able = list_choosable_models()
            others = {m.name: m.novelty for m in able if m.backbone.sha256 == backbone_sha256}
            others |= {m.name: m.find_sight(backbone_sha256) for m in list_beside(able)}
        except StoreError:  # empty or damaged: the refusal stands, and nothing more can be said
            others = {}
        known = {name: n for name, n in others.items() if n is not None}
        return Router(known, load_everyday(backbone_sha256), load_printed_ecg(backbone_sha256))

    return lambda embedding, asked: router().looks_like(embedding, asked)
