"""What every source is asked for and what it hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.ingest.contract import ImplausibleDates
from dfp_platform.ingest.origin import Origin

if TYPE_CHECKING:
    from dfp_platform.ingest.published import Batch

Progress = Callable[[str, int, int | None], None]
"""Called with what is under way, how much is done, and how much there is in all (None: unknown); bytes or rows."""


def silent(what: str, done: int, total: int | None) -> None:
    """The progress of someone who does not look."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the public sources live, and what their files have to be.

    Attributes:
        archives: folder that holds ``real_device/…`` and ``emulator/…``.
        kaggle: root of Kaggle's HTTP API.
        pinned: sha256 by path beneath `archives`; a file without a pin is trusted on first sight and held to it.
    """

    archives: str = "https://raw.githubusercontent.com/aleguma/kronodroid/main"
    kaggle: str = "https://www.kaggle.com/api/v1"
    pinned: Mapping[str, str] = field(
        default_factory=lambda: {
            "real_device/real_legitimate_v1.zip": "21f6d507321856eefa6c40a31f484d3e532b5dea23144e3c2a9470161bd5f782",
            "real_device/real_malware_v1.zip": "03aa36a9c3aa3430523fcf87042659562e5af3219688562087107817095cb8cd",
        }
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What a landing wants of a source.

    Attributes:
        device: ``real_device`` or ``emulator``.
        rows: how many apps a generator makes; files are taken whole.
        seed: of the generator.
        cache: folder that downloads are kept in.
        path: the file, for the source `file`.
        kaggle_token: secret for Kaggle; never stored.
        endpoints: where downloads come from.
        progress: told how far downloads are.
        new_syscalls: system calls that files may count beyond the known ones, by their published names.
    """

    device: str
    rows: int
    seed: int
    cache: Path
    path: Path | None = None
    kaggle_token: str | None = None
    endpoints: Endpoints = field(default_factory=Endpoints)
    progress: Progress = silent
    new_syscalls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a source hands over: where the rows come from, and the rows, read as they are taken.

    Attributes:
        origin: without `rows`; what was mended while reading is added afterwards.
        batches: the rows in the order of their files.
        implausible_dates: what this source's files need where nobody says otherwise.
    """

    origin: Origin
    batches: Iterator[Batch]
    implausible_dates: ImplausibleDates = "reject"


Source = Callable[[Request], Delivery]
