"""Where a person sees what a commit of the lake holds: addresses for links, which nothing here opens."""

from urllib.parse import quote, urlencode

from dfp_platform.settings import Settings

PAGE = "index.html"
"""The file of a report, or of a model's card, that a browser opens."""


def place_of(at: Settings, commit: str, asset: str) -> str:
    """Address of an asset's files at a commit: lakeFS's own pages, or those of `dfp lake pages`."""
    if at.lake_uri.startswith("lakefs://"):
        repository = at.lake_uri.removeprefix("lakefs://").split("/")[0]
        asked = urlencode({"ref": commit, "path": f"{asset}/"})
        return f"{(at.lakefs_endpoint_url or '').rstrip('/')}/repositories/{repository}/objects?{asked}"
    return f"{at.pages_url.rstrip('/')}/{commit}/{quote(asset)}/"


def report_of(at: Settings, commit: str, asset: str) -> str:
    """Address of an asset's report at a commit. lakeFS's pages show no HTML, so it is that of `dfp lake pages`."""
    return f"{at.pages_url.rstrip('/')}/{commit}/{quote(asset)}/{PAGE}"


def tracked_at(server: str, run_id: str) -> str:
    """Address of a training in MLflow's UI; empty where trainings are tracked in a database that no server shows."""
    return f"{server.rstrip('/')}/#/runs/{run_id}" if server.startswith(("http://", "https://")) else ""
