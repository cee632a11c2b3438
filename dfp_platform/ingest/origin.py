"""Where landed rows come from: kept beside them in the lake, so that every later report can say it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

from dfp_platform.errors import CorruptLakeError, NotFoundError
from dfp_platform.lake.interface import Lake

DATASETS: Mapping[str, str] = {"kronodroid_real_device": "real_device", "kronodroid_emulator": "emulator"}
"""Landed data set → the device its apps ran on."""

RECORD = "origin.json"
"""Name of a load's record, beside its files."""

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that was read: its bare name (no folder: origins are equal on every machine), digest and bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What a data set was made from.

    Attributes:
        source: name of the source, ``sample``, ``file``, ``archives`` or ``kaggle``.
        synthetic: True where no row is a real app.
        files: what was read, in order; empty for the sample.
        note: one sentence for people.
        rows: rows landed.
        mended: what was changed on the way in, and how often, ``{"dates landed as missing": 12}``.
        load_id: of the load, or of the newest one where several stand beside each other.
    """

    source: str
    synthetic: bool
    files: tuple[InputFile, ...] = ()
    note: str = ""
    rows: int = 0
    mended: Mapping[str, int] = field(default_factory=dict)
    load_id: str = ""

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal origins are equal bytes. No time stamp, no path of this machine."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Origin:
        """The reverse of `to_bytes`."""
        fields: dict[str, Any] = json.loads(content)
        return cls(**fields | {"files": tuple(InputFile(**file) for file in fields["files"])})

    def and_then(self, later: Origin) -> Origin:
        """Both together, as the origin of a data set to which `later` was appended."""
        return replace(
            later,
            source=self.source if self.source == later.source else f"{self.source}, {later.source}",
            synthetic=self.synthetic or later.synthetic,
            files=self.files + later.files,
            note="; ".join(dict.fromkeys((self.note, later.note))),
            rows=self.rows + later.rows,
            mended=Counter(self.mended) + Counter(later.mended),
        )


def load_folder(dataset: str, load_id: str = "") -> str:
    """Where a load lies in the lake: the first one in the data set's own folder, appended ones beneath it."""
    return f"raw/{dataset}/loads/{load_id}/" if load_id else f"raw/{dataset}/"


def origins(lake: Lake, ref: str, dataset: str) -> tuple[Origin, ...]:
    """What each load of `dataset` at `ref` was made from, in the order they came; none if it has not landed.

    Raises CorruptLakeError: a record is there and is not one of ours.
    """
    records = [stat.path for stat in lake.list(ref, load_folder(dataset)) if stat.path.endswith(f"/{RECORD}")]
    return tuple(sorted((read_origin(lake, ref, path) for path in records), key=lambda origin: origin.load_id))


def origin(lake: Lake, ref: str, dataset: str) -> Origin:
    """What the rows of `dataset` at `ref` were made from, all loads together.

    Raises:
        NotFoundError: the data set has not landed at `ref`.
        CorruptLakeError: a record is there and is not one of ours.
    """
    found = origins(lake, ref, dataset)
    if not found:
        raise NotFoundError(
            f"{load_folder(dataset)} holds nothing at {ref}",
            hint="land the data set first: dfp run --select raw",
            path=load_folder(dataset) + RECORD,
        )
    return reduce(Origin.and_then, found)


def read_origin(lake: Lake, ref: str, path: str) -> Origin:
    """The record of one load. Raises CorruptLakeError: it is not one of ours."""
    try:
        return Origin.from_bytes(lake.read(ref, path))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptLakeError(
            f"{path} at {ref} is not an origin record", hint="land the data set again: dfp run --select raw", path=path
        ) from error


def input_file(path: Path, *, name: str | None = None) -> InputFile:
    """Digest and size of a file, read once from start to end."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return InputFile(name or path.name, digest.hexdigest(), path.stat().st_size)
