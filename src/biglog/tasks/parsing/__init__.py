"""Log parsing: normal forms to events, and events to templates and parameters.

A log's lines are counted by normal form (`forms`). `partition` groups forms to events as what was learnt on
other logs says (`columns` what it looks at, `learning` how it is learnt, `trees` what it is kept in, `head`
on disk, `schooling` from which logs); `writing` says what is constant of them, and `merging` which are one
after all. `library` and `rules` have what a user knows, which goes before. `stream` puts it together for a
log that comes in, whole or in parts (`placing` what is new, `state` keeps it), and `extraction` takes the
values out of its lines.

`rule` groups by a simple rule, without anything learnt.
"""

from biglog.tasks.parsing.rule import Grouping, group_forms
from biglog.tasks.parsing.template import WILDCARD, event_id

__all__ = ["WILDCARD", "Grouping", "event_id", "group_forms"]
