"""The words of the pages."""

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

OVER_TIME: Mapping[str, str] = {
    "AUT": "Area under time: the mean of a figure over the months of the test, each pair of neighbours averaged. A "
    "model that begins well and decays has a low one. (Pendlebury et al., TESSERACT, 2019)",
    "Seeds": "Trainings that differ by nothing but chance. A figure is their mean; an interval covers chance and the "
    "apps that happen to be in the test.",
    "10 % malware": "The figure as if one app of ten were malware, nearer to what an app store sees.",
    "No duplicates": "Test apps whose package and whose whole feature vector the training has not met, each once.",
    "Calibration curve": "How many apps of a score turn out to be malware. On the diagonal a score is a probability; "
    "the calibration error is the mean distance from it.",
    "Drift alarm": "Months whose apps are harder to reproduce than those of the past were. It needs no labels. Its "
    "lead is the time from the first true alarm to the month in which the model first fails.",
    "Rejection": "Apps in doubt are left to a person: those reproduced worst, or those nearest to the threshold.",
    "Label budget": "Each quarter the most doubtful apps are labelled and learnt; the curve tells what that buys.",
}
"""Words of judging models over time."""

ON_PHONES: Mapping[str, str] = {
    "Floor": "The bare matrix products of the same shapes, one row in float32, measured in the same turns. Whatever "
    "runs the network has to compute them; a ratio of 2 means that as much time again goes elsewhere.",
    "fp32, fp16, int8": "Bits of a weight. In int8 what flows between layers is scaled anew for each app, in "
    "int8_static by scales that were learnt from training apps.",
    "First answer": "The first query of a fresh process, after the load.",
    "Cold load": "From bytes in memory to ready, in a fresh process that has imported the runtime but loaded nothing.",
    "Memory": "The most a fresh process has in RAM while it loads and answers, above what it had before the load where "
    "that was measured apart.",
    "Disturbed": "Rounds of the measurement differ by more than a quarter, or the core was taken away too often. Such "
    "a row stays and is not recommended.",
}
"""Words of the page about artifacts for phones."""
