"""Raw data into the lake: sources, the contract at the border, and the landing. Importing this room is cheap."""

from __future__ import annotations

from dfp_platform.ingest.contract import ImplausibleDates
from dfp_platform.ingest.landing import Landing, WriteDisposition, land, register
from dfp_platform.ingest.origin import DATASETS, InputFile, Origin, load_folder, origin
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
    "WriteDisposition",
    "bars",
    "land",
    "landed_rows",
    "load_folder",
    "origin",
    "register",
]
