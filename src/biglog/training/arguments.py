"""What a pretraining run is told: one dataclass, which is the YAML file, the command line and the library
call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from biglog.data.collators import MASKINGS
from biglog.errors import InputError
from biglog.training.given import RunArguments, coerced

ALIASES = {
    "num_of_proc": "loader_workers",
    "train_data_path": "train_data",
    "eval_data_path": "eval_data",
    "tokenizer_data_path": "tokenizer",
    "epoch": "epochs",
    "warm_up_ratio": "warmup_ratio",
    "gradient_acc": "gradient_accumulation_steps",
}
"""Names that the published pretraining script uses, where ours differ."""

FREE_ON_RESUME = frozenset(
    {"output_path", "record_path", "resume", "save_steps", "save_total_limit", "logging_steps", "eval_steps"}
    | {"loader_workers", "report_to", "threads", "data_root", "use_cpu", "corpus_cache", "teacher_cache"}
)
"""Arguments that may change when a run is resumed: none of them changes what is learnt."""


@dataclass(frozen=True)
class PretrainArguments(RunArguments):
    """Everything that decides a pretraining run.

    Attributes:
        name: Name of the checkpoint.
        output_path: Folder of the run: its checkpoints, ``record.json`` and, in a folder called ``name``, the
            result.
        record_path: Where the run's record is also written, if anywhere.
        resume: Go on from the last complete checkpoint in ``output_path``.
        data_root: Folder that sources and exclusions are relative to.
        train_data: Sources, ``[DOMAIN=]PATTERN[:SPLIT][#FIRST-[LAST]]``: logs, ``.parquet`` files or folders
            of tables of lines, and ``[DOMAIN=]hub:REPOSITORY:CONFIG:SPLIT`` for datasets.
        eval_data: Sources to evaluate on besides the held-out lines; they are excluded from training too.
        exclude: Evaluation splits whose normal forms must not be trained on,
            ``[NAME=]PATTERN[:SPLIT][#FIRST-[LAST]]``, or names: ``loghub-2k`` (all samples of 2,000 lines),
            ``loghub-2k:BGL``, ``validation`` and ``test`` (of all tables among the sources), ``BGL:test``.
        leave_out: Domains that are not trained on, nor any normal form that occurs in their lines; they are
            evaluated on apart.
        corpus_cache: Folder that keeps the counted normal forms of each file for other runs, and which
            statements are near to those of left-out domains; none keeps none.
        held_out_share: Share of each domain's distinct normal forms that is kept for evaluation.
        eval_lines: Most lines of a domain to evaluate on.
        tokenizer: Folder of a trained tokenizer; none trains one on the training lines.
        vocab_size: Most tokens of a vocabulary that is trained.
        min_frequency: Least count of a pair of pieces to be merged into a token.
        lowercase: Whether a tokenizer that is trained folds case.
        initial_checkpoint: BERT-like checkpoint to start from (its sizes then hold); none starts at random.
        swap_vocabulary: Give ``initial_checkpoint`` the vocabulary of ``tokenizer``, or of one that is
            trained; tokens of both keep their embeddings, others get the mean of their former pieces'.
        hidden_size: Width.
        num_hidden_layers: Layers.
        num_attention_heads: Attention heads.
        intermediate_size: Width of the feed-forward layers.
        max_position_embeddings: Most tokens of a line; longer lines are cut into windows.
        dropout: Of hidden states and attention.
        mlm_probability: Share of the tokens to predict.
        masking: What is hidden at a time: ``pieces``, ``words`` or ``terms`` (words, identifiers, values).
        line_order_weight: How many hidden tokens the order of a window of lines counts for; 0 learns none.
        window_lines: Lines of a window, an even number; half of the windows have their halves swapped.
        window_share: Share of the rows that hold windows of consecutive lines; their tokens are hidden, too.
        window_data: Logs in their order, as ``train_data``, for windows; none takes ``train_data``.
        statements: Tables of log statements of source code (see ``biglog datasets statements``), relative to
            ``data_root``, or to the working folder where they are not there; they are training lines, and
            pairs are drawn from them.
        event_labels: Domains whose ground truth of log parsing says which training lines are one event;
            ``all`` takes those that are trained on.
        event_groups: Draw pairs also from the training lines that a simple rule groups to events.
        event_share: Share of a batch of pairs that comes from logs, the rest from statements.
        identity_weight: Of the contrast between events in the loss; 0 leaves it out.
        identity_pairs: Pairs of lines in a batch.
        identity_temperature: Of the contrast.
        identity_twins: How likely a statement brings one that differs in a constant word.
        severity_weight: Of the severity of log statements in the loss; 0 leaves it out.
        teacher: General text encoder to learn from: a checkpoint's folder or Hub id, or
            ``package:NAME/FOLDER`` for one that a Python package carries. Nothing of it is in the result.
        teacher_weight: Of its line embeddings in the loss; 0 leaves them out.
        teacher_texts: Parquet file of technical English (see ``datasets_scripts/build_prose.py``), relative
            to the working folder; the teacher's embeddings of it are learnt too.
        teacher_lines: Texts of it in a batch of pairs.
        teacher_start: Token embeddings start as the teacher's of each token, reduced to our width.
        teacher_cache: Folder that keeps what the teacher said for other runs; none keeps nothing.
        tokens_until: Share of the steps after which masked tokens are the token head's alone to learn, and
            the encoder learns from pairs only; 1 for never. Where there is another objective.
        warm_start_steps: Steps on pairs by the token embeddings alone, before training; 0 for none.
        warm_start_pairs: Pairs of a batch of these.
        tokens_weight: Of masked tokens and line order in the loss, where there is another objective.
        temperature: Domains are drawn in proportion to their distinct normal forms to this power.
        count_power: Within a domain, forms are drawn in proportion to their count to this power.
        row_length: Tokens of a packed row; 0 puts one line in each row.
        batch_size: Rows per device and step.
        gradient_accumulation_steps: Batches per optimizer step.
        max_steps: Optimizer steps; 0 derives them from ``epochs``.
        epochs: Passes over as many tokens as the training lines hold, if ``max_steps`` is 0.
        learning_rate: Peak of the schedule.
        lr_scheduler: ``linear``, ``cosine`` or any other of the library's.
        warmup_ratio: Share of the steps during which the learning rate rises.
        weight_decay: Of AdamW.
        adam_beta2: Of AdamW.
        max_grad_norm: Gradients are clipped to this norm.
        bf16: Mixed precision in bfloat16.
        fp16: Mixed precision in float16.
        gradient_checkpointing: Recompute activations, to save memory.
        fsdp: Sharding strategy of the Trainer, for instance ``full_shard auto_wrap``; none for plain data
            parallelism.
        seed: Of weights, rows and masks.
        threads: CPU threads of torch; 0 leaves them alone.
        use_cpu: Stay off accelerators.
        loader_workers: Processes that prepare batches; 0 prepares them in the training process.
        logging_steps: Steps between two points of the loss curve.
        eval_steps: Steps between two evaluations; 0 evaluates at the end only.
        save_steps: Steps between two checkpoints.
        save_total_limit: Checkpoints kept.
        report_to: Trackers, for instance ``tensorboard``; ``none`` for none.
    """

    aliases: ClassVar[Mapping[str, str]] = ALIASES

    name: str = "biglog"
    output_path: str = "runs/pretrain"
    record_path: str | None = None
    resume: bool = False
    data_root: str = "."
    train_data: tuple[str, ...] = ()
    eval_data: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    corpus_cache: str | None = None
    held_out_share: float = 0.1
    eval_lines: int = 200
    tokenizer: str | None = None
    vocab_size: int = 8000
    min_frequency: int = 2
    lowercase: bool = True
    initial_checkpoint: str | None = None
    swap_vocabulary: bool = False
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 150
    dropout: float = 0.1
    mlm_probability: float = 0.15
    masking: str = "pieces"
    line_order_weight: float = 0.0
    window_lines: int = 2
    window_share: float = 0.5
    window_data: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    event_labels: tuple[str, ...] = ()
    event_groups: bool = False
    event_share: float = 0.5
    identity_weight: float = 0.0
    identity_pairs: int = 32
    identity_temperature: float = 0.1
    identity_twins: float = 0.2
    severity_weight: float = 0.0
    teacher: str | None = None
    teacher_weight: float = 0.0
    teacher_texts: str | None = None
    teacher_lines: int = 32
    teacher_start: bool = False
    teacher_cache: str | None = None
    warm_start_steps: int = 0
    warm_start_pairs: int = 128
    tokens_weight: float = 1.0
    tokens_until: float = 1.0
    temperature: float = 0.5
    count_power: float = 0.0
    row_length: int = 256
    batch_size: int = 16
    gradient_accumulation_steps: int = 1
    max_steps: int = 0
    epochs: float = 1.0
    learning_rate: float = 2e-4
    lr_scheduler: str = "linear"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.01
    adam_beta2: float = 0.999
    max_grad_norm: float = 1.0
    bf16: bool = False
    fp16: bool = False
    gradient_checkpointing: bool = False
    fsdp: str | None = None
    seed: int = 0
    threads: int = 0
    use_cpu: bool = False
    loader_workers: int = 0
    logging_steps: int = 50
    eval_steps: int = 0
    save_steps: int = 500
    save_total_limit: int = 2
    report_to: str = "none"

    def __post_init__(self) -> None:
        for name in (
            "vocab_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "batch_size",
            "save_steps",
        ):
            self._require(getattr(self, name) > 0, name, "must be positive")
        self._require(0 < self.mlm_probability < 1, "mlm_probability", "must lie between 0 and 1")
        self._require(0 < self.held_out_share < 1, "held_out_share", "must lie between 0 and 1")
        self._require(self.learning_rate > 0, "learning_rate", "must be positive")
        self._require(self.max_steps > 0 or self.epochs > 0, "epochs", "must be positive when max_steps is 0")
        self._require(
            self.hidden_size % self.num_attention_heads == 0,
            "hidden_size",
            "must be a multiple of num_attention_heads",
        )
        self._require(self.masking in MASKINGS, "masking", f"must be one of {', '.join(MASKINGS)}")
        self._require(self.line_order_weight >= 0, "line_order_weight", "must not be negative")
        self._require(self.window_lines > 0 and self.window_lines % 2 == 0, "window_lines", "must be even")
        self._require(0 < self.window_share <= 1, "window_share", "must lie between 0 and 1")
        self._require(not (self.bf16 and self.fp16), "bf16", "excludes fp16")
        self._check_objectives()
        swaps = not self.swap_vocabulary or self.initial_checkpoint is not None
        self._require(swaps, "swap_vocabulary", "needs an initial_checkpoint")

    def _check_objectives(self) -> None:
        for name in ("identity_weight", "severity_weight", "teacher_weight", "tokens_weight"):
            self._require(getattr(self, name) >= 0, name, "must not be negative")
        for name in ("event_share", "identity_twins", "tokens_until"):
            self._require(0 <= getattr(self, name) <= 1, name, "must lie between 0 and 1")
        self._require(self.warm_start_steps >= 0, "warm_start_steps", "must not be negative")
        pairs = self.has_pairs or not self.warm_start_steps
        self._require(pairs, "warm_start_steps", "needs an objective on pairs")
        self._require(self.warm_start_pairs > 1, "warm_start_pairs", "must be more than one")
        self._require(self.identity_pairs > 1, "identity_pairs", "must be more than one")
        self._require(self.identity_temperature > 0, "identity_temperature", "must be positive")
        fed = self.statements or self.event_labels or self.event_groups
        self._require(bool(fed) or not self.identity_weight, "identity_weight", "needs statements or events")
        stated = self.statements or not self.severity_weight
        self._require(bool(stated), "severity_weight", "needs statements")
        taught = self.teacher is not None
        self._require(taught or not self.teacher_weight, "teacher_weight", "needs a teacher")
        texts = self.teacher_weight > 0 or self.teacher_texts is None
        self._require(texts, "teacher_texts", "needs a teacher_weight")
        self._require(self.teacher_lines > 0, "teacher_lines", "must be positive")
        self._require(taught or not self.teacher_start, "teacher_start", "needs a teacher")

    @property
    def has_pairs(self) -> bool:
        """Whether anything is learnt from pairs of lines."""
        return bool(self.identity_weight or self.severity_weight or self.teacher_weight)

    @property
    def statement_paths(self) -> list[Path]:
        """Where the tables of statements are: below ``data_root``, or as they are given."""
        below = [Path(self.data_root) / given for given in self.statements]
        return [
            path if path.exists() else Path(given) for path, given in zip(below, self.statements, strict=True)
        ]

    @classmethod
    def _given(cls, values: Mapping[str, object], where: str | Path | None) -> dict[str, object]:
        return _renewed(values, where)

    def differences(self, earlier: Mapping[str, object]) -> dict[str, tuple[object, object]]:
        """Returns what decides what is learnt and differs from an earlier run's, as (earlier, now)."""
        now = self.to_dict()
        # What an earlier version did not know had the value it has now without being given.
        earlier = type(self)().to_dict() | _renewed(earlier)
        names = sorted((now.keys() | earlier.keys()) - FREE_ON_RESUME)
        return {n: (earlier.get(n), now.get(n)) for n in names if earlier.get(n) != now.get(n)}


def _renewed(values: Mapping[str, object], where: str | Path | None = None) -> dict[str, object]:
    """Returns values with ``whole_words``, an argument of old, as what it says now."""
    renewed = dict(values)
    if "whole_words" in renewed:
        whole = coerced("whole_words", renewed.pop("whole_words"), bool, where)
        if "masking" in renewed:
            raise InputError("masking is given twice (once as 'whole_words')", where=where)
        renewed["masking"] = "words" if whole else "pieces"
    return renewed
