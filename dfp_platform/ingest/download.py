"""Files from the network into the cache: streamed, resumed, whole or not there at all, and held to their digest."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dfp_platform.errors import ConfigurationError, InputError, UnreachableError
from dfp_platform.ingest.origin import InputFile, input_file

if TYPE_CHECKING:
    import httpx

    from dfp_platform.ingest.sources.request import Progress

ATTEMPTS = 3
"""Tries per download; each goes on where the last one broke off."""

_CONNECT_SECONDS, _READ_SECONDS = 8.0, 60.0


def cached(
    url: str,
    target: Path,
    *,
    name: str,
    progress: Progress,
    pinned: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> InputFile:
    """The file of `url`, from `target` if it is there, else downloaded to it.

    Without a pin the first download's digest is written to ``<target>.seen.json``, and every later one has to equal it.

    Args:
        name: what errors and progress call the file.
        pinned: the sha256 it has to have.
    Raises:
        InputError: its digest is another one; nothing of it is kept.
        UnreachableError: no answer, or the connection broke too often; what came so far is kept for the next try.
        ConfigurationError: the server wants other credentials.
    """
    with _alone(target):
        expected = pinned or _seen(target)
        fresh = not target.exists()
        if fresh:
            _download(url, target, name=name, progress=progress, headers=headers or {})
        found = input_file(target, name=name)
        if expected not in (None, found.sha256):
            if not fresh:
                raise _other_digest(found, expected, f"the cached {target} was changed", "delete it and run again")
            target.unlink()
            mend = "the pin in dfp_platform/ingest/sources/request.py" if pinned else f"{_record(target)} (delete it)"
            step = f"run again; if it stays so, the publisher changed the file: look at it, then renew {mend}"
            raise _other_digest(found, expected, f"{url} gave another file", step)
        if fresh:
            _remember(target, found)
        return found


def _other_digest(found: InputFile, expected: str | None, what: str, step: str) -> InputError:
    return InputError(
        f"{found.name}: wrong checksum, {what}: sha256 is {found.sha256}, not {expected}",
        hint=step,
        file=found.name,
        expected=expected,
        actual=found.sha256,
    )


def _record(target: Path) -> Path:
    return target.with_name(f"{target.name}.seen.json")


def _seen(target: Path) -> str | None:
    record = _record(target)
    return json.loads(record.read_text())["sha256"] if record.exists() else None


def _remember(target: Path, found: InputFile) -> None:
    part = _record(target).with_suffix(".part")
    part.write_text(json.dumps({"sha256": found.sha256, "size": found.size}, sort_keys=True) + "\n")
    part.replace(_record(target))


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """One process at a time per file: two that append to one part would mix it up."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(url: str, target: Path, *, name: str, progress: Progress, headers: Mapping[str, str]) -> None:
    """Fetches into ``<target>.part`` and renames once all bytes are there and on disk."""
    import httpx

    part = target.with_name(f"{target.name}.part")
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    with httpx.Client(follow_redirects=True, timeout=timeout, headers={"Accept-Encoding": "identity"}) as client:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                _go_on(client, url, part, name=name, progress=progress, headers=headers)
                break
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                raise _unreachable(url, name, error) from error  # nobody there: trying at once again helps nobody
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise _unreachable(url, name, error) from error
                time.sleep(0.2 * attempt)
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(target)


def _unreachable(url: str, name: str, error: Exception) -> UnreachableError:
    return UnreachableError(
        f"{name} could not be downloaded from {url}: {type(error).__name__} {error}".rstrip(),
        hint="check the network and run again (it goes on where it broke off), or use source=sample or a file",
        address=url,
    )


def _go_on(
    client: httpx.Client, url: str, part: Path, *, name: str, progress: Progress, headers: Mapping[str, str]
) -> None:
    """One request for what is still missing; raises httpx.HTTPError where another try may help."""
    have = part.stat().st_size if part.exists() else 0
    ranged = {"Range": f"bytes={have}-"} if have else {}
    with client.stream("GET", url, headers={**headers, **ranged}) as response:
        if response.status_code == 416:  # the part is no beginning of what the server has now
            part.unlink()
            response.raise_for_status()
        if response.status_code in (401, 403):
            raise ConfigurationError(
                f"{name}: {response.url.host} refused the credentials ({response.status_code})",
                hint="set KAGGLE_API_TOKEN to a token of your account, and accept the data set's terms there",
                setting="kaggle_api_token",
            )
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        done = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as stream:
            progress(name, done, total)
            for chunk in response.iter_raw():  # as it comes: what waits in a buffer is lost when the line breaks
                stream.write(chunk)
                done += len(chunk)
                progress(name, done, total)
