"""`Settings`: one reader of the environment, with the names people already have."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from dfp_platform.errors import ConfigurationError
from dfp_platform.models.presets import resolve
from dfp_platform.settings import PROJECT_ROOT, Settings, choose, settings, training_choices

EXAMPLE = PROJECT_ROOT / ".env.example"
FOREIGN = re.compile(r"(DFP|KAGGLE|LAKEFS|MLFLOW)_")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here sees what the developer has set."""
    for name in [name for name in os.environ if FOREIGN.match(name)]:
        monkeypatch.delenv(name)


def read(env_file: Path | None = None) -> Settings:
    return Settings(_env_file=env_file)


def names_in_example() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def names_of_settings() -> set[str]:
    return {
        field.validation_alias.choices[0] if field.validation_alias else f"DFP_{name.upper()}"
        for name, field in Settings.model_fields.items()
    }


def test_the_example_names_every_setting_and_no_other() -> None:
    trainings = {"DFP_MODEL", "DFP_TRAINING__EPOCHS"}
    assert set(names_in_example()) == names_of_settings() | trainings


def test_the_example_trains_what_is_trained_without_it() -> None:
    assert resolve(training_choices(EXAMPLE)) == resolve({})


def test_the_example_states_the_true_defaults() -> None:
    assert read(EXAMPLE) == read()


def test_a_text_is_rid_of_secrets_and_of_passwords_in_addresses() -> None:
    at = Settings(_env_file=None, datahub_token="t0psecret", alert_urls="https://a/s3cret-1 slack+https://b/s3cret-2")
    said = "t0psecret refused; slack+https://b/s3cret-2: away; redis://user:pass@host:6379/0 and a@b"
    assert at.without_secrets(said) == "*** refused; ***: away; redis://***@host:6379/0 and a@b"


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_names_people_already_have_are_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAGGLE_API_TOKEN=KGAT_1\nLAKEFS_REPOSITORY=apps\nDFP_SAMPLE_ROWS=12\n")
    found = read(tmp_path / ".env")
    assert found.kaggle_api_token is not None
    assert found.kaggle_api_token.get_secret_value() == "KGAT_1"
    assert (found.lakefs_repository, found.sample_rows) == ("apps", 12)


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LAKEFS_REPOSITORY=file\nDFP_SEED=1\n")
    monkeypatch.setenv("LAKEFS_REPOSITORY", "environment")
    monkeypatch.setenv("DFP_SEED", "2")
    found = read(tmp_path / ".env")
    assert (found.lakefs_repository, found.seed) == ("environment", 2)


def test_lakefs_settings_come_out_under_lakefs_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFS_ENDPOINT_URL", "http://lakefs:8000")
    monkeypatch.setenv("LAKEFS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("LAKEFS_SECRET_ACCESS_KEY", "secret")
    assert read().lakectl_environment() == {
        "LAKECTL_SERVER_ENDPOINT_URL": "http://lakefs:8000",
        "LAKECTL_CREDENTIALS_ACCESS_KEY_ID": "AKIA",
        "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": "secret",
    }


def test_what_is_not_set_is_left_to_lakefs_own_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFS_ENDPOINT_URL", "http://lakefs:8000")
    monkeypatch.setenv("LAKEFS_SECRET_ACCESS_KEY", "")
    assert set(read().lakectl_environment()) == {"LAKECTL_SERVER_ENDPOINT_URL"}


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    shown = repr(Settings(_env_file=None, kaggle_api_token="KGAT_1", lakefs_secret_access_key="hush"))
    assert "KGAT_1" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize("name", ["DFP_MLFLOW_URI", "MLFLOW_TRACKING_URI"])
def test_trainings_are_tracked_at_home_unless_a_server_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert read().mlflow_uri == f"sqlite:///{PROJECT_ROOT / '.dfp' / 'mlflow' / 'mlflow.db'}"
    monkeypatch.setenv(name, "http://mlflow:5000")
    assert read().mlflow_uri == "http://mlflow:5000"


def test_services_are_named_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read().serving_addresses == ()
    monkeypatch.setenv("DFP_SERVING_URLS", "http://a:8000/, http://b:8000")
    assert read().serving_addresses == ("http://a:8000", "http://b:8000")


def test_the_lake_is_a_folder_at_home_unless_named(tmp_path: Path) -> None:
    assert Settings(_env_file=None, home=tmp_path).lake_uri == str(tmp_path / "lake")
    assert Settings(_env_file=None, lake="s3://bucket/lake").lake_uri == "s3://bucket/lake"


def test_lakefs_names_without_the_choice_of_lakefs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEFS_REPOSITORY", "apps")
    monkeypatch.setenv("LAKEFS_BRANCH", "develop")
    assert read().branch == "main"
    assert read().lake_uri == str(PROJECT_ROOT / ".dfp" / "lake")


def test_choosing_lakefs_takes_its_repository_and_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_LAKE", "lakefs")
    monkeypatch.setenv("LAKEFS_REPOSITORY", "apps")
    monkeypatch.setenv("LAKEFS_BRANCH", "develop")
    assert (read().lake_uri, read().branch) == ("lakefs://apps", "develop")
    monkeypatch.setenv("DFP_BRANCH", "mine")
    assert read().branch == "mine"


def test_choosing_lakefs_without_a_repository_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_LAKE", "lakefs")
    with pytest.raises(ConfigurationError, match="LAKEFS_REPOSITORY"):
        _ = read().lake_uri


def test_relative_paths_are_relative_to_the_callers_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DFP_SOURCE", "data/apps.csv")
    monkeypatch.setenv("DFP_HOME", "state")
    assert (read().source, read().home) == (str(tmp_path / "data/apps.csv"), tmp_path / "state")


@pytest.mark.parametrize("source", ["auto", "sample", "archives", "kaggle"])
def test_a_named_source_stays_a_name(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_SOURCE", source)
    assert read().source == source


def test_a_sample_without_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_SAMPLE_ROWS", "0")
    settings.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="sample_rows"):
            settings()
    finally:
        settings.cache_clear()


def test_a_folder_that_happens_to_be_called_like_a_source_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sample").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Settings(_env_file=None, source="sample").source == "sample"


def test_a_choice_holds_for_this_process_and_the_ones_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DFP_SOURCE", "archives")
    monkeypatch.setenv("DFP_SEED", "3")
    try:
        found = choose(source="apps.csv", seed=None)
        assert (found.source, found.seed) == (str(tmp_path / "apps.csv"), 3)
        assert settings() == found
        assert os.environ["DFP_SOURCE"] == str(tmp_path / "apps.csv"), "a child may start in another folder"
    finally:
        settings.cache_clear()


def test_a_choice_that_cannot_be_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DFP_ENGINE", "datafusion")
    try:
        with pytest.raises(ConfigurationError, match="engine"):
            choose(engine="abacus")
        assert settings().engine == "datafusion"
    finally:
        settings.cache_clear()
