"""Anomaly detection on labelled logs: every method beside the trivial rules, protocols named."""
