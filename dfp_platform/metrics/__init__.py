"""What Prometheus is told of the lake, its models and Dagster: read when it asks, as runs do not live to be asked.

`exporter.py` puts the page together of its parts and lets none of them take too long; `publications.py`, `models.py`
and `orchestration.py` are the parts. Servers tell of themselves: `serving/metrics.py`, `catalog/rest/metrics.py`.
"""
