"""Compares our tokenizer with the authors' and bert-base-uncased's, on logs of the sixteen domains.

Example: python tokenizer_training/compare.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from biglog.data.run_facts import git_state, hardware, versions, write_json
from biglog.errors import BigLogError
from biglog.evaluation import tokenizers
from biglog.logs.domains import DOMAINS

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Runs the command line and returns its exit code."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    data = Path(os.environ.get("BIGLOG_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data, help="folder of the logs (default: BIGLOG_DATA)")
    parser.add_argument("--domains", help="compare on these only, separated by commas")
    parser.add_argument(
        "--vocabulary", type=Path, help="the authors' vocab.txt or tokenizer.json; none makes"
    )
    parser.add_argument("--vocab-size", type=int, default=8000, help="most tokens of ours")
    parser.add_argument("--rounds", type=int, default=5, help="how often speed is measured")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "tokenizers.json", help="result file")
    options = parser.parse_args()
    # Before the run: the code that is loaded now.
    record = {"hardware": hardware(), "versions": versions(), "code": git_state()}
    try:
        domains = options.domains.split(",") if options.domains else tuple(DOMAINS)
        bert = tokenizers.bert_vocabulary()
        given = options.vocabulary
        authors = tokenizers.read_vocabulary(given) if given else tokenizers.authors_vocabulary(bert)
        logs = tokenizers.read_domains(options.data, domains)
        result = tokenizers.compare(logs, authors, bert, vocab_size=options.vocab_size, rounds=options.rounds)
        origin = given.name if given else "bert-base-uncased's, five entries renamed"
        write_json(options.out, record | {"authors_vocabulary": origin} | result)
        print(tokenizers.tokenizers_table(result), f"-> {options.out}", sep="\n\n")
    except BigLogError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
