"""The leaderboard: results of many models, in tables of rows that may be compared, ranked within each."""

from biglog.evaluation.leaderboard.collecting import Entry, collect, read_entry
from biglog.evaluation.leaderboard.markdown import render_markdown, write_markdown
from biglog.evaluation.leaderboard.picture import picture
from biglog.evaluation.leaderboard.ranking import Row, Table, tables

__all__ = [
    "Entry",
    "Row",
    "Table",
    "collect",
    "picture",
    "read_entry",
    "render_markdown",
    "tables",
    "write_markdown",
]
