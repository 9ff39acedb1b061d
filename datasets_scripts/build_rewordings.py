"""Write templates in other words, as they would be after a change of the program: a test of robustness.

python datasets_scripts/build_rewordings.py HDFS_2k.log_templates.csv --share 0.3 --seed 1 --out reworded.csv
python datasets_scripts/build_rewordings.py HDFS.log --out reworded.jsonl       normal forms of contents

The first writes rows such as `PacketResponder <*> terminating,PacketResponder <*> ending` under the header
form,reworded: 30 % of the distinct templates, whichever these are for seed 1; what a smaller share has of
them, a larger one has too. A CSV has its forms in a column normal_form, template, EventTemplate, content or
Content; any other file is text, a content a line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from biglog.data.kept_files import write_whole
from biglog.data.rewording import reword_share
from biglog.data.statements import read_forms
from biglog.errors import BigLogError

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("forms", type=Path, help=".csv, .parquet or text with templates")
    parser.add_argument("--out", type=Path, required=True, help=".csv file, or .jsonl")
    parser.add_argument("--share", type=float, default=1.0, help="share of the forms to reword; default all")
    parser.add_argument("--seed", type=int, default=0, help="which of them, and how")
    arguments = parser.parse_args()
    try:
        forms = read_forms(arguments.forms).to_list()
        reworded = reword_share(forms, arguments.share, arguments.seed)
        schema = {"form": pl.String, "reworded": pl.String}
        table = pl.DataFrame(sorted(reworded.items()), schema=schema, orient="row")
        write = table.write_ndjson if arguments.out.suffix == ".jsonl" else table.write_csv
        write_whole(arguments.out, write)
        print(f"{len(table)} of {len(forms)} forms in {arguments.out}")
    except BigLogError as error:
        parser.exit(2, f"biglog: {error}\n")
