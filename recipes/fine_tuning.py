"""Adapts an encoder to a task or a domain.

One process: `python recipes/fine_tuning.py --config recipes/configs/adapt/smoke.yaml`. Two devices:
`torchrun --nproc_per_node 2 recipes/fine_tuning.py --config recipes/configs/adapt/paper.yaml`. Every argument
of `AdaptArguments` is a flag; `biglog adapt` does the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from biglog.adapt_cli import told
from biglog.errors import BigLogError
from biglog.training.adapt import AdaptArguments, adapt


def main(words: list[str]) -> int:
    """Runs the command line and returns its exit code."""
    try:
        arguments = AdaptArguments.from_command_line(words)
        record = adapt(arguments)
    except BigLogError as error:
        print(f"fine_tuning: {error}", file=sys.stderr)
        return 2
    if os.environ.get("RANK", "0") == "0":
        print("\n".join(told(record, Path(arguments.output_path))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
