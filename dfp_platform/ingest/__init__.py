"""Raw data into the lake: sources, the contract at the border, and the landing. Importing this room is cheap."""

from __future__ import annotations

from dfp_platform.ingest.contract import ImplausibleDates
from dfp_platform.ingest.landing import Landing, land, register
from dfp_platform.ingest.origin import DATASETS, InputFile, Origin, origin, origin_path
from dfp_platform.ingest.progress import bars
from dfp_platform.ingest.sources import SOURCES, Endpoints, Progress
from dfp_platform.ingest.sources.file import landed_rows

__all__ = [
    "DATASETS",
    "SOURCES",
    "Endpoints",
    "ImplausibleDates",
    "InputFile",
    "Landing",
    "Origin",
    "Progress",
    "bars",
    "land",
    "landed_rows",
    "origin",
    "origin_path",
    "register",
]
