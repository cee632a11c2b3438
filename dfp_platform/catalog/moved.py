"""Table files that lie elsewhere than tables say: what former addresses name is read where it is now.

Metadata and manifests of every commit name the place the lake stood in when they were written, and history is not
rewritten. After `dfp lake relocate` or `dfp lake sync` the lake knows where such files are (`Lake.moved_files`), and
this FileIO puts the present place in the former one's stead. Engines that read by themselves still need files where
they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyiceberg.io import PY_IO_IMPL, FileIO
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from dfp_platform.lake.interface import Lake

_ROOT = "lake.root"
_MOVED = "lake.moved"


class MovedLakeIO(PyArrowFileIO):
    """Reads and writes what former addresses of a lake name, at the present ones."""

    @staticmethod
    def parse_location(location: str, properties: Properties = EMPTY_DICT) -> tuple[str, str, str]:
        scheme, netloc, path = PyArrowFileIO.parse_location(location, properties)
        address = path if scheme == "file" else f"{store_scheme(scheme)}://{path}"
        if not address.startswith(f"{properties[_ROOT]}/"):
            for former, present in json.loads(properties[_MOVED]):
                if address.startswith(f"{former}/"):
                    return _parts(present + address.removeprefix(former))
        return scheme, netloc, path


def io_properties(lake: Lake, moved: Mapping[str, str] | None = None) -> Properties:
    """What makes pyiceberg use `MovedLakeIO`, for a lake with files that were moved; nothing for any other.

    Args:
        moved: what to put in whose stead; what the lake knows unless given.
    """
    known = lake.moved_files() if moved is None else moved
    if not known:
        return {}
    longest_first = sorted(known.items(), key=lambda pair: len(pair[0]), reverse=True)
    name = f"{MovedLakeIO.__module__}.{MovedLakeIO.__qualname__}"
    return {PY_IO_IMPL: name, _ROOT: files_root(lake), _MOVED: json.dumps(longest_first)}


def files_root(lake: Lake) -> str:
    """What addresses of all files begin with that a lake keeps: of its warehouse, and of objects that tables name."""
    return lake.warehouse.rpartition("/")[0]


def address_of(location: str, io: FileIO) -> str:
    """Where `io` finds a location: an absolute path of this machine, or ``scheme://bucket/key``."""
    parse = io.parse_location if isinstance(io, PyArrowFileIO) else PyArrowFileIO.parse_location
    scheme, _, path = parse(location, io.properties)
    return path if scheme == "file" else f"{store_scheme(scheme)}://{path}"


def store_scheme(scheme: str) -> str:
    """One name for the several that one kind of store goes by."""
    return "s3" if scheme in ("s3a", "s3n") else scheme


def _parts(address: str) -> tuple[str, str, str]:
    scheme, found, path = address.partition("://")
    return (scheme, path.partition("/")[0], path) if found else ("file", "", address)
