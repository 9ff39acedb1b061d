"""Failure prediction on real logs: before failures in time, from the beginning of a log, and from counts."""
