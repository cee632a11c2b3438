"""A reader over any store: which elements a view and its features are, and whichever value is newer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from dfp_platform.features.interface import Vectors
from dfp_platform.features.repository import ALL, VECTOR, columns_of, positions
from dfp_platform.features.versions import Fetched, VersionReader, newest


class Reader:
    """`OnlineReader` over the raw reads of a store."""

    def __init__(self, source: VersionReader) -> None:
        self._source = source

    @property
    def names(self) -> tuple[str, ...]:
        """See `OnlineReader.names`."""
        return self._source.about()[0].names

    @property
    def rows(self) -> int:
        """See `OnlineReader.rows`."""
        return self._source.about()[0].rows

    def read(self, keys: Sequence[str], *, view: str = ALL, features: Sequence[str] | None = None) -> Vectors:
        """See `OnlineReader.read`."""
        fetched = self._source.fetch(keys)
        whole = _assembled(fetched)
        if view == ALL and features is None:
            return whole
        places, names = chosen(view, None if features is None else tuple(features), whole.names)
        return Vectors(whole.vectors[:, places], whole.found, names, whole.version, whole.commit, whole.event_times)

    def close(self) -> None:
        """See `OnlineReader.close`."""
        self._source.close()


@lru_cache(maxsize=256)
def chosen(view: str, features: tuple[str, ...] | None, names: tuple[str, ...]) -> tuple[list[int], tuple[str, ...]]:
    """Places in the stored vector, and their names, of features of a view. Raises InputError: no such view, feature."""
    columns_of(view, names)
    places = [place for feature in (features or (VECTOR,)) for place in positions(view, feature, names)]
    return places, tuple(names[place] for place in places)


def _assembled(fetched: Fetched) -> Vectors:
    about = fetched.version
    width = len(about.names)
    values = [newest(stored, pushed) for stored, pushed in zip(fetched.stored, fetched.pushed, strict=True)]
    unknown = _unknown(width)
    told = bytearray().join([value[1] if value is not None else unknown for value in values])
    return Vectors(
        np.frombuffer(told, "<f4").reshape(len(values), width),
        np.array([value is not None for value in values], dtype=np.bool_),
        about.names,
        about.version,
        fetched.commit,
        np.array([value[0] if value is not None else 0 for value in values], dtype=np.int64),
    )


@lru_cache(maxsize=16)
def _unknown(width: int) -> bytes:
    return np.full(width, np.nan, dtype="<f4").tobytes()
