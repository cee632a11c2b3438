"""What a model card says in words: what each kind of model is, what it is for, what it is not for, where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindWords:
    """Sentences about one kind of model."""

    what: str
    intended: tuple[str, ...]
    not_intended: tuple[str, ...]
    limits: tuple[str, ...]


INTENDED = (
    "Research on how detectors of Android malware keep over time, on apps watched as KronoDroid watches them.",
    "Comparing models on the same apps, and trying this platform.",
)

NOT_INTENDED = (
    "Deciding alone about an app: removing it, blocking it or accusing who made it. A person has to look.",
    "Apps of another device, or watched by other means: counts of system calls differ, and scores mean nothing then.",
    "Protecting anyone today: the apps end in 2020 at the latest, and malware has changed since.",
)

LIMITS = (
    "Labels are those of KronoDroid, made from what scanners said; some are wrong: there are benign apps "
    "that name a malware family.",
    "System calls were counted while an app ran for a short time. Malware that waits, or notices that it is watched, "
    "looks benign.",
    "Nobody has tried to deceive the model. An attacker who adds permissions or calls may succeed.",
    "The threshold was set on the past. The share of benign apps that raise an alarm drifts; compare it with what was "
    "wanted, above.",
)

_BENIGN_ONLY = (
    "It has never seen malware. What it finds is unusual, and unusual apps are often harmless.",
    "A weak detector: on the 1,622 real apps (decision 0006) the plain autoencoder found 12 % of the malware at its "
    "threshold, and one of 77 apps of the family MobiDash.",
    "Its threshold drifts within months: on those apps three times as many benign apps raised an alarm as were wanted.",
    "Its score is no measure of doubt: leaving the scores nearest to the threshold to a person made it worse there.",
)

_DRIFT = (
    "A drift signal that needs no labels: apps of a month that it reproduces badly are unlike those it was trained on.",
)

_NO_DETECTOR = ("Finding malware where something better is there: XGBoost and the detector find far more.",)

KINDS: Mapping[str, KindWords] = {
    "autoencoder": KindWords(
        what="An autoencoder: a network that has learnt to reproduce benign apps. What it reproduces badly is unusual.",
        intended=_DRIFT,
        not_intended=_NO_DETECTOR,
        limits=_BENIGN_ONLY,
    ),
    "vae": KindWords(
        what="A variational autoencoder: a network that has learnt to reproduce benign apps from a distribution of "
        "codes. It scores by the mean code, so that a score is the same every time.",
        intended=_DRIFT,
        not_intended=_NO_DETECTOR,
        limits=_BENIGN_ONLY,
    ),
    "detector": KindWords(
        what="A detector for phones: a small network that has seen labels. Its score is a probability of malware, and "
        "its reconstruction error tells how far an app is from those of the training.",
        intended=("A first opinion on the phone itself, and a drift signal beside it, in one small file.",),
        not_intended=("Replacing the reference where trees can run: XGBoost is the bar it is judged against.",),
        limits=(
            "It knows the malware of its training. Families that came later are found only as far as they are "
            "alike; see the families above.",
            "A probability is learnt on the training's share of malware. Where malware is rarer it promises too much.",
        ),
    ),
    "xgboost": KindWords(
        what="Gradient-boosted trees that have seen labels: the reference that every network is judged against.",
        intended=("The bar for networks, and the better detector where a server can score.",),
        not_intended=("Phones: there is no export. Watching for drift: trees have no reconstruction error.",),
        limits=(
            "It knows the malware of its training. Families that came later are found only as far as they are "
            "alike; see the families above.",
            "Trees do not extrapolate: values beyond those of the training count as the largest they have seen.",
        ),
    ),
}
"""By kind of model, as `models.configs.MODELS`."""
