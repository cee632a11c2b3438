"""Presets and overrides make one tree, and whatever cannot be is refused by a name a person can use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dfp_platform.assets.choices import LINE, asked, beyond_the_line, configured, every_choice, run_config_of, wanted
from dfp_platform.errors import ConfigurationError
from dfp_platform.models.configs import MODELS, Configuration, NetworkConfig
from dfp_platform.models.presets import PRESETS, flattened, model_name, parsed, preset_names, resolve
from dfp_platform.schemas import LEAKING_COLUMNS
from dfp_platform.settings import PRESET_GROUPS, settings, training_choices


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment that says nothing of trainings."""
    import os

    for name in [name for name in os.environ if name.startswith("DFP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(training_choices, "__defaults__", (tmp_path / ".env",))
    settings.cache_clear()
    return monkeypatch


def refusal(*choices: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        resolve(parsed(choices))
    return " ".join(str(refused.value).split())


@pytest.mark.parametrize("preset", preset_names("model"))
def test_every_preset_of_a_model_is_a_configuration_that_reads_back(preset: str) -> None:
    configuration = resolve({"model": preset})
    assert Configuration.from_json(configuration.to_json()) == configuration


@pytest.mark.parametrize("group", PRESET_GROUPS[1:])
def test_every_preset_of_another_group_fits_every_network(group: str) -> None:
    for name in preset_names(group):
        assert isinstance(resolve({group: name, "model": "vae"}).model, NetworkConfig)


def test_every_kind_of_model_has_a_preset() -> None:
    assert {resolve({"model": preset}).model.kind for preset in preset_names("model")} == set(MODELS)


def test_the_demo_trains_what_it_trained_before_there_were_presets() -> None:
    told = resolve({})
    assert told.name == "autoencoder"
    assert (told.model.hidden, told.model.latent, told.training.epochs, told.training.batch) == ((128,), 16, 120, 128)
    assert (told.data.device, told.data.features, told.split.by) == ("real_device", ("*",), "time")
    assert resolve({"model": "xgboost"}).training.epochs == 200


def test_a_key_wins_over_a_groups_preset_and_that_over_the_models() -> None:
    assert resolve({"model": "ae_large"}).training.batch == 256, "a model's preset may say how it is trained"
    assert resolve({"model": "xgboost", "training": "quick"}).training.epochs == 5
    told = resolve({"model": "xgboost", "training": "quick", "training.epochs": 3})
    assert (told.training.epochs, told.training.learning_rate) == (3, 0.1)


def test_words_of_a_command_line_and_values_of_a_launchpad_are_the_same() -> None:
    typed = resolve(parsed(["model=vae", "model.hidden=64, 32", "training.learning_rate=1e-2", "data.features=sys_*"]))
    given = {"model.hidden": [64, 32], "training.learning_rate": 0.01, "data.features": ["sys_*"]}
    assert typed == resolve({"model": "vae", **given})


def test_names_are_preset_and_device_and_the_first_two_keep_theirs() -> None:
    assert [model_name(*pair) for pair in (("vae", "emulator"), ("ae_small", "emulator"), ("vae", "real_device"))] == [
        "vae_emulator",
        "ae_small_emulator",
        "vae_real_device",
    ]
    assert resolve({"model": "autoencoder"}) == resolve({"model": "ae_small"})
    assert resolve({"model": "xgboost", "data": "emulator"}).name == "xgboost_emulator"
    assert list(every_choice())[: len(LINE)] == list(LINE)
    assert not beyond_the_line() & {f"models/{name}" for name in LINE}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("model=vea", "did you mean model=vae? there are: ae_large, ae_small"),
        ("trainig.epochs=3", "no key trainig.epochs next: did you mean training.epochs?"),
        ("training.epoch=3", "did you mean training.epochs?"),
        ("model.latant=3", "no key model.latant next: did you mean model.latent?"),
        ("epochs=3", "did you mean training.epochs?"),
        ("training.epochs=0", "greater than or equal to 1 next: training.epochs is: passes over"),
        ("training.epochs=many", "training.epochs='many' cannot be: Input should be a valid integer"),
        ("split.by=month", "split.by='month' cannot be: Input should be 'time' or 'hash'"),
        ("data.device=toaster", "'real_device' or 'emulator'"),
        ("model.hidden=64,none", "model.hidden='none' cannot be"),
        ("model.kind=vae", "a preset decides model.kind next: choose one: model=<preset>"),
        ("vae", "'vae' is no choice next: write key=value"),
    ],
)
def test_what_cannot_be_is_refused_with_the_nearest_name_or_what_can_be(choice: str, said: str) -> None:
    assert said in refusal(choice)


@pytest.mark.parametrize("name", sorted(LEAKING_COLUMNS))
@pytest.mark.parametrize("prefix", ["", "app_", "sys_"])
def test_a_configuration_cannot_name_a_column_that_leaks_the_label(name: str, prefix: str) -> None:
    assert "never a feature" in refusal(f"data.features=perm_*,{prefix}{name.upper()}")


def test_a_copied_preset_is_a_model_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(PRESETS, tmp_path / "presets")
    mine = tmp_path / "presets" / "model" / "mine.yaml"
    mine.write_text("model: {kind: vae, latent: 2}\ntraining: {epochs: 9}\n")
    told = resolve({"model": "mine"}, folder=tmp_path / "presets")
    assert (told.name, told.model.kind, told.training.epochs) == ("mine_real_device", "vae", 9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model: {kind: vae, latant: 2}", "did you mean model.latent"),
        ("modle: {kind: vae}", "in presets/model/mine.yaml"),
        ("model: [vae]", "does not map keys to values"),
        ("model: {", "is no YAML"),
        ("", "model.kind=None cannot be"),
        ("model: {kind: forest}", "choose from: autoencoder, vae, detector, xgboost"),
    ],
)
def test_a_preset_that_cannot_be_is_told_what_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    shutil.copytree(PRESETS, tmp_path / "presets")
    (tmp_path / "presets" / "model" / "mine.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=said.replace("?", r"\?")):
        resolve({"model": "mine"}, folder=tmp_path / "presets")


def test_command_line_environment_and_launchpad_give_one_tree(environment: pytest.MonkeyPatch) -> None:
    choices = ["model=vae", "data=emulator", "split=hash", "model.latent=4", "training.epochs=3"]
    typed = wanted(parsed(choices))
    launched = configured("vae_emulator", run_config_of(["vae_emulator"], typed)["models__vae_emulator"]["config"])
    for name, value in flattened({"x": parsed(choices)}).items():
        environment.setenv("DFP_" + name.removeprefix("x.").upper().replace(".", "__"), value)
    assert typed == wanted({}) == launched
    assert (typed.name, typed.model.latent, typed.split.by) == ("vae_emulator", 4, "hash")


def test_choices_win_over_the_environment_and_that_over_the_file(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("DFP_TRAINING__EPOCHS=5\nDFP_TRAINING__BATCH=64\nDFP_TRAINING__PATIENCE=\n")
    environment.setenv("DFP_TRAINING__BATCH", "32")
    told = wanted({"training.patience": 2})
    assert (told.training.epochs, told.training.batch, told.training.patience) == (5, 32, 2)
    assert wanted({"training.batch": 16}).training.batch == 16


def test_the_seed_is_that_of_the_settings_unless_it_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DFP_SEED", "11")
    settings.cache_clear()
    assert (wanted({}).training.seed, wanted({"training.seed": "3"}).training.seed) == (11, 3)
    settings.cache_clear()


def test_a_wrong_key_in_the_environment_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DFP_TRAINING__EPOCH", "5")
    with pytest.raises(ConfigurationError, match=r"training\.epoch.*\n.*did you mean training\.epochs"):
        wanted({})


def test_a_launchpad_is_not_asked_for_what_the_assets_name_has_decided() -> None:
    tree = asked(resolve({"model": "detector"}))
    assert set(tree) == set(PRESET_GROUPS)
    assert "kind" not in tree["model"]
    assert "device" not in tree["data"]


def test_a_run_trains_the_chosen_model_as_chosen_and_others_by_their_presets(
    environment: pytest.MonkeyPatch,
) -> None:
    told = run_config_of(["autoencoder", "vae_real_device"], wanted({"model": "vae", "training.epochs": 3}))
    assert told["models__vae_real_device"]["config"]["training"]["epochs"] == 3
    assert told["models__autoencoder"]["config"]["training"]["epochs"] == 120
