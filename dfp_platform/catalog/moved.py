"""Tables of a lake folder that was moved: what former addresses name is read where it is now.

Metadata and manifests of every commit name the folder the lake stood in when they were written, and history is not
rewritten. After `dfp lake relocate` the format file knows the former places, and this FileIO puts the present one in
their stead. Engines that read by themselves still need the lake where it was.
"""

from __future__ import annotations

import json
from pathlib import Path

from pyiceberg.io import PY_IO_IMPL
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from dfp_platform.lake.folder import LakeFolder
from dfp_platform.lake.interface import Lake

_ROOT = "lake.root"
_FORMER = "lake.former-roots"


class MovedLakeIO(PyArrowFileIO):
    """Reads and writes what former addresses of a lake name, at its present one."""

    @staticmethod
    def parse_location(location: str, properties: Properties = EMPTY_DICT) -> tuple[str, str, str]:
        scheme, netloc, path = PyArrowFileIO.parse_location(location, properties)
        root = properties[_ROOT]
        if scheme == "file" and not path.startswith(f"{root}/"):
            for former in json.loads(properties[_FORMER]):
                if path.startswith(f"{former}/"):
                    return scheme, netloc, root + path.removeprefix(former)
        return scheme, netloc, path


def io_properties(lake: Lake) -> Properties:
    """What makes pyiceberg use `MovedLakeIO`, for a lake that was moved; nothing for any other."""
    if "://" in lake.uri:
        return {}
    folder = LakeFolder(Path(lake.uri))
    if not folder.former_locations():
        return {}
    former = sorted(set(folder.former_locations()) - {str(folder.root)}, key=len, reverse=True)
    name = f"{MovedLakeIO.__module__}.{MovedLakeIO.__qualname__}"
    return {PY_IO_IMPL: name, _ROOT: str(folder.root), _FORMER: json.dumps(former)}
