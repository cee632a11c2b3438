"""`dfp lake setup`: what a lake needs on its servers before the first run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dfp_platform.cli.screen import Json, out, print_json
from dfp_platform.errors import NotFoundError, UnreachableError

if TYPE_CHECKING:
    from dfp_platform.settings import Settings


def setup(
    bucket: Annotated[
        list[str] | None,
        typer.Option(help="A bucket of the object store to make, besides that of LAKEFS_STORAGE_BUCKET; repeatable."),
    ] = None,
    user: Annotated[str, typer.Option(help="Name of lakeFS's administrator, if it has none yet.")] = "admin",
    as_json: Json = False,
) -> None:
    """Make what is missing for the configured lake: buckets, lakeFS's first administrator, the lake. Safe to run again.

    The administrator gets the keys of LAKEFS_ACCESS_KEY_ID and LAKEFS_SECRET_ACCESS_KEY.
    """
    from dfp_platform.lake import is_served
    from dfp_platform.settings import settings

    at = settings()
    served = is_served(at.lake_uri)
    made = {"administrator": [user] if served and _administrator(user) else []}
    made["buckets"] = _buckets([*(_under_lakefs(at) if served else ()), *(bucket or ())])
    made["lake"] = [at.lake_uri] if _lake(at) else []
    if as_json:
        return print_json(made)
    for what, names in made.items():
        out().print(f"{what}: {', '.join(names) if names else 'nothing to make'}")
    return None


def _under_lakefs(at: Settings) -> list[str]:
    """The bucket in which lakeFS keeps the repository, if its store is one that speaks S3."""
    from dfp_platform.lake.lakefs_server import connect

    scheme, found, place = (at.lakefs_storage_bucket or "").rpartition("://")
    bucket = place.partition("/")[0]
    return [bucket] if bucket and (scheme == "s3" if found else connect().storage == "s3") else []


def _buckets(names: list[str]) -> list[str]:
    from dfp_platform.catalog.storage import make_buckets, storage_properties

    if not names:
        return []
    try:
        return make_buckets(names)
    except OSError as error:
        store = storage_properties().get("s3.endpoint", "AWS")
        raise UnreachableError(
            f"the object store at {store} did not make {', '.join(names)}: {str(error).splitlines()[0][:300]}",
            hint="start the store, or check AWS_ENDPOINT_URL and the keys",
            address=store,
        ) from error


def _administrator(user: str) -> bool:
    from dfp_platform.lake.lakefs_setup import make_administrator

    return make_administrator(user)


def _lake(at: Settings) -> bool:
    """Whether the lake had to be made."""
    from dfp_platform.lake import open_lake

    try:
        open_lake(at.lake_uri)
    except NotFoundError:
        open_lake(at.lake_uri, create=True)
        return True
    return False


def register(lake_app: Any) -> None:
    """Add this command to `dfp lake`."""
    lake_app.command()(setup)
