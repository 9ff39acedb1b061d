"""Runs a study, writes results/study_NAME.json and draws docs/studies/NAME.svg; `all` draws what is there.

Example: python recipes/studies.py transfer --models runs/last --seeds 0 1 2

Encoders are those of `recipes/leave_domains_out.py`. `biglog study` is the same command.
"""

import sys

from biglog.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["study"]
    main()
