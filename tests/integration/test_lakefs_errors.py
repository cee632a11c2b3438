"""A lakeFS server that is away, strange or unwilling: what the lake says, and what it tries again."""

from __future__ import annotations

import pickle
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dfp_platform.errors import (
    ConfigurationError,
    InvalidNameError,
    NotFoundError,
    PermanentError,
    ReadOnlyError,
    TransientError,
    UnknownOutcomeError,
    UnreachableError,
)
from dfp_platform.lake import Lake, lakefs_server, open_lake
from dfp_platform.settings import settings
from tests.contract.lakes import contents, put
from tests.lakefs_double import Double, Fault
from tests.lakefs_double.places import new_repository, point_to
from tests.lakefs_double.writers import write_as_another_process


@pytest.fixture
def double(tmp_path, monkeypatch):
    found = Double(tmp_path / "double")
    point_to(found, monkeypatch, tmp_path)
    monkeypatch.setattr(lakefs_server, "PATIENCE_S", 0.001)
    yield found
    found.stop()
    settings.cache_clear()


@pytest.fixture
def lake(double: Double) -> Lake:
    return open_lake(new_repository(), create=True)


def test_wrong_keys_are_told_apart_from_everything_else(double, monkeypatch):
    monkeypatch.setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigurationError, match="does not know these keys") as caught:
        open_lake(new_repository())
    assert "LAKECTL_CREDENTIALS" in caught.value.hint
    assert len(double.calls) == 1


def test_no_keys_and_no_server_say_what_to_set(double, monkeypatch):
    monkeypatch.delenv("LAKECTL_SERVER_ENDPOINT_URL")
    with pytest.raises(ConfigurationError, match="no lakeFS server"):
        open_lake(new_repository())
    monkeypatch.delenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="no keys"):
        open_lake(new_repository())


def test_the_settings_names_of_lakefs_are_enough(double, monkeypatch):
    found = double.environment()
    for name in found:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAKEFS_ENDPOINT_URL", found["LAKECTL_SERVER_ENDPOINT_URL"])
    monkeypatch.setenv("LAKEFS_ACCESS_KEY_ID", found["LAKECTL_CREDENTIALS_ACCESS_KEY_ID"])
    monkeypatch.setenv("LAKEFS_SECRET_ACCESS_KEY", found["LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY"])
    settings.cache_clear()
    put(open_lake(new_repository(), create=True), a=b"1")
    for name in found:
        monkeypatch.delenv(name)  # the lake put them there, for its child processes


def test_the_file_of_lakectl_is_enough(double, monkeypatch, tmp_path):
    address, key, secret = double.environment().values()
    file = tmp_path / "lakectl.yaml"
    file.write_text(
        f"server:\n  endpoint_url: {address}\ncredentials:\n  access_key_id: {key}\n  secret_access_key: {secret}\n"
    )
    for name in double.environment():
        monkeypatch.delenv(name)
    monkeypatch.setenv("LAKECTL_CONFIG_FILE", str(file))
    put(open_lake(new_repository(), create=True), a=b"1")


def test_a_missing_repository_is_not_found_and_says_how_to_make_it(double):
    with pytest.raises(NotFoundError, match="has no repository nowhere-at-all") as caught:
        open_lake("lakefs://nowhere-at-all")
    assert "lakectl repo create" in caught.value.hint


def test_a_repository_without_a_place_for_its_bytes_is_not_made(double, monkeypatch):
    monkeypatch.delenv("LAKEFS_STORAGE_BUCKET")
    settings.cache_clear()
    with pytest.raises(ConfigurationError, match="no place to make it"):
        open_lake("lakefs://somewhere", create=True)


@pytest.mark.parametrize("name", ["", "ab", "Upper", "a/b", "-abc", "a b c"])
def test_a_name_that_no_repository_can_have_is_refused(double, name):
    with pytest.raises(InvalidNameError):
        open_lake(f"lakefs://{name}", create=True)


def test_two_who_make_the_same_lake_have_the_same_lake(double):
    uri = new_repository()
    assert open_lake(uri, create=True).resolve("main") == open_lake(uri, create=True).resolve("main")


def test_a_server_that_is_not_there_is_unreachable_after_some_tries(double, monkeypatch):
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UnreachableError, match="does not answer") as caught:
            open_lake(new_repository())
    assert isinstance(caught.value, TransientError)
    assert "127.0.0.1" in caught.value.fields["address"]
    assert pickle.loads(pickle.dumps(caught.value)).fields == caught.value.fields


def test_a_server_of_before_1_0_is_refused(tmp_path, monkeypatch):
    old = Double(tmp_path / "old", version="0.113.0")
    point_to(old, monkeypatch, tmp_path)
    with pytest.raises(ConfigurationError, match="too old"):
        open_lake(new_repository(), create=True)
    old.stop()
    settings.cache_clear()


@pytest.mark.parametrize("status", [200, 404])
def test_something_that_is_no_lakefs_is_told_so(tmp_path, monkeypatch, status):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *args) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            monkeypatch.setenv(f"LAKECTL_CREDENTIALS_{name}", "x")
        monkeypatch.setenv("LAKECTL_SERVER_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(ConfigurationError, match="no lakeFS server"):
            open_lake(new_repository())
        server.shutdown()


def test_what_the_server_refuses_without_a_reason_known_here_is_in_its_own_words(double, lake):
    double.faults.append(Fault("POST .*/objects$", "status", status=413, times=100))
    with pytest.raises(PermanentError, match="the double was told to fail") as caught:
        put(lake, a=b"1")
    assert pickle.loads(pickle.dumps(caught.value)).fields["status"] == 413
    assert contents(lake) == {}


def test_uncommitted_objects_on_the_target_are_named_with_the_way_out(double, lake):
    repository = double.repository(lake.uri.removeprefix("lakefs://"))
    branch = repository.branch("main")
    put(lake, a=b"1")
    branch.staged["left/behind"] = repository.commits[branch.head].tree["a"]
    assert contents(lake) == {"a": b"1"}
    lake.create_branch("side")
    put(lake, "side", c=b"1")
    for write in (lambda: put(lake, b=b"1"), lambda: lake.merge("side", message="m")):
        with pytest.raises(ReadOnlyError, match="uploaded and not committed") as caught:
            write()
        assert "lakectl branch reset" in caught.value.hint
    branch.staged.clear()
    put(lake, b=b"1")


def test_what_the_keys_owner_may_not_do_says_so(double, lake):
    double.faults.append(Fault("POST .*/merge/main", "status", status=403))
    with pytest.raises(ReadOnlyError, match="forbids"):
        put(lake, a=b"1")
    assert contents(lake) == {}


def test_a_hook_that_refuses_leaves_the_branch_as_it_was(double, lake):
    double.faults.append(Fault("POST .*/merge/main", "status", status=412))
    with pytest.raises(ReadOnlyError, match="did not take the write"):
        put(lake, a=b"1")
    assert contents(lake) == {}


def test_a_busy_server_is_asked_again(double, lake):
    for status in (429, 500, 503):
        double.faults += [Fault("GET", "status", 2, status=status), Fault("POST .*/merge/", "status", status=status)]
        double.faults += [Fault("POST .*/objects$", "status", status=status)]
        put(lake, **{f"a{status}": b"1" * status})
    assert contents(lake) == {f"a{status}": b"1" * status for status in (429, 500, 503)}


@pytest.mark.parametrize(
    "call", ["POST .*/branches$", "POST .*/objects$", "POST .*/commits$", "POST .*/merge/", "DELETE"]
)
@pytest.mark.parametrize("kind", ["lost", "dropped"])
def test_a_lost_answer_neither_loses_nor_doubles_a_commit(double, lake, call, kind):
    put(lake, a=b"0")
    before = len(list(lake.log()))
    double.faults.append(Fault(call, kind))
    made = put(lake, a=b"1", b=None, c=b"3")
    assert (lake.resolve("main"), contents(lake)) == (made, {"a": b"1", "c": b"3"})
    assert len(list(lake.log())) == before + 1
    assert double.faults[-1].times == 0


@pytest.mark.parametrize("kind", ["lost", "dropped"])
def test_a_lost_answer_neither_loses_nor_doubles_a_merge(double, lake, kind):
    lake.create_branch("side")
    put(lake, "side", a=b"1")
    put(lake, b=b"1")
    double.faults.append(Fault("POST .*/merge/main", kind))
    made = lake.merge("side", message="once")
    assert lake.resolve("main") == made
    assert [commit.message for commit in lake.log()].count("once") == 1


def test_a_commit_whose_answer_was_lost_is_found_under_what_others_wrote_since(double, lake):
    """Its merge is tried again, clashes with the other's, and must not be taken for a lost race."""
    fault = Fault("POST .*/merge/main", "lost")

    def another_writes() -> None:
        double.faults.clear()
        write_as_another_process(lake, "main", b=b"theirs")

    fault.then = another_writes
    double.faults.append(fault)
    made = lake.commit("main", {"a": b"mine"}, message="mine")
    assert [commit.message for commit in lake.log()][:2] == ["another", "mine"]
    assert lake.show(made).message == "mine"
    assert contents(lake) == {"a": b"mine", "b": b"theirs"}


def test_a_write_without_any_answer_is_of_unknown_outcome(double, lake):
    double.faults.append(Fault("POST .*/merge/main|GET .*/refs/main/commits", "lost", times=100))
    with pytest.raises(UnknownOutcomeError) as caught:
        put(lake, a=b"1")
    double.faults.clear()
    assert not isinstance(caught.value, TransientError)
    assert caught.value.fields["branch"] == "main"
    assert contents(lake) == {"a": b"1"}  # here it had landed


def test_a_write_that_never_reached_the_server_may_be_tried_again(double, lake, monkeypatch):
    lake.resolve("main")
    double.faults.append(Fault("POST .*/merge/main", "status", times=100, status=429))
    with pytest.raises(UnreachableError):
        put(lake, a=b"1")
    double.faults.clear()
    put(lake, a=b"1")
    assert [commit.message for commit in lake.log()] == ["put a", "Repository created"]


def test_a_branch_that_was_perhaps_made_is_not_made_again(double, lake):
    double.faults.append(Fault("POST .*/branches$", "lost"))
    with pytest.raises(UnknownOutcomeError):
        lake.create_branch("side")
    assert "side" in lake.branches()


def test_a_tag_whose_answer_was_lost_is_there_once(double, lake):
    double.faults.append(Fault("POST .*/tags$", "lost"))
    assert lake.tag("v1", "main") == lake.resolve("main")
    double.faults.append(Fault("DELETE .*/tags/v1", "lost"))
    lake.delete_tag("v1")
    assert lake.tags() == {}


def test_a_lake_pickles_without_its_connection(double, lake):
    put(lake, a=b"1")
    assert contents(pickle.loads(pickle.dumps(lake))) == {"a": b"1"}
