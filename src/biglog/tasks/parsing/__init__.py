"""Log parsing: normal forms to events, and events to templates.

`rule` groups by a simple rule, at once and without anything learnt. `partition` groups as what was learnt on
other logs says (`columns` what it looks at, `learning` how it is learnt), and `templates` writes what is
constant and what is not: both go form by form, however many lines a log has. `library` has templates that
somebody wrote.
"""

from biglog.tasks.parsing.rule import ZERO, Grouping, group_forms
from biglog.tasks.parsing.template import WILDCARD, event_id

__all__ = ["WILDCARD", "ZERO", "Grouping", "event_id", "group_forms"]
