"""Where landed rows come from: kept beside them in the lake, so that every later report can say it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dfp_platform.errors import CorruptLakeError
from dfp_platform.lake.interface import Lake

DATASETS: Mapping[str, str] = {"kronodroid_real_device": "real_device", "kronodroid_emulator": "emulator"}
"""Landed data set → the device its apps ran on."""

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
    """

    source: str
    synthetic: bool
    files: tuple[InputFile, ...] = ()
    note: str = ""
    rows: int = 0
    mended: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical JSON: equal origins are equal bytes. No time stamp, no path of this machine."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Origin:
        """The reverse of `to_bytes`."""
        fields: dict[str, Any] = json.loads(content)
        return cls(**fields | {"files": tuple(InputFile(**file) for file in fields["files"])})


def origin_path(dataset: str) -> str:
    """Where a data set's origin lies in the lake."""
    return f"raw/{dataset}/origin.json"


def origin(lake: Lake, ref: str, dataset: str) -> Origin:
    """What the rows of `dataset` at `ref` were made from.

    Raises:
        NotFoundError: the data set has not landed at `ref`.
        CorruptLakeError: the record is there and is not one of ours.
    """
    content = lake.read(ref, origin_path(dataset))
    try:
        return Origin.from_bytes(content)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptLakeError(
            f"{origin_path(dataset)} at {ref} is not an origin record",
            hint="land the data set again: dfp run --select raw",
            path=origin_path(dataset),
        ) from error


def input_file(path: Path, *, name: str | None = None) -> InputFile:
    """Digest and size of a file, read once from start to end."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return InputFile(name or path.name, digest.hexdigest(), path.stat().st_size)
