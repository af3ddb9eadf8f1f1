"""Answer on a Ray cluster: `serve run medloupe.serving.ray:app`.

Front is the server as `medloupe serve` runs it: the same routes, accounts and history. What a named check-up is asked
is answered by CheckUps, whose replicas hold some versions each (model multiplexing): Ray Serve sends a question to one
that holds its version already. How many replicas there are, and on what, is told by Ray Serve's own configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.exceptions import RayError

from medloupe import settings
from medloupe.data.modalities import PICTURES, recognise_upload
from medloupe.ecg.parsers import EcgParsers
from medloupe.errors import BusyError, MedloupeError
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.serving import observe
from medloupe.serving.app import create_app
from medloupe.serving.engine.answer import Answer
from medloupe.serving.engine.catalog import Catalog
from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.precisions import Precisions
from medloupe.serving.engine.question import Question
from medloupe.serving.engine.service import Service
from medloupe.serving.engine.sessions import Sessions
from medloupe.store.models import Store

if TYPE_CHECKING:
    from fastapi import FastAPI
    from ray.serve.handle import DeploymentHandle

HELD = 8
"""Versions that a replica holds."""
MEMORY = 1 << 30
"""Bytes for networks of one replica."""
SECONDS = 60.0
"""For an answer of a replica, the opening of its version included."""
_CHECKUPS = "CheckUps"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error raised on purpose, in a form that travels."""

    kind: type[MedloupeError]
    message: str
    hint: str

    def error(self) -> MedloupeError:
        """Make the error again."""
        made = self.kind.__new__(self.kind)
        MedloupeError.__init__(made, self.message, self.hint)
        return made


class CheckUpReplica:
    """Holds some versions, and answers with them."""

    def __init__(self) -> None:
        settings.read_settings()
        observe.log_to_stderr()
        store = Store.open()
        workers, graphs = settings.threads(), store.home / "cache" / "graphs"
        self._busy = 0
        self._decoders, self._parsers = DecoderPool(workers), EcgParsers(workers)
        sessions = Sessions(MEMORY, graphs, workers)
        self._answerer = Answerer(sessions, self._decoders, lambda: self._busy <= 1, self._parsers)
        self._catalog = Catalog(store, self._answerer.warm, Precisions(graphs).choose, self._answerer.networks.prepare)
        self._pool = ThreadPoolExecutor(workers + 1, "answer")

    @serve.multiplexed(max_num_models_per_replica=HELD)
    async def hold(self, version: str) -> CheckUp:
        """Load a version; what is held for longest without a question goes. version: NAME@NUMBER, or NAME@."""
        name, _, number = version.rpartition("@")
        return await asyncio.to_thread(self._catalog.load, name, int(number) if number else None)

    async def ask(self, question: Question) -> Answer | Failure:
        """Answer a question to the version that the call names (its multiplexed model id)."""
        self._busy += 1
        try:
            hold: Any = self.hold  # what the decorator makes of it takes the version alone
            checkup = await hold(serve.get_multiplexed_model_id())
            work = partial(answer_or_failure, self._answerer, self._catalog, checkup, question)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except MedloupeError as e:  # it cannot be loaded
            return Failure(type(e), e.message, e.hint)
        finally:
            self._busy -= 1

    def __del__(self) -> None:
        """End the processes that read files."""
        self._decoders.close()
        self._parsers.close()


def answer_or_failure(answerer: Answerer, catalog: Catalog, checkup: CheckUp, question: Question) -> Answer | Failure:
    """Answer in a form that travels: without the check-up, which whoever asks has, and errors as Failure."""
    try:
        return replace(answerer.ask(catalog, checkup, question), checkup=None)
    except MedloupeError as e:
        return Failure(type(e), e.message, e.hint)


class ClusterAnswerer(Answerer):
    """Lets replicas answer what a named check-up is asked, and answers the rest here.

    Parameters
    ----------
    ask_elsewhere
        Takes a version as CheckUpReplica.hold has it, and a question.
    """

    def __init__(self, ask_elsewhere: Callable[[str, Question], Answer | Failure], *given: Any):
        super().__init__(*given)
        self._ask_elsewhere = ask_elsewhere

    def warm(self, checkup: CheckUp) -> None:
        """Open nothing: what is asked of this check-up by its name is answered elsewhere."""

    def ask(self, catalog: Catalog, checkup: CheckUp | None, question: Question) -> Answer:
        """Answer one picture or ECG; raises as Answerer.ask does."""
        if checkup is None or (checkup.windows is None and not _is_picture(question)):
            return super().ask(catalog, checkup, question)
        version = f"{checkup.name}@{checkup.version or ''}"
        said = self._ask_elsewhere(version, replace(question, cancellation=None))
        if isinstance(said, Failure):
            raise said.error()
        return replace(said, checkup=checkup)


def _is_picture(question: Question) -> bool:
    return isinstance(question.data, bytes) and recognise_upload(question.data, question.file) is PICTURES


def build_front() -> FastAPI:
    """Make the server of one replica; the place of the cluster's own check-ups is asked of Ray Serve.

    It may be reached from other machines, so that nobody is answered until there are accounts.
    """
    settings.read_settings()
    observe.log_to_stderr()
    handle: DeploymentHandle = serve.get_deployment_handle(_CHECKUPS, serve.get_replica_context().app_name)

    def ask_elsewhere(version: str, question: Question) -> Answer | Failure:
        asked: Any = handle.options(multiplexed_model_id=version).ask.remote(question)
        try:
            return asked.result(timeout_s=SECONDS)
        except (TimeoutError, RayError) as e:
            raise BusyError(f"No replica answers for {version}.", "Try again in a moment.") from e

    service = Service(Store.open(), memory=MEMORY, make_answerer=partial(ClusterAnswerer, ask_elsewhere))
    return create_app(service, loopback=False)


def _make_app() -> serve.Application:
    core: Mapping[str, Any] = {"num_cpus": 1}
    replicas: Any = serve.deployment(CheckUpReplica, name=_CHECKUPS, ray_actor_options=dict(core))
    front: Any = serve.deployment(serve.ingress(build_front)(), name="Front", ray_actor_options=dict(core))
    return front.bind(replicas.bind())


app = _make_app()
"""For `serve run`, or a configuration of Ray Serve (`import_path`)."""
