"""Networks, training, calibration and evaluation over time: tensors and records, never storage.

Importing this room is cheap: torch, Lightning, XGBoost and MLflow are imported by the functions that need them, or by
the modules `networks`, `lightning_data` and `lightning_training`, which nothing here imports at load.
"""
