"""Model cards: the page and the Markdown say the same, honestly, of every kind of model, and stand alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pytest

from dfp_platform.models.configs import MODELS
from dfp_platform.models.evaluation import evaluate
from dfp_platform.models.parts import parts
from dfp_platform.models.training import train
from dfp_platform.models.weights import load_model
from dfp_platform.reports.card_words import KINDS
from dfp_platform.reports.model_card import CardInputs, index, model_card
from tests.apps import tiny_table
from tests.configured import tiny

PRESETS = ("ae_small", "detector", "xgboost")


@pytest.fixture(scope="module")
def cards() -> dict[str, CardInputs]:
    found, table = {}, tiny_table()
    for preset in PRESETS:
        told = tiny(preset, "training.epochs=2")
        apps = parts(table, told.data, told.split)
        model = load_model(train(apps, told, progress=False).files)
        test = json.loads(evaluate({preset: [model]}, apps, seed=7, resamples=10).to_json())
        card = json.loads(model.card.to_json())
        found[preset] = CardInputs(card, "ab12cd", "1,200 made rows", judged=test["models"][0], test=test)
    return found


def words(page: bytes) -> str:
    """What a person reads of a page, between its tags."""
    text = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", page.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


def plain(text: str) -> str:
    """Without brackets, in which the Markdown puts what stands beneath a figure on the page."""
    return " ".join(re.sub(r"[()]", " ", text.replace("\xa0", " ")).split())


def test_every_kind_of_model_has_its_words() -> None:
    assert set(KINDS) == set(MODELS)
    assert all(told.intended and told.not_intended and told.limits for told in KINDS.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_the_page_and_the_markdown_have_the_same_chapters_sentences_and_figures(
    cards: dict[str, CardInputs], preset: str
) -> None:
    made = model_card(cards[preset])
    page, text = plain(words(made["html"])), made["md"].decode()
    for line in text.splitlines():
        if line.startswith("|---") or not line or line == "```sh" or line == "```":
            continue
        for cell in line.strip("| ").split(" | "):
            assert plain(re.sub(r"^(#+|-) ", "", cell)) in page, cell
    assert len(re.findall("^## ", text, re.MULTILINE)) == made["html"].count(b"<h2>")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_card_says_what_it_was_told_how_it_scores_and_how_to_make_it_again(
    cards: dict[str, CardInputs], preset: str
) -> None:
    inputs = cards[preset]
    text = model_card(inputs)["md"].decode()
    name, scores = inputs.card["name"], inputs.judged["overall"]
    assert text.startswith(f"# Model card: {name}\n")
    assert f"| all | 360 | {scores['malware']} | {scores['average_precision']:.3f} (" in text
    assert f"above {inputs.card['threshold']:.6g} raises an alarm" in text
    for part in ("| 2019-04 |", "| Malap |", f"\ndfp replay {name}\n", f"model-{name}-v<n>-data"):
        assert part in text
    assert all(limit in text for limit in KINDS[inputs.card["kind"]].limits)
    assert ("## Drift alarm" in text) == (preset != "xgboost")
    assert ("The score claims to be a probability" in text) == (preset != "ae_small")


def test_equal_models_are_equal_bytes_and_a_page_needs_nothing_beside_it(cards: dict[str, CardInputs]) -> None:
    made = model_card(cards["detector"])
    assert made == model_card(cards["detector"])
    page = made["html"].decode()
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_generated_apps_cannot_be_overlooked(cards: dict[str, CardInputs]) -> None:
    inputs = cards["xgboost"]
    made = model_card(replace(inputs, card={**inputs.card, "synthetic": True}))
    assert b'role="alert"' in made["html"]
    assert b"**Synthetic data.**" in made["md"]
    assert "no figure here says anything about real malware" in made["md"].decode()
    assert b"Synthetic" not in model_card(inputs)["html"] + model_card(inputs)["md"]


def test_a_model_that_was_not_judged_says_why_and_gives_no_score(cards: dict[str, CardInputs]) -> None:
    made = model_card(replace(cards["xgboost"], judged=None, test=None, reason="it has seen apps until 2019-09-01"))
    text = made["md"].decode()
    assert "It was not judged. It has seen apps until 2019-09-01" in text
    assert "average precision is" not in text
    assert index({"xgboost": replace(cards["xgboost"], judged=None)})[0]["judged"] is False


def test_a_family_with_odd_letters_breaks_neither_page_nor_table(cards: dict[str, CardInputs]) -> None:
    inputs = cards["xgboost"]
    odd = {"family": "a|b<i>\nc", "apps": 2, "found": 1, "recall": 0.5, "recall_of_seeds": 0.5}
    made = model_card(replace(inputs, judged={**inputs.judged, "families": [odd] * 22}))
    assert b"a|b&lt;i&gt;" in made["html"]
    assert "| a\\|b<i> c | 2 | 1 |" in made["md"].decode()
    assert "| 2 smaller ones | 4 | 2 |" in made["md"].decode()
