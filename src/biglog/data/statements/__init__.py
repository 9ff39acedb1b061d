"""Log statements of source code: templates with a level and a component that nobody had to label."""

from biglog.data.statements.levels import LEVELS, normal_level
from biglog.data.statements.reading import read_statements

__all__ = ["LEVELS", "normal_level", "read_statements"]
