"""What tests expect of text."""

import polars as pl


def trimmed(text):
    """The text without Unicode's blanks at its end; Python counts U+001C to U+001F among them."""
    return pl.Series([text]).str.strip_chars_end()[0]
