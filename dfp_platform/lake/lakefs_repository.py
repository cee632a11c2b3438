"""One lakeFS repository, call by call: the HTTP interface in the lake's types, pages joined."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from dfp_platform.errors import NotFoundError
from dfp_platform.lake.lakefs_server import Refused, Server, refusal

PAGE = 1000
"""The most that lakeFS lists at once."""

Strategy = Literal["source-wins", "dest-wins"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as lakeFS keeps it. `metadata` is the uploader's, its keys in whatever case the server returns."""

    path: str
    size: int
    checksum: str
    address: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A commit as lakeFS keeps it. `generation` is above that of every parent; `time` in seconds since 1970."""

    id: str
    parents: tuple[str, ...]
    message: str
    time: int
    generation: int
    metadata: Mapping[str, str]


class Repository:
    """Calls to one repository. Refusals come out as `Refused`; what is absent as None where that is an answer."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name

    # -- the repository ------------------------------------------------------------------------------------------

    def storage_namespace(self) -> str | None:
        """Where it keeps its bytes, ``s3://bucket/prefix``; None if there is no such repository."""
        found = self._absent_is_none(self.server.sdk.repositories_api.get_repository, self.name)
        return found.storage_namespace.rstrip("/") if found else None

    def create(self, namespace: str, main: str) -> None:
        """Make the repository with one branch; it is no error if another was quicker."""
        import lakefs_sdk

        wanted = lakefs_sdk.RepositoryCreation(name=self.name, storage_namespace=namespace, default_branch=main)
        try:
            self.server.ask(self.server.sdk.repositories_api.create_repository, wanted)
        except Refused as refused:
            if refused.status != 409:
                raise

    # -- refs ----------------------------------------------------------------------------------------------------

    def head(self, branch: str) -> str | None:
        """The commit a branch is at."""
        found = self._absent_is_none(self.server.sdk.branches_api.get_branch, self.name, branch)
        return found.commit_id if found else None

    def tagged(self, tag: str) -> str | None:
        """The commit a tag names."""
        found = self._absent_is_none(self.server.sdk.tags_api.get_tag, self.name, tag)
        return found.commit_id if found else None

    def branches(self, *, prefix: str = "", hidden: bool = False) -> Iterator[tuple[str, str]]:
        """Names and heads of branches, in order of names."""
        options = {"show_hidden": True} if hidden else {}
        return self._refs(self.server.sdk.branches_api.list_branches, prefix, **options)

    def tags(self) -> Iterator[tuple[str, str]]:
        """Names and commits of tags, in order of names."""
        return self._refs(self.server.sdk.tags_api.list_tags, "")

    def create_branch(self, name: str, source: str, *, hidden: bool = False) -> None:
        """A branch at a commit. A hidden one has a name nobody else uses, so it may be asked for again."""
        import lakefs_sdk

        wanted = lakefs_sdk.BranchCreation(name=name, source=source, hidden=hidden)
        try:
            self.server.ask(self.server.sdk.branches_api.create_branch, self.name, wanted, once=not hidden)
        except Refused as refused:
            if not (hidden and refused.status == 409 and refused.repeated):
                raise

    def delete_branch(self, name: str) -> None:
        """Forget a branch; none is left to forget after a lost answer."""
        self._gone(self.server.sdk.branches_api.delete_branch, name)

    def create_tag(self, name: str, commit: str) -> None:
        """Name a commit."""
        import lakefs_sdk

        wanted = lakefs_sdk.TagCreation(id=name, ref=commit)
        self.server.ask(self.server.sdk.tags_api.create_tag, self.name, wanted)

    def delete_tag(self, name: str) -> None:
        """Forget a tag."""
        self._gone(self.server.sdk.tags_api.delete_tag, name)

    # -- history -------------------------------------------------------------------------------------------------

    def commit_of(self, ref: str) -> Record | None:
        """The commit a branch, a tag, an id or the beginning of one names."""
        found = self._absent_is_none(self.server.sdk.commits_api.get_commit, self.name, ref)
        return _record(found) if found else None

    def log(
        self, ref: str, *, amount: int, path: str | None = None, first_parent: bool = False, only: bool = False
    ) -> Iterator[Record]:
        """Commits below a ref, newest first, in pages of `amount`; with `path` those that changed that object.

        Args:
            only: no more than `amount`; the server then does not look, perhaps through all of history, for one more.
        """
        options: dict[str, Any] = {"objects": [path]} if path is not None else {}
        if only:
            options["limit"] = True
        if first_parent:
            options["first_parent"] = True
        call = self.server.sdk.refs_api.log_commits
        return (_record(found) for found in self._pages(call, self.name, ref, amount=amount, **options))

    def diff(self, left: str, right: str, prefix: str = "") -> Iterator[str]:
        """Paths at which two commits differ, in path order."""
        if left == right:
            return iter(())
        call = self.server.sdk.refs_api.diff_refs
        options: dict[str, Any] = {"prefix": prefix} if prefix else {}
        return (found.path for found in self._pages(call, self.name, left, right, type="two_dot", **options))

    # -- objects -------------------------------------------------------------------------------------------------

    def stat(self, ref: str, path: str) -> Stored | None:
        """What lies at a path."""
        call = self.server.sdk.objects_api.stat_object
        found = self._absent_is_none(call, self.name, ref, path, user_metadata=True)
        return _stored(found) if found else None

    def list(self, ref: str, prefix: str = "") -> Iterator[Stored]:
        """What lies at paths with a prefix, in path order."""
        call = self.server.sdk.objects_api.list_objects
        options: dict[str, Any] = {"prefix": prefix} if prefix else {}
        return (_stored(found) for found in self._pages(call, self.name, ref, user_metadata=True, **options))

    def read(self, ref: str, path: str, *, start: int = 0, size: int | None = None) -> bytes:
        """Bytes of an object: all of them, or `size` from `start`."""
        options: dict[str, Any] = {} if size is None else {"range": f"bytes={start}-{start + size - 1}"}
        try:
            return bytes(self.server.ask(self.server.sdk.objects_api.get_object, self.name, ref, path, **options))
        except Refused as refused:
            if refused.status not in (404, 410):
                raise
            raise NotFoundError(
                f"the bytes of {path} at {ref} are gone from {self.name}",
                hint="lakeFS's garbage collection takes what was replaced longer ago than its rules of retention say",
                ref=ref,
                path=path,
            ) from refused

    def upload(
        self,
        branch: str,
        path: str,
        content: Callable[[], AbstractContextManager[BinaryIO]],
        size: int,
        metadata: Mapping[str, str],
    ) -> None:
        """Stream `size` bytes to a path of a branch; `content` opens them, anew for each try."""
        api = self.server.sdk.objects_api.api_client
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            **{f"x-lakefs-meta-{key}": value for key, value in metadata.items()},
        }
        place = urllib.parse.quote(f"/repositories/{self.name}/branches/{branch}/objects")
        schemes = ["basic_auth", "cookie_auth", "oidc_auth", "saml_auth", "jwt_token"]
        api.update_params_for_auth(headers, None, schemes, place, "POST", None)
        self.server.ask(self._post, f"{place}?{urllib.parse.urlencode({'path': path})}", headers, content)

    def copy(self, branch: str, path: str, *, from_ref: str, from_path: str) -> None:
        """Put an object of a commit at a path of a branch; the server moves the bytes."""
        import lakefs_sdk

        wanted = lakefs_sdk.ObjectCopyCreation(src_path=from_path, src_ref=from_ref)
        self.server.ask(self.server.sdk.objects_api.copy_object, self.name, branch, path, wanted)

    def remove(self, branch: str, paths: Sequence[str]) -> None:
        """Take objects off a branch."""
        import lakefs_sdk

        for at in range(0, len(paths), PAGE):
            some = lakefs_sdk.PathList(paths=list(paths[at : at + PAGE]))
            answer = self.server.ask(self.server.sdk.objects_api.delete_objects, self.name, branch, some)
            for error in answer.errors:
                raise refusal(error.status_code, f"{error.path}: {error.message}")

    # -- commits -------------------------------------------------------------------------------------------------

    def commit(self, branch: str, message: str, metadata: Mapping[str, str]) -> str:
        """Commit what was uploaded to a branch of ours; return the new head."""
        import lakefs_sdk

        wanted = lakefs_sdk.CommitCreation(message=message, metadata=dict(metadata))
        try:
            return self.server.ask(self.server.sdk.commits_api.commit, self.name, branch, wanted).id
        except Refused as refused:
            if refused.nothing_to_do and (head := self.head(branch)):  # done before, and the answer lost
                return head
            raise

    def merge(
        self,
        source: str,
        into: str,
        message: str,
        metadata: Mapping[str, str],
        *,
        strategy: Strategy | None = None,
        squash: bool = False,
        allow_empty: bool = False,
        once: bool = False,
    ) -> str:
        """Merge into a branch and return its new head.

        The server refuses ("no changes") only a source that holds what the merge base held. Where the target has
        the same bytes already it makes a commit that changes nothing; `once` keeps a lost answer from leading there.
        """
        import lakefs_sdk

        options = {"strategy": strategy} if strategy else {}
        wanted = lakefs_sdk.Merge(
            message=message, metadata=dict(metadata), squash_merge=squash, allow_empty=allow_empty, **options
        )
        call = self.server.sdk.refs_api.merge_into_branch
        return self.server.ask(call, self.name, source, into, wanted, once=once).reference

    # -- inside --------------------------------------------------------------------------------------------------

    def _absent_is_none(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return self.server.ask(call, *args, **options)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def _gone(self, call: Callable[..., Any], name: str) -> None:
        try:
            self.server.ask(call, self.name, name)
        except Refused as refused:
            if not (refused.status == 404 and refused.repeated):
                raise

    def _pages(self, call: Callable[..., Any], *args: Any, amount: int = PAGE, **options: Any) -> Iterator[Any]:
        after: dict[str, Any] = {}
        while True:
            page = self.server.ask(call, *args, amount=amount, **after, **options)
            yield from page.results
            if not page.pagination.has_more:
                return
            after = {"after": page.pagination.next_offset}

    def _refs(self, call: Callable[..., Any], prefix: str, **options: Any) -> Iterator[tuple[str, str]]:
        if prefix:
            options["prefix"] = prefix
        return ((found.id, found.commit_id) for found in self._pages(call, self.name, **options))

    def _post(
        self,
        place: str,
        headers: Mapping[str, str],
        content: Callable[[], AbstractContextManager[BinaryIO]],
        *,
        _request_timeout: tuple[float, float],
    ) -> None:
        """The SDK would read the whole content into memory; its connections can stream."""
        import lakefs_sdk
        import urllib3
        from lakefs_sdk.rest import RESTResponse

        api = self.server.sdk.objects_api.api_client
        connect, read = _request_timeout
        with content() as body:
            answer = api.rest_client.pool_manager.request(
                "POST",
                api.configuration.host + place,
                headers=dict(headers),
                body=body,
                retries=False,
                timeout=urllib3.Timeout(connect=connect, read=read),
            )
        if not 200 <= answer.status <= 299:
            raise lakefs_sdk.ApiException(http_resp=RESTResponse(answer))


def _stored(found: Any) -> Stored:
    return Stored(
        path=found.path,
        size=found.size_bytes or 0,
        checksum=found.checksum,
        address=found.physical_address,
        metadata=found.metadata or {},
    )


def _record(found: Any) -> Record:
    return Record(
        id=found.id,
        parents=tuple(parent for parent in found.parents if parent),
        message=found.message,
        time=found.creation_date,
        generation=found.creation_date if found.generation is None else found.generation,
        metadata=found.metadata or {},
    )
