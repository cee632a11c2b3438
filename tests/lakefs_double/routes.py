"""What the double does for each call."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.lakefs_double.state import Commit, Entry, Refusal, Repository, differing

META = "x-lakefs-meta-"


def answer(found: Any) -> tuple[int, dict[str, str], bytes]:
    """A route gives what goes into the body, or status and body, or status, headers and body."""
    if isinstance(found, tuple) and len(found) == 3:
        return found
    status, body = found if isinstance(found, tuple) else (200, found)
    return status, {}, b"" if body is None else json.dumps(body).encode()


# -- server and repositories ----------------------------------------------------------------------------------------


def get_config(request):
    storage = {
        "blockstore_type": request.double.storage,
        "blockstore_namespace_example": f"{request.double.storage}://example/",
        "blockstore_namespace_ValidityRegex": f"^{request.double.storage}://",
        "pre_sign_support": False,
        "pre_sign_support_ui": False,
        "import_support": False,
        "import_validity_regex": ".*",
    }
    return {"version_config": {"version": request.double.version}, "storage_config": storage}


def get_setup_state(request):
    return {"state": "initialized" if request.double.keys else "not_initialized"}


def set_up(request):
    wanted, double = request.json(), request.double
    with double.lock:
        if double.keys:
            raise Refusal(409, "lakeFS already initialized")
        double.keys = (wanted["key"]["access_key_id"], wanted["key"]["secret_access_key"])
    return {**wanted["key"], "creation_date": 0}


def _repository(found: Repository) -> dict[str, Any]:
    return {
        "id": found.name,
        "creation_date": found.created,
        "default_branch": found.default_branch,
        "storage_namespace": found.namespace,
    }


def get_repository(request, name):
    return _repository(request.double.repository(name))


def create_repository(request):
    wanted = request.json()
    double = request.double
    with double.lock:
        if wanted["name"] in double.repositories:
            raise Refusal(409, "error creating repository: not unique")
        if not wanted["storage_namespace"].startswith(f"{double.storage}://"):
            raise Refusal(400, "invalid storage namespace")
        if any(found.namespace == wanted["storage_namespace"] for found in double.repositories.values()):
            raise Refusal(400, "found lakeFS objects in the storage namespace")
        made = Repository(wanted["name"], wanted["storage_namespace"], wanted.get("default_branch") or "main")
        double.repositories[made.name] = made
    return 201, _repository(made)


# -- refs -----------------------------------------------------------------------------------------------------------


def list_branches(request, name):
    repository = request.double.repository(name)
    with repository.lock:
        found = [
            (branch, {"id": branch, "commit_id": at.head})
            for branch, at in sorted(repository.branches.items())
            if branch.startswith(request.text("prefix")) and (request.flag("show_hidden") or not at.hidden)
        ]
    return request.page(found)


def create_branch(request, name):
    repository, wanted = request.double.repository(name), request.json()
    with repository.lock:
        head = repository.create_branch(
            wanted["name"], wanted["source"], hidden=request.double.young and wanted.get("hidden", False)
        )
    return 201, {"Content-Type": "text/html"}, head.encode()


def get_branch(request, name, branch):
    return {"id": branch, "commit_id": request.double.repository(name).branch(branch).head}


def delete_branch(request, name, branch):
    repository = request.double.repository(name)
    with repository.lock:
        repository.branch(branch)
        if branch == repository.default_branch:
            raise Refusal(403, "cannot delete repository default branch")
        del repository.branches[branch]
    return 204, None


def list_tags(request, name):
    found = sorted(request.double.repository(name).tags.items())
    return request.page([(tag, {"id": tag, "commit_id": commit}) for tag, commit in found])


def create_tag(request, name):
    repository, wanted = request.double.repository(name), request.json()
    with repository.lock:
        return 201, {"id": wanted["id"], "commit_id": repository.create_tag(wanted["id"], wanted["ref"])}


def get_tag(request, name, tag):
    tags = request.double.repository(name).tags
    if tag not in tags:
        raise Refusal(404, "tag not found")
    return {"id": tag, "commit_id": tags[tag]}


def delete_tag(request, name, tag):
    repository = request.double.repository(name)
    with repository.lock:
        get_tag(request, name, tag)
        del repository.tags[tag]
    return 204, None


# -- history --------------------------------------------------------------------------------------------------------


def _commit(found: Commit) -> dict[str, Any]:
    return {
        "id": found.id,
        "parents": list(found.parents),
        "committer": "double",
        "message": found.message,
        "creation_date": found.date,
        "meta_range_id": found.id[:40],
        "metadata": found.metadata,
        "generation": found.generation,
        "version": 1,
    }


_END = {"pagination": {"has_more": False, "next_offset": "", "results": 0, "max_per_page": 1000}}


def get_commit(request, name, ref):
    return _commit(request.double.repository(name).resolve(ref))


def log_commits(request, name, ref):
    repository = request.double.repository(name)
    with repository.lock:
        below = repository.history(repository.resolve(ref), first_parent=request.flag("first_parent"))
        paths = request.query.get("objects")
        found = [(commit.id, _commit(commit)) for commit in below if not paths or repository.changed(commit, paths)]
    return {**request.page(found), **_END} if request.flag("limit") else request.page(found)


def commit(request, name, branch):
    repository, wanted = request.double.repository(name), request.json()
    with repository.lock:
        made = repository.commit(
            branch, wanted["message"], wanted.get("metadata") or {}, allow_empty=wanted.get("allow_empty", False)
        )
    return 201, _commit(made)


def merge(request, name, source, into):
    repository, wanted = request.double.repository(name), request.json()
    with repository.lock:
        made = repository.merge(
            source,
            into,
            wanted.get("message") or f"Merge {source} into {into}",
            wanted.get("metadata") or {},
            strategy=wanted.get("strategy") or None,
            squash=request.double.young and wanted.get("squash_merge", False),
            allow_empty=request.double.young and wanted.get("allow_empty", False),
        )
    return {"reference": made.id}


def find_merge_base(request, name, source, into):
    repository = request.double.repository(name)
    ours, theirs = repository.resolve(into), repository.resolve(source)
    base = repository.merge_base(ours, theirs)
    return {
        "source_commit_id": theirs.id,
        "destination_commit_id": ours.id,
        "base_commit_id": base.id if base else "",
    }


def diff(request, name, left, right):
    repository = request.double.repository(name)
    old, new = repository.resolve(left), repository.resolve(right)
    base = old
    if request.text("type", "three_dot") == "three_dot":
        base = repository.merge_base(old, new) or old
    prefix = request.text("prefix")
    changed = [path for path in differing(base.tree, new.tree) if path.startswith(prefix)]
    return request.page([(path, _difference(path, base.tree.get(path), new.tree.get(path))) for path in changed])


def _difference(path: str, before: Entry | None, after: Entry | None) -> dict[str, Any]:
    kind = "added" if before is None else "removed" if after is None else "changed"
    entry = after or before
    return {"type": kind, "path": path, "path_type": "object", "size_bytes": entry.size if entry else 0}


# -- objects --------------------------------------------------------------------------------------------------------


def _stats(path: str, entry: Entry) -> dict[str, Any]:
    return {
        "path": path,
        "path_type": "object",
        "physical_address": entry.address,
        "checksum": entry.checksum,
        "size_bytes": entry.size,
        "mtime": entry.mtime,
        "metadata": entry.metadata,
        "content_type": entry.content_type,
    }


def _entry(request, name, ref, path) -> Entry:
    entry = request.double.repository(name).view(ref).get(path)
    if entry is None:
        raise Refusal(404, "not found")
    return entry


def stat_object(request, name, ref):
    path = request.text("path")
    return _stats(path, _entry(request, name, ref, path))


def list_objects(request, name, ref):
    view = request.double.repository(name).view(ref)
    prefix = request.text("prefix")
    return request.page([(path, _stats(path, view[path])) for path in sorted(view) if path.startswith(prefix)])


def get_object(request, name, ref):
    entry = _entry(request, name, ref, request.text("path"))
    file = request.double.file_of(entry.address)
    if not file.exists():
        raise Refusal(410, "object expired or deleted")
    headers = {"Content-Type": entry.content_type, "ETag": f'"{entry.checksum}"'}
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not wanted:
        return 200, headers, file.read_bytes()
    start = int(wanted[1])
    end = min(int(wanted[2] or entry.size - 1), entry.size - 1)
    if start >= entry.size:
        raise Refusal(416, "Requested Range Not Satisfiable")
    with file.open("rb") as stream:
        stream.seek(start)
        data = stream.read(end - start + 1)
    return 206, {**headers, "Content-Range": f"bytes {start}-{end}/{entry.size}"}, data


def upload_object(request, name, branch):
    repository, path = request.double.repository(name), request.text("path")
    at = repository.branch(branch)
    if request.headers.get("If-Match"):
        raise Refusal(501, "unsupported conditional header: If-Match")
    if request.headers.get("If-None-Match") == "*" and path in repository.view(branch):
        raise Refusal(412, "path already exists")
    metadata = {  # a header's name loses the case its sender wrote it in
        key[len(META) :].title(): value for key, value in request.headers.items() if key.lower().startswith(META)
    }
    kind = request.headers.get("Content-Type") or "application/octet-stream"
    entry = request.double.keep(repository, request.stream, request.size, kind, metadata)
    with repository.lock:
        at.staged[path] = entry
    return 201, _stats(path, entry)


def copy_object(request, name, branch):
    repository, wanted = request.double.repository(name), request.json()
    source = _entry(request, name, wanted.get("src_ref") or branch, wanted["src_path"])
    file = request.double.file_of(source.address)
    with file.open("rb") as stream:
        entry = request.double.keep(repository, stream, source.size, source.content_type, source.metadata)
    with repository.lock:
        repository.branch(branch).staged[request.text("dest_path")] = entry
    return 201, _stats(request.text("dest_path"), entry)


def delete_objects(request, name, branch):
    repository, wanted = request.double.repository(name), request.json()
    with repository.lock:
        at, view = repository.branch(branch), repository.view(branch)
        at.staged.update({path: None for path in wanted["paths"] if path in view})
    return {"errors": []}


_IN = "/repositories/([^/]+)"

OPEN = ("GET /setup_lakefs", "POST /setup_lakefs")
"""Calls that need no keys: there are none yet."""

ROUTES = [
    ("GET /setup_lakefs", get_setup_state),
    ("POST /setup_lakefs", set_up),
    ("GET /config", get_config),
    ("POST /repositories", create_repository),
    (f"GET {_IN}", get_repository),
    (f"GET {_IN}/branches", list_branches),
    (f"POST {_IN}/branches", create_branch),
    (f"GET {_IN}/branches/([^/]+)", get_branch),
    (f"DELETE {_IN}/branches/([^/]+)", delete_branch),
    (f"POST {_IN}/branches/([^/]+)/commits", commit),
    (f"POST {_IN}/branches/([^/]+)/objects", upload_object),
    (f"POST {_IN}/branches/([^/]+)/objects/copy", copy_object),
    (f"POST {_IN}/branches/([^/]+)/objects/delete", delete_objects),
    (f"GET {_IN}/tags", list_tags),
    (f"POST {_IN}/tags", create_tag),
    (f"GET {_IN}/tags/([^/]+)", get_tag),
    (f"DELETE {_IN}/tags/([^/]+)", delete_tag),
    (f"GET {_IN}/commits/([^/]+)", get_commit),
    (f"GET {_IN}/refs/([^/]+)/commits", log_commits),
    (f"GET {_IN}/refs/([^/]+)/diff/([^/]+)", diff),
    (f"GET {_IN}/refs/([^/]+)/merge/([^/]+)", find_merge_base),
    (f"POST {_IN}/refs/([^/]+)/merge/([^/]+)", merge),
    (f"GET {_IN}/refs/([^/]+)/objects", get_object),
    (f"GET {_IN}/refs/([^/]+)/objects/stat", stat_object),
    (f"GET {_IN}/refs/([^/]+)/objects/ls", list_objects),
]
