"""Figures of the README and of docs/figures.md, from the results that commands wrote."""
