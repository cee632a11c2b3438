"""What a keeper does for garbage collection: the little that only it can know."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from dfp_platform.schemas import CommitId

SweepProgress = Callable[[str, int, int], None]
"""Called during long work: what is being done, how many are done, how many there are (0: not known)."""


@dataclass(frozen=True, slots=True)
class Swept:
    """Files of a lake that no kept commit reaches.

    Attributes:
        files: how many.
        bytes: their size on disk; 0 for those inside packs, whose share is not known.
    """

    files: int = 0
    bytes: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.files + other.files, self.bytes + other.bytes)


class Sweeper:
    """The part of a keeper in garbage collection.

    As it stands here it is that of a keeper whose server collects its own garbage and whose writers are covered by
    the grace period alone: it knows no lease, holds no lock and removes nothing.
    """

    def oldest_lease(self) -> float | None:
        """When the oldest writer under way began, in seconds since the epoch."""
        return None

    def unnamed_commits(self, *, since: float) -> Collection[CommitId]:
        """Commits that no ref reaches (yet, or any more) and that are not older than `since`."""
        return ()

    def refs_held(self) -> AbstractContextManager[None]:
        """While inside, no ref moves."""
        return nullcontext()

    def forget_all_but(self, kept: Collection[CommitId], *, older_than: float) -> None:
        """From now on no ref can be made to reach any other commit that was made before `older_than`: its files may be
        gone. Hold `refs_held`."""

    def is_forgotten(self, commit: CommitId) -> bool:
        """Whether a commit is one whose files may be gone."""
        return False

    def sweep(
        self,
        kept: Collection[CommitId],
        *,
        shared: Collection[str],
        older_than: float,
        delete: bool,
        progress: SweepProgress | None = None,
    ) -> dict[str, Swept]:
        """Remove (or, without `delete`, only count) the lake's own files that none of the `kept` commits reaches.

        Args:
            shared: addresses of objects that something else needs, whatever the commits say: tables made of them.
            older_than: seconds since the epoch; what was written since stays.
        Returns:
            What was found, by kind: ``objects``, ``git objects``.
        """
        return {}
