"""Reading a whole lakeFS repository again, to say what is missing or damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dfp_platform.errors import DfpError
from dfp_platform.lake.lakefs_content import SHA256, digest_of
from dfp_platform.lake.lakefs_drafts import AT_ONCE, in_parallel, internal
from dfp_platform.lake.lakefs_repository import PAGE, Record, Repository, Stored


def damages(repository: Repository) -> Sequence[str]:
    """One sentence for each object that a ref reaches and that is missing or does not match its digest.

    Every stored object is read once, wherever it occurs. Of objects that another tool uploaded only the size is known.
    """
    found: list[str] = []
    seen: set[str] = set()
    batch: list[tuple[Record, Stored]] = []
    for record, stored in _objects(repository, found):
        if stored.address not in seen:
            seen.add(stored.address)
            batch.append((record, stored))
        if len(batch) >= AT_ONCE * 8:
            found += _damaged(repository, batch)
            batch = []
    return [*found, *_damaged(repository, batch)]


def _damaged(repository: Repository, batch: Sequence[tuple[Record, Stored]]) -> list[str]:
    answers = in_parallel(lambda item: _damage(repository, *item), batch)
    return [answer for answer in answers if answer is not None]


def _damage(repository: Repository, record: Record, stored: Stored) -> str | None:
    place = f"{stored.path} (commit {record.id})"
    try:
        actual = digest_of(repository, record.id, stored.path, stored.size)
    except (DfpError, OSError) as error:
        return f"{place}: {stored.address} cannot be read: {error}"
    wanted = next((value for key, value in stored.metadata.items() if key.lower().endswith(SHA256)), actual)
    return None if actual == wanted else f"{place}: {stored.address} should have sha256 {wanted}, has {actual}"


def _objects(repository: Repository, found: list[str]) -> Iterator[tuple[Record, Stored]]:
    """What each reachable commit holds that its first parent has not."""
    for record in _history(repository):
        try:
            if not record.parents:
                stored = list(repository.list(record.id))
            else:
                changed = repository.diff(record.parents[0], record.id)
                stored = [one for path in changed if (one := repository.stat(record.id, path)) is not None]
        except DfpError as error:
            found.append(f"commit {record.id}: {error}")
            continue
        yield from ((record, one) for one in stored if not internal(one.path))


def _history(repository: Repository) -> Iterator[Record]:
    seen: set[str] = set()
    for _, head in (*repository.branches(), *repository.tags()):
        if head not in seen:
            for record in repository.log(head, amount=PAGE):
                if record.id not in seen:
                    seen.add(record.id)
                    yield record
