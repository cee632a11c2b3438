"""The words of the report."""

from __future__ import annotations

from collections.abc import Mapping

GLOSSARY: Mapping[str, str] = {
    "Score": "A model's number for one app; more is more suspicious. Scores of two models are not on one scale.",
    "Threshold": "The score above which an app raises an alarm, calibrated on later benign apps that no model was "
    "trained on.",
    "Alarm": "An app whose score is above the threshold.",
    "Recall, true positive rate": "Share of the malware that raises an alarm.",
    "False positive rate (FPR)": "Share of the benign apps that raise an alarm.",
    "Precision": "Share of the alarms that are malware. It depends on how much malware there is.",
    "ROC-AUC": "The chance that a malware app scores above a benign one: 0.5 is guessing, 1 is perfect.",
    "AP, average precision": "Precision averaged over the found malware; guessing gives the share of malware.",
    "F1": "Harmonic mean of precision and recall at the threshold.",
    "Recall at 1 % FPR": "Recall at the strictest threshold that lets 1 % of the benign apps of this test raise an "
    "alarm, read from the ROC curve. It may be better than recall at the calibrated threshold, which cannot know the "
    "test.",
    "95 % interval": "Where the figure falls in 95 % of resamples of the test apps. Small tests give wide intervals.",
    "Time-ordered test": "Apps newer than all that were trained on. Tests on shuffled years flatter.",
    "Unseen packages": "Test apps whose package name occurs nowhere in the past. The honest half of the test.",
    "Autoencoder": "A network trained on benign apps alone to copy them; what it copies badly is unusual. A weak "
    "detector here and a good sign of drift.",
    "XGBoost": "Decision trees trained with labels: the reference that a neural detector is judged against.",
    "p50, p90, p99": "Half, 90 % and 99 % of the queries took no longer than this.",
    "Parity": "How far an exported model's scores are from the original's, and whether any label flips.",
    "Verdict": "What a check said of one content. It holds for exactly those bytes and rows, in whatever run.",
    "Lake commit": "One id that names every table, model and file this page was made from.",
    "Synthetic": "Generated apps of the right shape. Good for trying the platform, meaningless about malware.",
}
