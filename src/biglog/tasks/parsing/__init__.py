"""Log parsing: normal forms to events, and events to templates.

`rule` groups by a simple rule, at once and without anything learnt. `partition` groups as what was learnt on
other logs says (`columns` what it looks at, `judge` who says it), and `templates` writes what is constant and
what is not. `library` has templates that somebody wrote. All start from normal forms, so that a log of millions of lines is parsed form by form.
"""

from biglog.tasks.parsing.rule import WILDCARD, ZERO, Grouping, event_id, group_forms

__all__ = ["WILDCARD", "ZERO", "Grouping", "event_id", "group_forms"]
