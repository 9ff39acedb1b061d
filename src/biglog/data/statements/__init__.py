"""Log statements of source code: templates with a level and a component that nobody had to label."""

from biglog.data.statements.build import StatementsReport, build_statements, read_forms
from biglog.data.statements.levels import LEVELS, normal_level
from biglog.data.statements.near import NearReport, drop_near
from biglog.data.statements.near_kept import drop_near_once
from biglog.data.statements.reading import checksums, read_statements
from biglog.data.statements.splits import split_of_project, split_statements

__all__ = [
    "LEVELS",
    "NearReport",
    "StatementsReport",
    "build_statements",
    "checksums",
    "drop_near",
    "drop_near_once",
    "normal_level",
    "read_forms",
    "read_statements",
    "split_of_project",
    "split_statements",
]
