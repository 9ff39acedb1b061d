"""Pretrains a BigLog model on raw logs.

One process: `python recipes/pretrain_mlm.py --config recipes/configs/pretrain/mini.yaml`. Several devices:
`torchrun --nproc_per_node 8 recipes/pretrain_mlm.py --config recipes/configs/pretrain/base.yaml`, or
`accelerate launch` with a file of recipes/configs/accelerate/, each of which shows its command. Every
argument of `PretrainArguments` is a flag, and so are the names that the published script uses.
"""

from __future__ import annotations

import os
import sys

from biglog.errors import BigLogError
from biglog.training.arguments import PretrainArguments
from biglog.training.pretrain import pretrain


def main(words: list[str]) -> int:
    """Runs the command line and returns its exit code."""
    try:
        record = pretrain(PretrainArguments.from_command_line(words))
    except BigLogError as error:
        print(f"pretrain_mlm: {error}", file=sys.stderr)
        return 2
    if int(os.environ.get("RANK", "0")):
        return 0  # of several processes the first one tells
    average, training = record["evaluation"]["average_over_domains"], record["training"]
    used = f"{training['tokens']:,} tokens, {training['cpu_seconds']:.0f} CPU s"
    print(f"{record['name']}: {training['steps']} steps, {used}")
    for name, score in average.items():
        print(
            f"held out, {name}: accuracy {score['accuracy']:.3f}, {score['bits_per_byte']:.3f} bits per byte"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
