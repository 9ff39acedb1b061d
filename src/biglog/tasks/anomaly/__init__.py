"""Anomaly detection: groups of lines to scores, thresholds and reasons."""
