"""The lake, what lies in it, its warehouse and its tables: each is used, not only looked at."""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake import is_served, open_lake
from dfp_platform.lake.interface import Lake
from dfp_platform.probes.asking import get
from dfp_platform.probes.interface import Door, Finding
from dfp_platform.probes.machine import amount
from dfp_platform.settings import Settings

READ_AGAIN = 32_000_000
"""Bytes of objects that are read again at most."""

_MESSAGE = "smoke test: written, read back and forgotten"
_BRANCH = re.compile(r"smoke-test-(\d+)-[0-9a-f]{8}")
_LEFTOVER_AFTER = 3_600.0
"""Seconds after which a branch of a smoke test is one that was killed."""

_NONE_YET = Finding(
    "there is no lake yet",
    status="warning",
    hint="the first run makes it: make demo, or dfp run",
)


def write_and_forget(at: Settings, seconds: float) -> Finding:
    """Write to a branch of its own, read that back, and delete the branch; the target stays as it is."""
    lake = _opened(at)
    if lake is None:
        return _NONE_YET
    head = lake.resolve(at.branch)
    _forget_leftovers(lake)
    branch, content = f"smoke-test-{int(time.time())}-{secrets.token_hex(4)}", secrets.token_bytes(64)
    lake.create_branch(branch, head)
    try:
        lake.commit(branch, {"smoke-test/bytes": content}, message=_MESSAGE)
        if lake.read(branch, "smoke-test/bytes") != content:
            raise CorruptLakeError(f"{lake.uri} gave back other bytes than were written", hint="dfp lake verify")
    finally:
        lake.delete_branch(branch)
    branches = lake.branches()
    if branch in branches:
        raise CorruptLakeError(f"{lake.uri} still has the branch {branch} that was deleted", hint="dfp lake branches")
    waiting = sum(name.startswith("run-") for name in branches)
    facts = {"branches": len(branches), **({"runs on branches": waiting} if waiting else {})}
    return Finding(f"Lake ok: {lake.uri}, {at.branch} at {head[:12]}", facts)


def _forget_leftovers(lake: Lake) -> None:
    """Delete the branches of smoke tests that were killed, by the time in their names."""
    for branch in lake.branches():
        found = _BRANCH.fullmatch(branch)
        if found and int(found[1]) < time.time() - _LEFTOVER_AFTER:
            with suppress(NotFoundError):  # another was quicker
                lake.delete_branch(branch)


def read_again(at: Settings, seconds: float) -> Finding:
    """Read objects of the target again and compare them with their digests: all of a small lake, else a sample."""
    lake = _opened(at)
    if lake is None:
        return _NONE_YET
    head, until = lake.resolve(at.branch), time.monotonic() + seconds / 2
    listed = sorted(lake.list(head), key=lambda found: found.sha256)  # a digest is a draw that knows no favourites
    done = size = 0
    for found in listed:
        if size + found.size > READ_AGAIN or time.monotonic() > until:
            break
        with lake.open(head, found.path) as stream:
            digest = _digest(stream)
        if digest != found.sha256:
            raise CorruptLakeError(
                f"{found.path} at {at.branch} has sha256 {digest[:12]}…, not {found.sha256[:12]}…",
                hint="`dfp lake verify` names all that is damaged; restore it from a copy of the lake",
            )
        done, size = done + 1, size + found.size
    return Finding(f"{done:,} of {len(listed):,} objects of {at.branch} are what they were", {"read": amount(size)})


def _digest(stream: BinaryIO) -> str:
    found = hashlib.sha256()
    while piece := stream.read(1 << 20):
        found.update(piece)
    return found.hexdigest()


def use_warehouse(at: Settings, seconds: float) -> Finding:
    """Write a file where table files lie, read it back and remove it."""
    from dfp_platform.catalog.warehouse import Warehouse

    lake = _opened(at)
    if lake is None:
        return _NONE_YET
    Warehouse(lake).try_out()
    folder = Path(lake.warehouse.removeprefix("file://"))
    facts = {"free": amount(shutil.disk_usage(folder).free)} if folder.is_dir() else {}
    return Finding(f"Warehouse ok: {lake.warehouse}", facts)


def load_tables(at: Settings, seconds: float) -> Finding:
    """Ask the REST catalog that is configured, else load a table in this process and open one of its files."""
    return _rest_catalog(at, seconds) if at.catalog_uri else _catalog_here(at)


def _rest_catalog(at: Settings, seconds: float) -> Finding:
    token = at.catalog_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    address = f"{(at.catalog_uri or '').rstrip('/')}/v1/config"
    answer = get(address, params={"warehouse": at.branch}, headers=headers, seconds=seconds)
    said = f"{address} -> {answer.status_code}"
    if answer.status_code in (401, 403):
        return Finding(said, status="failed", hint="DFP_CATALOG_TOKEN has to be that of `dfp catalog serve` there")
    if not answer.is_success:
        return Finding(said, status="failed", hint=f"is {at.branch} a branch there? `dfp catalog serve` logs more")
    return Finding(f"Catalog ready: {said}")


def _catalog_here(at: Settings) -> Finding:
    import pyarrow.parquet as pq
    from pyiceberg.table import DataScan

    from dfp_platform.catalog import open_catalog

    lake = _opened(at)
    if lake is None:
        return _NONE_YET
    catalog = open_catalog(lake, lake.resolve(at.branch))
    names = list(catalog.all_tables())
    for name in names:
        table = catalog.load_table(name)
        for task in DataScan(table_metadata=table.metadata, io=table.io).plan_files():
            with table.io.new_input(task.file.file_path).open() as stream:
                rows = pq.read_metadata(stream).num_rows
            return Finding(
                f"Catalog ok: {len(names)} tables at {at.branch}", {"opened": f"{'.'.join(name)}, {rows:,} rows"}
            )
    return Finding(f"Catalog ok: {len(names)} tables at {at.branch}")


def _opened(at: Settings) -> Lake | None:
    """The configured lake; None where there is none yet. Raises NotFoundError: a run could not make it there either."""
    try:
        return open_lake(at.lake_uri)
    except NotFoundError:
        folder = Path(at.lake_uri.removeprefix("file://"))
        if not is_served(at.lake_uri) and folder.exists() and any(folder.iterdir()):
            raise  # the folder is something else
        return None


def _load_tables(at: Settings) -> None:
    import pyiceberg.io.pyarrow  # noqa: F401

    import dfp_platform.catalog.warehouse  # noqa: F401


def _load_lake(at: Settings) -> None:
    import pygit2  # noqa: F401

    import dfp_platform.lake.embedded  # noqa: F401


DOORS = (
    Door(
        "lake",
        "The lake can be written, read and forgotten on a branch of its own.",
        write_and_forget,
        "look at DFP_LAKE: a folder that this user may write, or a lakeFS server that runs",
        load=_load_lake,
    ),
    Door(
        "lake content",
        "Objects of the target are what they were when they were written.",
        read_again,
        "`dfp lake verify` reads everything and names what is damaged",
        load=_load_lake,
    ),
    Door(
        "warehouse",
        "Table files can be written, read and removed.",
        use_warehouse,
        "look at the folder or bucket of the warehouse: owner, permissions, keys, room",
        load=_load_tables,
    ),
    Door(
        "catalog",
        "Tables of the target can be loaded.",
        load_tables,
        "start `dfp catalog serve`, or check DFP_CATALOG_URI; without it, `dfp lake verify` looks at table files",
        load=_load_tables,
    ),
)
