"""The model that a service answers with: loaded whole and tried before it takes the place of the one before."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dfp_platform.errors import CorruptLakeError, DfpError
from dfp_platform.mobile.artifact import MobileArtifact
from dfp_platform.mobile.interface import EXPORTERS, Runtime
from dfp_platform.serving.champion import CHAMPION, champion

if TYPE_CHECKING:
    from dfp_platform.lake import Lake
    from dfp_platform.mobile.artifact import MobileCard
    from dfp_platform.schemas import CommitId


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """One artifact, ready to answer; `commit` is the state of the lake it was read at."""

    commit: CommitId
    card: MobileCard
    runtime: Runtime


class ServedModel:
    """What a service answers with, at the head of one ref. Loading is one thread's at a time; reading never waits."""

    def __init__(self, lake: Lake, ref: str) -> None:
        """Load it. Raises NotFoundError: no model is published there. CorruptLakeError: it does not answer."""
        self._lake, self._ref = lake, ref
        self._loading = threading.Lock()
        self.current = load(lake, lake.resolve(ref))

    def reload(self) -> bool:
        """Take what stands at the ref now; return whether that is another commit. On any error the old one stays.

        Raises:
            NotFoundError, CorruptLakeError: as when it was made. TransientError: the lake did not answer.
        """
        with self._loading:
            commit = self._lake.resolve(self._ref)
            if commit == self.current.commit:
                return False
            self.current = load(self._lake, commit)
            return True


def load(lake: Lake, commit: CommitId) -> Loaded:
    """The artifact at a commit, once it has answered one app with finite numbers.

    Raises:
        NotFoundError: none is there. CorruptLakeError: its files are no model, or it answers no numbers.
    """
    try:
        artifact = MobileArtifact.from_files(champion(lake, commit))
        runtime = EXPORTERS[artifact.card.exporter].load(artifact)
        told = runtime.answer(np.zeros((1, len(artifact.card.features)), dtype=np.float32))
    except DfpError:
        raise
    except Exception as error:  # whatever a runtime makes of a model that is none
        raise _useless(f"cannot be loaded: {error}", commit) from error
    if not (np.isfinite(told.scores).all() and np.isfinite(told.known_errors).all()):
        raise _useless("answers what is no number", commit)
    return Loaded(commit, artifact.card, runtime)


def _useless(why: str, commit: CommitId) -> CorruptLakeError:
    return CorruptLakeError(
        f"the model {CHAMPION} of {commit[:12]} {why}",
        hint="look what wrote it: dfp lake show main mobile/autoencoder_onnx/card.json",
        path=CHAMPION,
        commit=commit,
    )
