"""The published archives of the sixteen domains: what there is, where it lies, getting and checking it."""
