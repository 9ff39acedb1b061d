"""The page on pretraining the base model on many accelerators: how to start it, and what it takes."""

from __future__ import annotations

from typing import Final

from biglog.evaluation.figures.markdown import Result, origin, table

_GB: Final = 1e9
_PAGE: Final = """# Pretraining on many devices

Written by `make docs` from what `benchmarks/scaling.py` measured and reckoned.

## How to start it

One machine of eight devices, the model whole on each (DDP), by either launcher:

```console
$ torchrun --nproc_per_node 8 recipes/pretrain_mlm.py --config recipes/configs/pretrain/base.yaml \\
    --data_root LOGS --train_data "HDFS=hdfs/*.log.gz,BGL=bgl/*.log.gz"
$ accelerate launch --config_file recipes/configs/accelerate/ddp.yaml recipes/pretrain_mlm.py \\
    --config recipes/configs/pretrain/base.yaml \\
    --data_root LOGS --train_data "HDFS=hdfs/*.log.gz,BGL=bgl/*.log.gz"
```

Sharded over the devices (FSDP2): `base_fsdp.yaml` by torchrun, or `accelerate/fsdp.yaml`. Several machines:
the same command on each, as `accelerate/ddp_multi_node.yaml` shows. Two processes without an accelerator, to
try it out: `accelerate/cpu.yaml`. A run that is killed goes on from its last checkpoint with `--resume`; with
512 rows a step kept constant (`batch_size` x `gradient_accumulation_steps` x devices) it is the same run on
any of them.

Before it starts: `biglog pretrain --config ... --plan` counts the corpus, proves what is kept from training,
and says how many steps there are. Logs of that size are counted once, by `biglog datasets deduplicate`, on as
many machines as there are (`--ray`); every process then reads distinct normal forms alone."""


def scaling_page(result: Result) -> str:
    """Returns the page as Markdown.

    Args:
        result: What `benchmarks/scaling.py` wrote.
    """
    parts = [
        *(_PAGE, "## The model", _model(result), "## How much there is to train on", _corpus(result)),
        *("## What it takes", _plans(result), origin("scaling.json", result)),
    ]
    return "\n\n".join(parts) + "\n"


def _model(result: Result) -> str:
    sizes, measured = result["parameters"], result["measured"]
    total = sum(sizes.values())
    whole = result["plans"][0]["ddp_bytes"]
    parts = ", ".join(f"{count / 1e6:.1f} million {name}" for name, count in sizes.items())
    return (
        f"The paper's size has {total / 1e6:.1f} million parameters ({parts}), and takes "
        f"{result['flops_per_token'] / 1e9:.2f} billion operations a token to train (Chowdhery et al., PaLM, "
        "appendix B). Weights, gradients and Adam's state in mixed precision are "
        f"{whole / _GB:.2f} GB a device (Rajbhandari et al., ZeRO): it fits whole on any device of the "
        "table, so that sharding buys nothing at this size, and DDP is the way to go.\n\n"
        f"Measured on `{result['device']}`, {measured['rows']} rows of {measured['length']} tokens a step: "
        f"{measured['tokens_per_second']:,.0f} tokens a second, {measured['flops_per_second'] / 1e9:,.0f} "
        f"billion operations a second, peak memory of the process {measured['peak_bytes'] / _GB:.1f} GB. "
        + _how_known(result)
    )


def _how_known(result: Result) -> str:
    if result["device"] != "cpu":
        return "The table's share of the peak can be held against that."
    return (
        "No accelerator was at hand: the shares of a device's peak in the table are **assumed**, and "
        "`python benchmarks/scaling.py --device cuda` measures them on yours."
    )


def _corpus(result: Result) -> str:
    corpus = result["corpus"]
    return (
        f"The paper's corpus is {result['paper_lines'] / 1e6:,.0f} million lines. A line has "
        f"{corpus['tokens_per_line']:.1f} tokens (mean of the samples of 16 domains). By how the distinct "
        f"normal forms of {len(corpus['growth'])} domains at hand grew (Heaps' law on the halves of each "
        "log), so many lines, an equal part of each domain, hold about "
        f"{result['forms_of_paper_lines'] / 1e6:,.0f} million distinct forms; nearly all of them come from "
        "the few domains that never stop making new ones, and the estimate is no better than that."
    )


def _plans(result: Result) -> str:
    devices = {one["name"]: one for one in result["devices"]}
    shares = sorted({row["utilisation"] for row in result["plans"]})
    rows = []
    for row in result["plans"]:
        if row["utilisation"] != shares[len(shares) // 2] or row["devices"] == 1:
            continue
        alike = [
            other
            for other in result["plans"]
            if all(other[name] == row[name] for name in ("amount", "device", "devices"))
        ]
        hours = [one["hours"] for one in alike]
        dollars = [one["dollars"] for one in alike]
        rows.append(
            [
                row["amount"],
                f"{row['devices']} x {row['device']}",
                f"{row['tokens'] / 1e9:.1f}",
                f"{_duration(min(hours))} to {_duration(max(hours))}",
                f"{min(dollars):,.0f} to {max(dollars):,.0f}",
                f"{row['fsdp_bytes'] / _GB:.2f}",
            ]
        )
    head = ["what is trained on", "devices", "billion tokens", "time", "US dollars", "GB of state, sharded"]
    prices = ", ".join(f"{name} {one['dollars_per_hour']:g}" for name, one in devices.items())
    sources = "; ".join(
        f"{one['peak_flops'] / 1e12:.0f} TFLOP/s ({one['source']})" for one in devices.values()
    )
    told = (
        f"At {shares[0]:.0%} to {shares[-1]:.0%} of the peak ({sources}), at an assumed price in dollars an "
        f"hour ({prices}). Reading, evaluation and checkpoints come on top, and so does the network between "
        "machines: gradients of 16 bits a step, twice the weights on the wire."
    )
    return told + "\n\n" + table(head, rows, texts=2)


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
