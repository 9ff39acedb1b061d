"""Where real logs are: a few lines in the checkout, and the shared data if this machine has them."""

import os
from pathlib import Path

import pytest

LINES = Path(__file__).parent / "data" / "loghub"
# Absolute: tests change folders, and link to it.
DATA = Path(os.environ.get("BIGLOG_DATA") or Path(__file__).parents[2] / "shared" / "data").resolve()


def needs_data(test):
    """Mark a test as needing the shared data, and skip it where they are not."""
    missing = pytest.mark.skipif(not DATA.is_dir(), reason=f"no log data in {DATA} (set BIGLOG_DATA)")
    return pytest.mark.needs_data(missing(test))
