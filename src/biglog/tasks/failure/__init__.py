"""Failure prediction: what was seen up to now, to the risk that something fails within a horizon."""
