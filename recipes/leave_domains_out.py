"""Pretrains one model for each fold of domains that it leaves out, and each seed: what published scores need.

Example: python recipes/leave_domains_out.py --seeds 0,1,2 --config recipes/configs/pretrain/mini.yaml \\
    --output_path runs/folds

Flags but `--seeds` and `--folds` are those of pretrain_mlm.py. A run that is finished is not run again, one
that was interrupted goes on; several of these commands may work on one folder, with different seeds.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

from biglog.errors import BigLogError, InputError
from biglog.training.arguments import PretrainArguments
from biglog.training.folds import fold_runs
from biglog.training.pretrain import pretrain


def main(words: list[str]) -> int:
    """Runs the command line and returns its exit code."""
    if not words or "--help" in words:
        print(__doc__)
        return 0
    try:
        seeds, folds = _numbers(words, "--seeds", [0]), _numbers(words, "--folds", [4])[0]
        for name, arguments in fold_runs(PretrainArguments.from_command_line(words), seeds, folds):
            folder = Path(arguments.output_path)
            if not (folder / "record.json").is_file():
                print(f"{name}: leaves out {', '.join(arguments.leave_out)}", file=sys.stderr, flush=True)
                pretrain(dataclasses.replace(arguments, resume=any(folder.glob("checkpoint-*"))))
    except BigLogError as error:
        print(f"leave_domains_out: {error}", file=sys.stderr)
        return 2
    return 0


def _numbers(words: list[str], flag: str, default: list[int]) -> list[int]:
    """Takes a list of numbers out of the command line."""
    if flag not in words:
        return default
    at = words.index(flag)
    given = words[at + 1 : at + 2]
    del words[at : at + 2]
    try:
        return [int(number) for number in given[0].split(",")]
    except (IndexError, ValueError):
        raise InputError(f"{flag} wants numbers", remedy=f"Write {flag} 0,1,2") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
