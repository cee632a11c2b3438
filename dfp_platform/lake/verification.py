"""Reading a whole lake again, to say what is missing or damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence

from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.git_store import BRANCHES, TAGS, GitStore, Oid, StoredCommit
from dfp_platform.lake.objects import CHUNK, ObjectFiles, Pointer
from dfp_platform.lake.trees import Trees


def damages(store: GitStore, files: ObjectFiles, *, skip: Collection[Oid] = ()) -> Sequence[str]:
    """One sentence for each thing that a ref reaches and that is missing or does not match its digest.

    Args:
        store: opened for this alone, so that nothing is answered from a cache.
        skip: commits whose files may have been collected as garbage.
    """
    trees = Trees(store)
    found: list[str] = []
    checked: dict[str, str | None] = {}
    seen: set[tuple[str, Oid]] = set()
    for commit in _history(store, found):
        if commit.oid in skip:
            continue
        try:
            known = bool(commit.parents) and commit.parents[0] not in skip
            before = store.commit(commit.parents[0]).tree if known else None
            for path, _, blob in trees.diff(before, commit.tree):
                if blob is not None and (path, blob) not in seen:
                    seen.add((path, blob))
                    found += _object_damage(store, files, commit.oid, path, blob, checked)
        except CorruptLakeError as error:
            found.append(f"commit {commit.oid.hex()}: {error.message}")
    return found


def _history(store: GitStore, found: list[str]) -> Iterator[StoredCommit]:
    """Every reachable commit."""
    seen: set[Oid] = set()
    stack = [oid for kind in (BRANCHES, TAGS) for oid in store.refs(kind).values()]
    while stack:
        oid = stack.pop()
        if oid in seen:
            continue
        seen.add(oid)
        try:
            commit = store.commit(oid)
        except CorruptLakeError as error:
            found.append(error.message)
            continue
        stack += commit.parents
        yield commit


def _object_damage(
    store: GitStore, files: ObjectFiles, commit: Oid, path: str, blob: Oid, checked: dict[str, str | None]
) -> Iterator[str]:
    try:
        pointer = Pointer.decode(store.read(blob))
        if pointer is None:
            return
        file = files.file_of(pointer, path)
        if pointer.sha256 not in checked:
            digest = hashlib.sha256()
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
            actual = digest.hexdigest()
            checked[pointer.sha256] = None if actual == pointer.sha256 else actual
        if checked[pointer.sha256] is not None:
            yield (
                f"{path} (commit {commit.hex()}): {file} should have sha256 {pointer.sha256}, "
                f"has {checked[pointer.sha256]}"
            )
    except CorruptLakeError as error:
        yield f"{path} (commit {commit.hex()}): {error.message}"
