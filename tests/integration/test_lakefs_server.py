"""What the lake relies on in a lakeFS server, asked of the double or, with DFP_TEST_LAKEFS, of a real one."""

from __future__ import annotations

import io

import lakefs
import lakefs_sdk
import pytest

from dfp_platform.errors import ReadOnlyError
from dfp_platform.lake.lakefs_repository import Repository
from dfp_platform.lake.lakefs_server import Refused, connect
from dfp_platform.lake.lakefs_server import refusal as refusal_of
from dfp_platform.settings import settings
from tests.lakefs_double.places import new_repository, use_lakefs


@pytest.fixture
def repository(tmp_path, monkeypatch):
    use_lakefs(monkeypatch, tmp_path)
    found = Repository(connect(), new_repository().removeprefix("lakefs://"))
    scheme = {"s3": "s3", "gs": "gs", "mem": "mem"}.get(found.server.storage, "local")
    found.create(f"{scheme}://{settings().lakefs_storage_bucket}/{found.name}", "main")
    yield found
    settings.cache_clear()


def put(repository: Repository, branch: str, path: str, content: bytes) -> None:
    repository.upload(branch, path, lambda: io.BytesIO(content), len(content), {"dfp-sha256": "0" * 64})


def commit(repository: Repository, branch: str, message: str = "m", **objects: bytes) -> str:
    for path, content in objects.items():
        put(repository, branch, path, content)
    return repository.commit(branch, message, {"key": "value"})


def refusal(call, *args, **options) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*args, **options)
    return caught.value


def test_a_repository_is_born_with_one_empty_commit(repository):
    (first,) = repository.log("main", amount=10)
    assert first.parents == ()
    assert list(repository.list("main")) == []


def test_a_merge_into_a_branch_with_uncommitted_objects_is_refused_as_dirty(repository):
    repository.create_branch("side", "main")
    commit(repository, "side", a=b"1")
    put(repository, "main", "b", b"1")
    refused = refusal(repository.merge, "side", "main", "m", {})
    assert (refused.status, refused.dirty) == (400, True)


def test_both_sides_changing_a_path_is_a_conflict_unless_the_bytes_are_the_same(repository):
    for name in ("one", "two", "three"):
        repository.create_branch(name, "main", hidden=True)
    commit(repository, "one", a=b"1", b=b"1")
    commit(repository, "two", a=b"1", c=b"1")
    commit(repository, "three", a=b"3")
    repository.merge("one", "main", "m", {}, squash=True)
    repository.merge("two", "main", "m", {}, squash=True)
    assert [found.path for found in repository.list("main")] == ["a", "b", "c"]
    assert refusal(repository.merge, "three", "main", "m", {}, squash=True).status == 409


def test_a_merge_is_refused_only_if_its_source_changed_nothing_unless_it_may_be_empty(repository):
    commit(repository, "main", before=b"1")
    repository.create_branch("side", "main")
    commit(repository, "side", a=b"1")
    repository.remove("side", ["a"])
    theirs = repository.commit("side", "m", {})
    ours = commit(repository, "main", b=b"1")
    for options in ({}, {"squash": True}, {"strategy": "source-wins"}):
        assert refusal(repository.merge, "side", "main", "m", {}, **options).nothing_to_do
    made = repository.merge("side", "main", "m", {}, allow_empty=True)
    assert repository.commit_of(made).parents == (ours, theirs)


def test_a_merge_of_what_the_target_holds_already_makes_a_commit_that_changes_nothing(repository):
    for name in ("one", "two"):
        repository.create_branch(name, "main")
    theirs = commit(repository, "one", a=b"1")
    ours = commit(repository, "two", a=b"2")
    made = repository.merge("one", "two", "m", {}, strategy="dest-wins")
    assert repository.commit_of(made).parents == (ours, theirs)
    assert repository.read(made, "a") == b"2"


def test_the_same_merge_made_twice_makes_a_second_commit_if_it_is_squashed_and_is_refused_else(repository):
    for name, squash in (("side", True), ("other", False)):
        repository.create_branch(name, "main", hidden=True)
        commit(repository, name, **{name: b"1"})
        made = repository.merge(name, "main", "m", {}, squash=squash)
        if squash:
            again = repository.merge(name, "main", "m", {}, squash=True)
            assert repository.commit_of(again).parents == (made,)
            assert list(repository.diff(made, again)) == []
        else:
            assert refusal(repository.merge, name, "main", "m", {}).nothing_to_do


def test_a_squash_merge_has_one_parent_and_another_has_two(repository):
    first = repository.head("main")
    repository.create_branch("side", "main", hidden=True)
    source = commit(repository, "side", a=b"1")
    squashed = repository.commit_of(repository.merge("side", "main", "text", {"k": "v"}, squash=True))
    assert (squashed.parents, squashed.message, squashed.metadata["k"]) == ((first,), "text", "v")
    repository.create_branch("other", "main", hidden=True)
    source = commit(repository, "other", b=b"1")
    merged = repository.commit_of(repository.merge("other", "main", "text", {}))
    assert merged.parents == (squashed.id, source)
    assert merged.generation > repository.commit_of(source).generation


def test_strategies_decide_clashes_only(repository):
    commit(repository, "main", a=b"0", b=b"0")
    for name in ("source", "into"):
        repository.create_branch(name, "main")
    commit(repository, "source", a=b"source", new=b"source")
    commit(repository, "into", a=b"into", b=b"into")
    repository.create_branch("again", "into")
    repository.merge("source", "into", "m", {}, strategy="source-wins")
    repository.merge("source", "again", "m", {}, strategy="dest-wins")
    assert [repository.read("into", path) for path in ("a", "b", "new")] == [b"source", b"into", b"source"]
    assert [repository.read("again", path) for path in ("a", "b", "new")] == [b"into", b"into", b"source"]


def test_a_commit_of_nothing_is_refused(repository):
    head = commit(repository, "main", a=b"1")
    assert repository.commit("main", "m", {}) == head  # "no changes" is taken for done
    api = repository.server.sdk.commits_api
    refused = refusal(
        repository.server.ask, api.commit, repository.name, "main", lakefs_sdk.CommitCreation(message="m")
    )
    assert refused.nothing_to_do


def test_conditional_uploads_are_no_compare_and_swap(repository):
    api = repository.server.sdk.objects_api
    commit(repository, "main", a=b"1")
    assert refusal(put_if, repository, {"If-None-Match": "*"}).status == 412
    with pytest.raises(lakefs_sdk.ApiException) as caught:
        put_if(repository, {"If-Match": '"0"'})
    assert caught.value.status == 501
    assert api.stat_object(repository.name, "main", "a").size_bytes == 1


def put_if(repository: Repository, headers: dict[str, str]) -> None:
    """An upload with a condition, sent past the retries."""
    config = repository.server.client.config
    pool = repository.server.sdk.objects_api.api_client.rest_client.pool_manager
    import urllib3

    answer = pool.request(
        "POST",
        f"{config.host}/repositories/{repository.name}/branches/main/objects?path=a",
        headers={**urllib3.make_headers(basic_auth=f"{config.username}:{config.password}"), **headers},
        body=b"2",
    )
    if answer.status == 412:
        raise refusal_of(412, "")
    if answer.status >= 300:
        raise lakefs_sdk.ApiException(status=answer.status)


def test_a_difference_between_two_commits_is_listed_in_pages(repository):
    before = commit(repository, "main", a=b"1", gone=b"1", same=b"1")
    repository.remove("main", ["gone"])
    after = commit(repository, "main", a=b"2", **{f"n{n}": b"1" for n in range(5)})
    wanted = ["a", "gone", "n0", "n1", "n2", "n3", "n4"]
    assert list(repository.diff(before, after)) == wanted
    assert list(repository.diff(after, before)) == wanted
    call = repository.server.sdk.refs_api.diff_refs
    pages = repository._pages(call, repository.name, before, after, type="two_dot", amount=2)
    assert [found.path for found in pages] == wanted
    assert list(repository.diff(before, after, "n")) == wanted[2:]


def test_the_log_comes_in_pages_newest_first_and_by_path(repository):
    made = [commit(repository, "main", **{"a" if n % 2 else "b": b"%d" % n}) for n in range(5)]
    assert [found.id for found in repository.log("main", amount=2)][:5] == made[::-1]
    assert [found.id for found in repository.log("main", amount=10, path="a")] == [made[3], made[1]]
    assert [found.id for found in repository.log("main", amount=1, path="a", only=True)] == [made[3]]


def test_a_log_of_the_first_parents_leaves_out_what_merges_brought(repository):
    repository.create_branch("side", "main")
    brought = commit(repository, "side", a=b"1")
    merged = repository.merge("side", "main", "m", {})
    line = [found.id for found in repository.log("main", amount=10, first_parent=True)]
    assert line[0] == merged
    assert brought not in line
    assert brought in [found.id for found in repository.log("main", amount=10)]


def test_a_commit_is_found_by_branch_tag_id_and_the_beginning_of_an_id(repository):
    made = commit(repository, "main", a=b"1")
    repository.create_tag("v1", made)
    for ref in ("main", "v1", made, made[:12]):
        assert repository.commit_of(ref).id == made
    assert repository.commit_of("nowhere") is None
    assert repository.commit_of("0" * 64) is None


def test_what_is_not_committed_is_read_at_a_branch_and_not_at_its_head(repository):
    head = commit(repository, "main", a=b"1")
    put(repository, "main", "b", b"1")
    assert repository.stat("main", "b") is not None
    assert repository.stat(head, "b") is None


def test_an_object_keeps_the_metadata_it_was_uploaded_with_through_a_copy(repository):
    head = commit(repository, "main", a=b"1")
    repository.copy("main", "b", from_ref=head, from_path="a")
    made = repository.commit("main", "m", {})
    for path in ("a", "b"):
        (key, value), *_ = repository.stat(made, path).metadata.items()
        assert (key.lower(), value) == ("dfp-sha256", "0" * 64)


def test_hidden_branches_are_listed_only_when_asked_for(repository):
    repository.create_branch("_dfp-1", "main", hidden=True)
    assert [name for name, _ in repository.branches()] == ["main"]
    assert [name for name, _ in repository.branches(prefix="_dfp-", hidden=True)] == ["_dfp-1"]


def test_a_name_with_a_slash_is_no_branch(repository):
    assert refusal(repository.create_branch, "a/b", "main").status == 400


def test_lakefs_own_client_sees_what_the_lake_sees(repository):
    commit(repository, "main", a=b"1")
    branch = lakefs.Repository(repository.name, client=repository.server.client).branch("main")
    assert [found.path for found in branch.objects()] == ["a"]
    assert branch.object("a").reader(pre_sign=False).read() == b"1"


def test_a_name_is_a_branch_or_a_tag(repository):
    first = repository.head("main")
    repository.create_branch("branch", first)
    repository.create_tag("tag", first)
    for call, name in ((repository.create_tag, "branch"), (repository.create_branch, "tag")):
        refused = refusal(call, name, first)
        assert (refused.status, "conflict found" in refused.said) == (409, True)


def test_the_default_branch_is_never_deleted(repository):
    with pytest.raises(ReadOnlyError, match="default branch"):
        repository.delete_branch("main")
