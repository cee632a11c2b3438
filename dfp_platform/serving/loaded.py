"""The models that a service answers with: loaded whole and tried before they take the place of those before."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.errors import CorruptLakeError, DfpError, NotFoundError, UnreachableError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS, Runtime
from dfp_platform.serving.published import MODEL, Alias, PublishedModel, published

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.mobile.artifact import MobileCard
    from dfp_platform.schemas import CommitId

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One published version, ready to answer. `digest` is that of its files."""

    model: PublishedModel
    digest: str
    card: MobileCard
    runtime: Runtime


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What answers at one state of the lake: the model, and the challenger that answers beside it unseen, if any."""

    head: CommitId
    model: Loaded
    shadow: Loaded | None = None


class ServedModel:
    """What a service answers with, at the head of one ref. Loading is one thread's at a time; reading never waits."""

    def __init__(
        self, lake: Lake, ref: str, *, model: str = MODEL, alias: Alias = "latest", shadow: bool = False
    ) -> None:
        """Load it; where nothing is published yet, `standing` stays None until a `reload` finds something.

        Args:
            model: noun of `models/`.
            alias: which version of it answers.
            shadow: whether the challenger answers beside it.
        Raises:
            CorruptLakeError: it does not answer. TransientError: the lake did not answer.
        """
        self._lake, self._ref, self._model, self._alias, self._shadow = lake, ref, model, alias, shadow
        self._loading = threading.Lock()
        self.standing: Standing | None = None
        try:
            self.reload()
        except NotFoundError as error:
            logger.warning("no model to answer with yet: %s", error)

    @property
    def current(self) -> Standing:
        """What answers now. Raises UnreachableError: nothing is published yet."""
        if self.standing is None:
            raise UnreachableError(
                f"no model is published at {self._ref} yet", hint="publish one: dfp demo, or dfp run", address=self._ref
            )
        return self.standing

    def reload(self) -> bool:
        """Take what the alias names now; return whether another model answers. On any error the old one stays.

        Raises:
            NotFoundError: nothing is published there. CorruptLakeError: it does not answer.
            TransientError: the lake did not answer.
        """
        with self._loading:
            head, before = self._lake.resolve(self._ref), self.standing
            if before is not None and head == before.head:
                return False
            model = self._load(head, self._alias, before.model if before else None)
            self.standing = Standing(head, model, self._challenger(head, before))
            return before is None or model.digest != before.model.digest

    def _load(self, head: CommitId, alias: Alias, before: Loaded | None) -> Loaded:
        found = published(self._lake, head, self._model, alias)
        if before is not None and before.digest == found.digest:
            return replace(before, model=found)
        return load(found)

    def _challenger(self, head: CommitId, before: Standing | None) -> Loaded | None:
        """The challenger, if it is wanted and there is one that answers; it never keeps the model from answering."""
        if not self._shadow:
            return None
        try:
            return self._load(head, "challenger", before.shadow if before else None)
        except NotFoundError:
            return None
        except DfpError as error:
            logger.warning("the challenger does not answer beside the model: %s", error)
            return None


def load(model: PublishedModel) -> Loaded:
    """A published version, once it has answered one app with finite numbers.

    Raises:
        CorruptLakeError: its files are no model, or it answers no numbers.
    """
    try:
        artifact = MobileArtifact.from_files(model.files)
        runtime = EXPORTERS[artifact.card.exporter].load(artifact)
        told = runtime.answer(np.zeros((1, len(artifact.card.features)), dtype=np.float32))
    except DfpError:
        raise
    except Exception as error:  # whatever a runtime makes of a model that is none
        raise _useless(f"cannot be loaded: {error}", model) from error
    if not (np.isfinite(told.scores).all() and np.isfinite(told.known_errors).all()):
        raise _useless("answers what is no number", model)
    return Loaded(model, model.digest, artifact.card, runtime)


def _useless(why: str, model: PublishedModel) -> CorruptLakeError:
    return CorruptLakeError(
        f"the model {model.path} of {model.commit[:12]} {why}",
        hint=f"look what wrote it: dfp lake show {model.commit[:12]} {model.path}/card.json",
        path=model.path,
        commit=model.commit,
    )
