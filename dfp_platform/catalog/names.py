"""Where the names of Iceberg lie on a branch.

``tables/<namespace>/<table>`` is a table's pointer, ``tables/<namespace>/=namespace`` a namespace's properties, and
``tables/<namespace>/=view.<view>`` a view's pointer. Every name that Iceberg allows becomes one part of a path: bytes
outside letters, digits, ``_`` and ``-`` are percent-encoded, so a name never holds ``=`` or ``.``. That leaves what
begins with ``=`` to us, and ``.`` to join the levels of a nested namespace in one part (``tables/a.b/t`` is
``("a", "b", "t")``): a table may be called like a namespace beside it.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from dfp_platform.errors import InvalidNameError

TABLES = "tables/"
"""Prefix of all that the catalog keeps on a branch."""

Identifier = tuple[str, ...]

_NAMESPACE_OBJECT = "=namespace"
_VIEW = "=view."


def pointer_path(identifier: Identifier) -> str:
    """Where the pointer of a table lies. Raises InvalidNameError: no namespace, or an empty name."""
    if len(identifier) < 2:
        raise InvalidNameError(
            f"{'.'.join(identifier)!r} names no table", hint="write namespace.table", name=".".join(identifier)
        )
    return f"{namespace_prefix(identifier[:-1])}{_encoded(identifier[-1])}"


def namespace_prefix(namespace: Identifier) -> str:
    """What the paths of a namespace's own objects start with."""
    return f"{TABLES}{_levels(namespace)}/"


def nested_prefix(namespace: Identifier) -> str:
    """What the paths of the objects of all namespaces within this one start with; of all namespaces for ``()``."""
    return f"{TABLES}{_levels(namespace)}." if namespace else TABLES


def namespace_path(namespace: Identifier) -> str:
    """Where the properties of a namespace lie."""
    return f"{namespace_prefix(namespace)}{_NAMESPACE_OBJECT}"


def is_pointer(path: str) -> bool:
    """Whether a lake path is that of a table's pointer."""
    return path.startswith(TABLES) and path.count("/") == 2 and not path.split("/")[2].startswith("=")


def view_path(identifier: Identifier) -> str:
    """Where the pointer of a view lies. Raises InvalidNameError: no namespace, or an empty name."""
    namespace, _, name = pointer_path(identifier).rpartition("/")
    return f"{namespace}/{_VIEW}{name}"


def is_view(path: str) -> bool:
    """Whether a lake path is that of a view's pointer."""
    return path.startswith(TABLES) and path.count("/") == 2 and path.split("/")[2].startswith(_VIEW)


def is_namespace(path: str) -> bool:
    """Whether a lake path is that of a namespace's properties."""
    return path.startswith(TABLES) and path.endswith(f"/{_NAMESPACE_OBJECT}")


def namespace_of(path: str) -> Identifier:
    """The namespace of any object that the catalog keeps."""
    return tuple(unquote(level) for level in path.split("/")[1].split("."))


def identifier_of(path: str) -> Identifier:
    """The table or view whose pointer lies at `path`."""
    return (*namespace_of(path), unquote(path.split("/")[2].removeprefix(_VIEW)))


def folder_name(name: str) -> str:
    """A name as a folder of the warehouse: readable, not unique, never encoded: engines disagree on ``%``."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80]


def engine_address(address: str) -> str:
    """An address as every engine reads it: some need ``file://``. A path that a URL would encode stays a path."""
    return f"file://{address}" if re.fullmatch(r"/[A-Za-z0-9/._~+@=,-]*", address) else address


def _levels(namespace: Identifier) -> str:
    if not namespace:
        raise InvalidNameError("an empty namespace cannot be stored", hint="name at least one level", name="")
    return ".".join(_encoded(level) for level in namespace)


def _encoded(name: str) -> str:
    if not name.strip():
        raise InvalidNameError("an empty name cannot be stored", hint="every level needs a name", name=name)
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")
