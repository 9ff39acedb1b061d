"""Words that say that something is wrong, and those that say that nothing is."""

from __future__ import annotations

from typing import Final

# Words that people write when something is wrong, by how wrong. `\b` keeps `terror` and `failover` out.
TROUBLE: Final = (
    (
        0.9,
        r"fatal|panic\w*|oops|segfaults?|segmentation fault|core dump\w*|out of memory"
        r"|oom-?kill\w*|emergency",
    ),
    (
        0.6,
        r"errors?|errno|err|fail(?:ed|s|ing|ures?)?|\w*exceptions?|traceback|denied|refused|unreachable|corrupt\w*"
        r"|crash(?:e[sd]|ing)?|abort\w*|unable|cannot|can't|could not|couldn't|invalid|illegal|lost"
        r"|time[ds]? ?-?out|timeout|killed|break-?in|rejected|fault\w*|unavailable|unrecoverable"
        r"|uncorrectable|dead",
    ),
    (
        0.3,
        r"warn\w*|retry\w*|retries|deprecated|not found|missing|unexpected\w*|mismatch\w*|unknown"
        r"|degraded|reset",
    ),
)
# "0 errors", "no error", "without failure" and "errors: 0" say that nothing is wrong.
DENIED: Final = (
    r"(?i)\b(?:no|0|without|zero) +(?:\w+ +)?(?:errors?|failures?|exceptions?|faults?)\b"
    r"|\b(?:errors?|fail(?:ed|ures?))[=:] ?0\b"
)
