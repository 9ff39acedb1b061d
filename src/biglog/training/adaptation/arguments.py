"""What an adaptation is told: one dataclass, which is the YAML file, the command line and the library
call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from biglog.data.collators import MASKINGS
from biglog.training.given import RunArguments

HEADS: Final = ("sequence", "token", "window", "mlm")
MODES: Final = ("frozen", "lora", "full", "ia3", "prompt")

LEARNING_RATES: Final[Mapping[str, float]] = {
    "frozen": 1e-2,
    "lora": 2e-3,
    "full": 5e-4,
    "ia3": 5e-3,
    "prompt": 1e-2,
}
"""Peak of the schedule by mode, where none is given: the fewer weights learn, the faster they may."""

FREE_ON_RESUME: Final = frozenset(
    {"output_path", "record_path", "resume", "save_steps", "save_total_limit", "logging_steps"}
    | {"loader_workers", "report_to", "threads", "use_cpu"}
)
"""Arguments that may change when a run is resumed: none of them changes what is learnt."""


@dataclass(frozen=True)
class AdaptArguments(RunArguments):
    """Everything that decides an adaptation.

    Attributes:
        name: What the result is called in its card; none takes the folder's name.
        output_path: Folder of the result: model or adapter, tokenizer, card and record.
        record_path: Where the record is also written, if anywhere.
        resume: Go on from the last checkpoint in ``output_path``.
        data: What is learnt from: a table (.csv, .jsonl or .parquet, perhaps with .gz behind it), a folder
            that ``datasets.load_dataset`` reads, or ``hub:OWNER/NAME[:CONFIG]``.
        split: Split of a dataset to learn from.
        eval_data: What the result is tested on, as ``data``; none holds out the last rows of ``data``.
        eval_split: Split of a dataset to test on; given without ``eval_data``, it is one of ``data``.
        text: Column of texts; none takes the first that is there of normal_form, content, line and text
            (head sequence and mlm), normal_forms and contents (window), words (token).
        label: Column of labels. Head token: a list, one a word; or texts with ``<*>``, templates that say
            which words are parameters.
        group: Rows of equal value in this column are never parted: all of them are learnt from, or held out.
        time: Column to put the rows in order by; none takes them as they are.
        held_out_share: Share of the rows, the last ones, that decide when to stop and that are scored. 0
            holds out none.
        classes: Labels in the order of the head's answers; none takes those of a head that ``model`` brings,
            or else those of the data, in order of the alphabet.
        model: Encoder to adapt: a folder or a Hub id; none is the embedded one.
        head: ``sequence`` (a class a line), ``token`` (a class a word), ``window`` (a class a window of
            lines), ``mlm`` (masked tokens: the encoder goes on learning, on lines without labels).
        mode: ``frozen`` (the head alone learns), ``lora``, ``ia3``, ``prompt`` (adapters and head), ``full``.
        cached: Mode frozen: each normal form is computed once, and the head learns from that. False computes
            every row of every batch, with the same result.
        merge: Write adapters into the weights, so that the result is a whole model; not of ``prompt``.
        rank: Of LoRA.
        lora_alpha: What LoRA's update is multiplied by, times ``rank``; 0 takes twice the rank.
        target_modules: Layers that get adapters, by the ends of their names; none takes PEFT's choice.
        prompt_tokens: Learnt tokens before a line, in mode prompt.
        class_weights: ``balanced``, or ``CLASS=WEIGHT`` for some classes; none weighs rows alike.
        distinct: Equal rows are one row, which counts as often as its ``count_power`` says. Head mlm always
            takes each normal form once.
        count_power: A row that stands for n equal ones counts n to this power.
        epochs: Passes over the rows.
        batch_size: Rows per device and step; 0 takes all (mode frozen, cached).
        gradient_accumulation_steps: Batches per optimizer step.
        learning_rate: Peak of the schedule; none takes that of ``LEARNING_RATES``.
        lr_scheduler: ``linear``, ``cosine``, ``constant`` or any other of the library's.
        warmup_ratio: Share of the steps during which the learning rate rises.
        weight_decay: Of AdamW.
        max_grad_norm: Gradients are clipped to this norm.
        patience: Stop after so many epochs without a lower loss on what is held out, and keep the best; 0
            goes on to the end and keeps the last.
        dropout: Of head and encoder; none leaves it as the checkpoint has it.
        window_layers: Attention layers over the lines of a window.
        max_window_lines: Lines that a window may have.
        mlm_probability: Share of the tokens to predict.
        masking: What is hidden at a time: ``pieces`` or ``words``.
        bf16: Mixed precision in bfloat16.
        fp16: Mixed precision in float16.
        seed: Of head, adapters, order, dropout and masks.
        threads: CPU threads of torch; 0 leaves them alone.
        use_cpu: Stay off accelerators.
        loader_workers: Processes that prepare batches; 0 prepares them in the training process.
        logging_steps: Steps between two points of the loss curve.
        save_steps: Steps between two checkpoints; 0 writes none.
        save_total_limit: Checkpoints kept.
        report_to: Trackers, for instance ``tensorboard``; ``none`` for none.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "adaptation": "mode",
        "out": "output_path",
        "epoch": "epochs",
        "warm_up_ratio": "warmup_ratio",
        "gradient_acc": "gradient_accumulation_steps",
        "train_data_path": "data",
        "eval_data_path": "eval_data",
        "num_of_proc": "loader_workers",
    }

    name: str | None = None
    output_path: str = "runs/adapted"
    record_path: str | None = None
    resume: bool = False
    data: str = ""
    split: str = "train"
    eval_data: str | None = None
    eval_split: str | None = None
    text: str | None = None
    label: str = "label"
    group: str | None = None
    time: str | None = None
    held_out_share: float = 0.2
    classes: tuple[str, ...] = ()
    model: str | None = None
    head: str = "sequence"
    mode: str = "lora"
    cached: bool = True
    merge: bool = False
    rank: int = 8
    lora_alpha: int = 0
    target_modules: tuple[str, ...] = ()
    prompt_tokens: int = 8
    class_weights: tuple[str, ...] = ()
    distinct: bool = False
    count_power: float = 0.5
    epochs: float = 2.0
    batch_size: int = 32
    gradient_accumulation_steps: int = 1
    learning_rate: float | None = None
    lr_scheduler: str = "linear"
    warmup_ratio: float = 0.05
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    patience: int = 0
    dropout: float | None = None
    window_layers: int = 1
    max_window_lines: int = 512
    mlm_probability: float = 0.15
    masking: str = "pieces"
    bf16: bool = False
    fp16: bool = False
    seed: int = 0
    threads: int = 0
    use_cpu: bool = False
    loader_workers: int = 0
    logging_steps: int = 50
    save_steps: int = 500
    save_total_limit: int = 2
    report_to: str = "none"

    def __post_init__(self) -> None:
        self._require(self.head in HEADS, "head", f"must be one of {', '.join(HEADS)}")
        self._require(self.mode in MODES, "mode", f"must be one of {', '.join(MODES)}")
        self._require(self.masking in MASKINGS[:2], "masking", f"must be one of {', '.join(MASKINGS[:2])}")
        for name in ("epochs", "gradient_accumulation_steps", "rank", "prompt_tokens", "max_window_lines"):
            self._require(getattr(self, name) > 0, name, "must be positive")
        for name in ("patience", "count_power", "window_layers", "save_steps", "lora_alpha", "batch_size"):
            self._require(getattr(self, name) >= 0, name, "must not be negative")
        self._require(0 <= self.held_out_share < 1, "held_out_share", "must be at least 0 and less than 1")
        self._require(0 < self.mlm_probability < 1, "mlm_probability", "must lie between 0 and 1")
        self._require(self.rate > 0, "learning_rate", "must be positive")
        self._require(not (self.bf16 and self.fp16), "bf16", "excludes fp16")
        self._check_combinations()

    def _check_combinations(self) -> None:
        learns = self.head != "mlm" or self.mode not in ("frozen", "prompt")
        self._require(learns, "mode", "must be lora, ia3 or full for head mlm")
        lines = self.mode != "prompt" or self.head == "sequence"
        self._require(lines, "mode", "prompt is for head sequence alone: prompts stand before a line,")
        self._require(self.mode != "prompt" or not self.merge, "merge", "is not for mode prompt:")
        whole = self.batch_size > 0 or (self.mode == "frozen" and self.cached)
        self._require(whole, "batch_size", "must be positive, but for mode frozen, cached")
        held = self.held_out_share > 0 or self.eval_data is not None or self.eval_split is not None
        self._require(held or not self.patience, "patience", "needs held-out rows:")
        duplicates = len(set(self.classes)) == len(self.classes)
        self._require(duplicates, "classes", "must differ from each other")

    @property
    def rate(self) -> float:
        """Peak of the learning rate."""
        return LEARNING_RATES[self.mode] if self.learning_rate is None else self.learning_rate

    @property
    def uses_adapters(self) -> bool:
        """Whether the result is an adapter, unless it is merged."""
        return self.mode in ("lora", "ia3", "prompt")

    @property
    def is_cached(self) -> bool:
        """Whether each normal form is computed once."""
        return self.mode == "frozen" and self.cached
