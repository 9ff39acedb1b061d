"""Lay built tables out as a dataset repository, or publish them to a Hub (HF_ENDPOINT, HF_TOKEN).

python datasets_scripts/publish.py ./tables --out ./repository
python datasets_scripts/publish.py ./tables --repo owner/loghub --dry-run
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biglog.dataset_repository import assemble_datasets, publish_datasets
from biglog.errors import BigLogError

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, help="what `biglog datasets build` wrote")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, help="folder to write the repository to")
    target.add_argument("--repo", help="owner/name of the dataset to publish")
    parser.add_argument("--private", action="store_true", help="create the repository as a private one")
    parser.add_argument("--revision", help="branch to write; default main")
    parser.add_argument("--dry-run", action="store_true", help="check and list everything, send nothing")
    arguments = parser.parse_args()
    try:
        if arguments.out is not None:
            print(f"written: {assemble_datasets(arguments.tables, arguments.out)}")
        else:
            result = publish_datasets(
                arguments.tables,
                arguments.repo,
                private=arguments.private,
                revision=arguments.revision,
                dry_run=arguments.dry_run,
            )
            state = "would be sent to" if result.dry_run else "are at" if result.changed else "were at"
            print(f"{len(result.files)} files {state} {result.url}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
