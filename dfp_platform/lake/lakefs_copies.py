"""Which lakes a lakeFS repository keeps table files of: the same for every branch and machine, so on none of them.

They stand as names of empty objects on a hidden branch of their own.
"""

from __future__ import annotations

import io
from collections.abc import Collection
from urllib.parse import quote, unquote

from dfp_platform.lake.lakefs_drafts import DRAFTS, INTERNAL
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.lake.lakefs_server import Refused
from dfp_platform.schemas import MAIN

_BRANCH = f"{DRAFTS}copies"
_PREFIX = f"{INTERNAL}dfp/copies/"


def remembered_roots(repository: Repository) -> list[str]:
    """What addresses of table files began with in the lakes that were brought into this one."""
    head = repository.head(_BRANCH)
    if head is None:
        return []
    return [unquote(found.path.removeprefix(_PREFIX)) for found in repository.list(head, _PREFIX)]


def remember_roots(repository: Repository, roots: Collection[str]) -> None:
    """Add to them. What several add at the same time all stays."""
    young = [root for root in roots if root not in remembered_roots(repository)]
    if not young:
        return
    try:
        repository.create_branch(_BRANCH, MAIN, hidden=True)
    except Refused as refused:
        if refused.status != 409:
            raise
    for root in young:
        repository.upload(_BRANCH, f"{_PREFIX}{quote(root, safe='')}", lambda: io.BytesIO(b""), 0, {})
    repository.commit(_BRANCH, "remember lakes that were brought", {})
