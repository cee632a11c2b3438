"""reports/model_cards: what a person has to know of each model before using it."""

import json
from collections.abc import Mapping

import dagster as dg

from dfp_platform.assets.choices import every_choice
from dfp_platform.assets.plots import card_plot
from dfp_platform.ingest import origin
from dfp_platform.resources.lake import LakeResource
from dfp_platform.serving.versions import trained_models


@dg.asset(
    key=["reports", "model_cards"],
    ins={"evaluation": dg.AssetIn(["models", "evaluation"])},
    deps=[["models", name] for name in every_choice()],
    io_manager_key="report",
    group_name="reports",
    code_version="1",
    kinds={"html"},
)
def model_cards(
    context: dg.AssetExecutionContext, lake: LakeResource, evaluation: Mapping[str, bytes]
) -> Mapping[str, bytes]:
    """One card a model that stands on the branch, as a page and as Markdown: data, scores over time, limits, uses."""
    from dfp_platform.reports.model_card import CardInputs, index, model_card

    report = json.loads(evaluation["report.json"])
    judged = {one["model"]: (one, test) for test in report["devices"] for one in test["models"]}
    cards = {}
    for name in trained_models(lake.store, lake.ref):
        card = json.loads(lake.files(f"models/{name}")["card.json"])
        told = origin(lake.store, lake.ref, f"kronodroid_{card['device']}")
        one, test = judged.get(name, (None, None))
        cards[name] = CardInputs(
            card=card,
            content=lake.content(f"models/{name}"),
            source=told.note or told.source,
            judged=one,
            test=test,
            reason=report["left_out"].get(name, ""),
        )
    context.add_output_metadata(card_plot({name: told.judged for name, told in sorted(cards.items())}))
    context.add_output_metadata(
        {"models": len(cards), "judged": sum(told.judged is not None for told in cards.values())}
    )
    files = {f"{name}.{kind}": page for name, told in sorted(cards.items()) for kind, page in model_card(told).items()}
    return {"report.json": json.dumps(index(cards), indent=1, sort_keys=True).encode(), **files}


assets = [model_cards]
checks: list[dg.AssetChecksDefinition] = []
