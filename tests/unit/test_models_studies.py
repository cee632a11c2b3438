"""Studies: equal in, equal out, also after a kill; blind to the future; and honest about who won."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from dfp_platform.errors import CalibrationError, ConfigurationError, InputError
from dfp_platform.models import reference
from dfp_platform.models.configs import MODELS, Configuration
from dfp_platform.models.data import TrainingData
from dfp_platform.models.presets import PRESETS, resolve
from dfp_platform.models.search_spaces import SPACES, Numbers, space_of, suggest
from dfp_platform.models.studies import Budget, Study, apps_of, judged_past, preset_file, study
from dfp_platform.models.training import train
from dfp_platform.models.weights import REFERENCE_WEIGHTS
from dfp_platform.reports.study_page import render_study, verdict
from tests.apps import tiny_table
from tests.configured import tiny

QUICK = {"training.epochs": 5, "model.max_depth": 3}


@pytest.fixture(scope="module")
def apps() -> TrainingData:
    return TrainingData.from_arrow(tiny_table())


@pytest.fixture(scope="module")
def trees(apps: TrainingData) -> Study:
    return studied(apps)


def studied(apps: TrainingData, *, trials: int = 12, chosen: dict | None = None, **options) -> Study:
    presets = options.pop("presets", ["xgboost"])
    return study(
        apps, presets, Budget(trials=trials, **options.pop("budget", {})), seed=7, chosen=chosen or QUICK, **options
    )


def with_arrays(apps: TrainingData, **arrays: object) -> TrainingData:
    return TrainingData(**{name: getattr(apps, name) for name in apps.__slots__} | arrays)


def test_a_second_study_gives_the_same_bytes(apps: TrainingData, trees: Study) -> None:
    assert studied(apps).to_json() == trees.to_json()
    assert Study.from_json(trees.to_json()) == trees


def test_a_study_that_was_killed_goes_on_as_if_it_had_not_been(
    apps: TrainingData, trees: Study, tmp_path: Path
) -> None:
    def killed(preset: str, done: int, best: float | None) -> None:
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        studied(apps, unfinished=tmp_path, told=killed)
    assert len(list(tmp_path.iterdir())) == 1
    told = []
    resumed = studied(apps, unfinished=tmp_path, told=lambda *said: told.append(said[1]))
    assert told == [12], "the eleven that were done are not done again"
    assert resumed.to_json() == trees.to_json()
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_is_of_no_use_to_other_apps_or_if_it_cannot_be_read(
    apps: TrainingData, tmp_path: Path
) -> None:
    def killed(preset: str, done: int, best: float | None) -> None:
        raise KeyboardInterrupt

    others = TrainingData.from_arrow(tiny_table(seed=2))
    with pytest.raises(KeyboardInterrupt):
        studied(others, unfinished=tmp_path, told=killed)
    told = []
    studied(apps, trials=1, unfinished=tmp_path, told=lambda *said: told.append(said[1]))
    assert told == [1]
    next(tmp_path.iterdir()).write_text("{")
    studied(others, trials=2, unfinished=tmp_path, told=lambda *said: told.append(said[1]))
    assert told == [1, 1, 2]


def test_the_future_is_not_looked_at_and_no_app_is_in_two_parts(apps: TrainingData, trees: Study) -> None:
    matrix, labels = apps.matrix.copy(), apps.labels.copy()
    matrix[apps.future], labels[apps.future] = 0, 1
    assert studied(with_arrays(apps, matrix=matrix, labels=labels)).to_json() == trees.to_json()
    judge = judged_past(apps)
    ranks = np.concatenate([part.time_rank for part in (judge.training, judge.calibration, judge.test)])
    assert np.array_equal(ranks, apps.time_rank[~apps.future])


def test_a_larger_budget_begins_with_the_same_trials(apps: TrainingData, trees: Study) -> None:
    assert studied(apps, trials=3).presets[0].trials == trees.presets[0].trials[:3]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("end", [0, -1])
def test_every_end_of_every_space_is_a_configuration(kind: str, end: int) -> None:
    preset = {"autoencoder": "ae_small"}.get(kind, kind)
    ends = {
        key: (values.low, values.high)[end] if isinstance(values, Numbers) else values[end]
        for key, values in SPACES[kind].items()
    }
    assert resolve({"model": preset, **ends}).model.kind == kind


def test_a_suggestion_follows_from_the_seed_and_what_was_tried() -> None:
    space = SPACES["detector"]
    tried: dict = {}
    for number in range(14):
        asked = suggest(space, tried, seed=3)
        assert asked == suggest(space, dict(tried), seed=3)
        assert asked != suggest(space, tried, seed=4)
        tried[number] = (asked, None if number == 5 else -abs(asked["model.latent"] - 20))
    assert {type(value) for value in tried[13][0].values()} == {str, int, float}


def test_a_key_that_a_person_has_chosen_is_not_searched(apps: TrainingData, trees: Study) -> None:
    told = Configuration.model_validate(trees.presets[0].configuration)
    assert (told.training.epochs, told.model.max_depth) == (5, 3)
    assert not set(QUICK) & set(trees.presets[0].trials[0].parameters)
    assert trees.chosen == QUICK


@pytest.mark.parametrize(
    ("preset", "choices", "said"),
    [
        ("xgboost", {"split": "hash"}, "decides split itself"),
        ("xgboost", {"training.seed": 3}, "decides training.seed itself"),
        ("xgboost", {"model.latent": 3}, "no key model.latent"),
        ("xgbost", {}, "did you mean model=xgboost"),
        ("xgboost", dict.fromkeys(SPACES["xgboost"], 1) | {"training.learning_rate": 0.1}, "every key"),
    ],
)
def test_a_study_that_cannot_be_is_refused_before_it_begins(preset: str, choices: dict, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said.replace(".", r"\.")) as refused:
        space_of(preset, choices)
    assert refused.value.hint


@pytest.mark.parametrize("label", [0, 1])
def test_apps_of_one_label_are_a_message(apps: TrainingData, label: int) -> None:
    with pytest.raises(CalibrationError, match="bear the same label"):
        studied(with_arrays(apps, labels=np.full_like(apps.labels, label)))


def test_a_judge_without_malware_and_a_table_without_a_past_are_messages(apps: TrainingData) -> None:
    labels = apps.labels.copy()
    labels[504:] = 0
    with pytest.raises(CalibrationError, match="judge a trial by"):
        studied(with_arrays(apps, labels=labels))
    with pytest.raises(InputError, match="no app of the past"):
        studied(apps.take(apps.future))


def test_too_few_apps_to_stop_by_are_a_message() -> None:
    with pytest.raises(CalibrationError, match="too few to calibrate"):
        studied(TrainingData.from_arrow(tiny_table(100)))


def test_without_optuna_a_person_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"dfp-platform\[tuning\]"):
        suggest(SPACES["xgboost"], {}, seed=1)


def test_a_trial_that_diverges_is_kept_with_its_reason(apps: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPACES, "detector", {"training.learning_rate": Numbers(1e30, 1e38, log=True)})
    chosen = {"training.epochs": 2, "training.accelerator": "cpu"}
    found = studied(apps, trials=2, presets=["detector"], chosen=chosen).presets[0]
    assert [(trial.value, "diverged" in trial.reason) for trial in found.trials] == [(None, True)] * 2
    assert (found.best, found.best_value) == (None, found.baseline)


def test_a_time_limit_ends_a_search_and_is_told(apps: TrainingData) -> None:
    found = studied(apps, trials=500, budget={"seconds": 0.01})
    assert found.presets[0].ended_by == "seconds"
    assert len(found.presets[0].trials) < 500
    assert b"the time limit" in page(found)


def test_the_best_is_the_first_of_the_highest_and_what_the_file_says(
    apps: TrainingData, trees: Study, tmp_path: Path
) -> None:
    best = trees.presets[0]
    values = [trial.value for trial in best.trials]
    assert best.best == values.index(max(values))
    assert best.best_value > best.baseline
    shutil.copytree(PRESETS, tmp_path / "presets")
    (tmp_path / "presets" / "model" / "mine.yaml").write_bytes(preset_file(trees, best))
    read = resolve({"model": "mine"}, folder=tmp_path / "presets")
    told = Configuration.model_validate(best.configuration)
    assert (read.model, read.training) == (told.model, told.training)


def test_names_of_features_choose_them(apps: TrainingData) -> None:
    assert set(apps_of(tiny_table(), {"data.features": "sys_*"}).features) < set(apps.features)


def page(found: Study) -> bytes:
    told = found.model_dump(mode="json")
    return render_study(told, {one.preset: preset_file(found, one).decode() for one in found.presets})


def ranked(trees: Study, *best: tuple[str, str, float]) -> Study:
    first = trees.presets[0]
    told = [first.model_copy(update={"preset": name, "kind": kind, "best_value": value}) for name, kind, value in best]
    return trees.model_copy(update={"presets": tuple(told), "winner": best[0][0]})


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (
            [("xgboost", "xgboost", 0.9), ("vae", "vae", 0.8)],
            "XGBoost won: xgboost with an average precision of 0.900",
        ),
        (
            [("vae", "vae", 0.9), ("xgboost", "xgboost", 0.8)],
            "vae won .*; XGBoost, tuned by the same budget, came to 0.800",
        ),
        ([("vae", "vae", 0.9), ("detector", "detector", 0.8)], "was not among them"),
        ([("vae", "vae", 0.9)], "was studied alone"),
    ],
)
def test_the_page_says_who_won(trees: Study, best: list, said: str) -> None:
    import re

    found = ranked(trees, *best)
    sentence = verdict(found.model_dump(mode="json"))
    assert re.search(said, sentence)
    assert sentence.encode() in page(found).replace(b"&#39;", b"'")


def test_the_page_stands_alone_and_says_what_is_generated(trees: Study) -> None:
    shown = page(trees.model_copy(update={"synthetic": True})).decode()
    assert shown.startswith("<!doctype html>")
    assert "Synthetic data" in shown
    assert "http" not in shown.replace("http://www.w3.org", "")
    assert page(trees) == page(trees)


def test_new_keys_of_trees_leave_their_weights_as_they_were(
    apps: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preset that does not name them is what it was before there were such keys."""
    now = train(apps, tiny("xgboost")).files[REFERENCE_WEIGHTS]
    before = ("objective", "tree_method", "eval_metric", "max_depth", "eta", "nthread", "seed")
    parameters = reference._parameters
    monkeypatch.setattr(reference, "_parameters", lambda *told: {name: parameters(*told)[name] for name in before})
    assert train(apps, tiny("xgboost")).files[REFERENCE_WEIGHTS] == now
    assert train(apps, tiny("xgboost", "model.reg_lambda=9")).files[REFERENCE_WEIGHTS] == now, "it was dropped above"
    monkeypatch.undo()
    assert train(apps, tiny("xgboost", "model.reg_lambda=9")).files[REFERENCE_WEIGHTS] != now


def test_trees_that_see_a_share_of_the_apps_are_trees_by_chance() -> None:
    assert [resolve({"model": name}).by_chance for name in ("xgboost", "xgboost_tuned", "vae")] == [False, True, True]
