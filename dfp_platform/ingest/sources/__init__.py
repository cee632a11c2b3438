"""Every place rows can come from. A new one is one new file and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from dfp_platform.ingest.sources import archives, auto, file, kaggle, sample
from dfp_platform.ingest.sources.request import Delivery, Endpoints, Progress, Request, Source, silent

SOURCES: Mapping[str, Source] = {
    "auto": auto.deliver,
    "sample": sample.deliver,
    "file": file.deliver,
    "archives": archives.deliver,
    "kaggle": kaggle.deliver,
}
"""Name → source. Whatever is no name here is the path of a file."""

__all__ = ["SOURCES", "Delivery", "Endpoints", "Progress", "Request", "Source", "silent"]
