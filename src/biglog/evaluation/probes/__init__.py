"""Probes of frozen line embeddings: what an encoder knows before anything is trained on it."""
