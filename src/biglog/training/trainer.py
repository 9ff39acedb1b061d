"""The library's Trainer, set up for pretraining: what it does at each step, evaluation and checkpoint."""

from __future__ import annotations

import sys
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from biglog.errors import InputError
from biglog.training.arguments import PretrainArguments
from biglog.training.held_out import averages
from biglog.training.joint import JointModel
from biglog.training.line_order import average_orders
from biglog.training.prepared import Prepared
from biglog.training.record import Clock
from biglog.training.run_folder import RunFolder
from biglog.training.sharded import finite, gathered
from biglog.training.trackers import trackers


class PretrainingTrainer(Trainer):
    """The library's Trainer, evaluating by domain, keeping time, and saving checkpoints that are whole or not
    there."""

    def __init__(self, *, prepared: Prepared, folder: RunFolder, clock: Clock, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prepared, self.folder, self.clock = prepared, folder, clock
        self.add_callback(_LossSoFar(self))

    def take_up_loss(self) -> None:
        """Goes on with the loss that an interrupted run had summed up since its last point of the curve."""
        unlogged = self.folder.read_unlogged(self.state.global_step)
        if unlogged is not None:
            self._globalstep_last_logged = int(unlogged["logged_step"])
            self._tr_loss += float(unlogged["loss"])

    def whole_model(self) -> Any:
        """Returns the model by itself, with all of its weights; every process must ask at the same time."""
        return gathered(self.accelerator.unwrap_model(self.model))

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Counts tokens, and stops when the loss is no number."""
        pad = self.prepared.tokenizer.pad_token_id
        read = [inputs["input_ids"], *inputs.get("pairs", {}).get("input_ids", [])]
        self.clock.tokens += sum(int((ids != pad).sum()) for ids in read) * self.args.world_size
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not torch.isfinite(loss):
            raise self.folder.diverged("loss", self.state.global_step + 1)
        return loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates on the held-out lines of each domain and logs the averages over domains."""
        model = self.whole_model()
        scores = self.prepared.held_out.score(model)
        if not scores:
            return {}
        metrics = {
            f"eval_{prefix}{name}": getattr(mean, name)
            for prefix, mean in averages(scores).items()
            for name in ("loss", "accuracy", "bits_per_byte")
        }
        metrics |= {f"eval_accuracy/{domain}": score.accuracy for domain, score in scores.items()}
        metrics |= self._line_order(model)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Logs what each objective on pairs adds to the loss, as it was in the last step."""
        model: Any = self.accelerator.unwrap_model(self.model)
        parts = getattr(model, "parts", {}) if "loss" in logs else {}
        super().log(logs | {f"loss_{name}": value for name, value in parts.items()}, *args, **kwargs)

    def _line_order(self, model: Any) -> dict[str, float]:
        order = self.prepared.line_order
        if order is None:
            return {}
        means = average_orders(order.held_out.score(model))
        return {f"eval_{prefix}line_order_accuracy": mean["accuracy"] for prefix, mean in means.items()}

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        # The library deletes old checkpoints before anybody can tell that the new one is whole.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        # Every process has written its part when its loss has come in.
        losses: Any = self.accelerator.gather(self._tr_loss.detach().reshape(1))
        if self.args.should_save:
            step, loss = self.state.global_step, float(losses.mean())
            self.folder.write_unlogged(step, {"loss": loss, "logged_step": self._globalstep_last_logged})
            self.folder.mark_whole(step, self.clock)
            self.folder.drop_checkpoints(keep=limit)


class _LossSoFar(TrainerCallback):
    """Hands a resumed Trainer its sum of losses, which it sets to nought when training begins."""

    def __init__(self, trainer: PretrainingTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Does so at the first chance after that."""
        if state.global_step:
            self._trainer.take_up_loss()


class TokensUntil(TrainerCallback):
    """Lets masked tokens shape the encoder up to a share of the steps, and the token head alone after it.

    A line embedding looks past values, a masked token asks for them: what is learnt last counts most.
    """

    def __init__(self, model: JointModel, share: float) -> None:
        self._model, self._share = model, share

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Decides it for the step that begins, by its number: a resumed run does the same."""
        self._model.tokens_reach_encoder = state.global_step < self._share * state.max_steps


class Watch(TrainerCallback):
    """Stops before a gradient that is no number reaches the weights; prints where no progress bar can."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Checks the gradients; in fp16 the loss scaler does, and skips such steps."""
        if args.fp16:
            return
        if not finite([p.grad for p in kwargs["model"].parameters() if p.grad is not None]):
            raise self._folder.diverged("gradient", state.global_step + 1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Prints loss or evaluation to stderr."""
        if state.is_world_process_zero and args.disable_tqdm:
            figures = {k: v for k, v in (logs or {}).items() if "/" not in k and isinstance(v, (int, float))}
            text = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
            print(f"step {state.global_step}/{state.max_steps} {text}", file=sys.stderr, flush=True)


def training_arguments(arguments: PretrainArguments) -> TrainingArguments:
    """Returns the Trainer's settings; the number of steps is left to be filled in."""
    optional: dict[str, Any] = _sharding(arguments.fsdp)
    if arguments.gradient_checkpointing:
        optional["gradient_checkpointing"] = True
    return TrainingArguments(
        output_dir=arguments.output_path,
        per_device_train_batch_size=arguments.batch_size,
        gradient_accumulation_steps=arguments.gradient_accumulation_steps,
        max_steps=1,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type=arguments.lr_scheduler,
        warmup_steps=arguments.warmup_ratio,
        weight_decay=arguments.weight_decay,
        adam_beta2=arguments.adam_beta2,
        max_grad_norm=arguments.max_grad_norm,
        bf16=arguments.bf16,
        fp16=arguments.fp16,
        seed=arguments.seed,
        use_cpu=arguments.use_cpu,
        dataloader_num_workers=arguments.loader_workers,
        dataloader_pin_memory=torch.cuda.is_available() and not arguments.use_cpu,
        # Rows are drawn at random already, as a function of their number: their order need not be, and must
        # not.
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        label_names=["labels"],
        logging_steps=arguments.logging_steps,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if arguments.eval_steps else "no",
        eval_steps=arguments.eval_steps or None,
        save_strategy="steps",
        save_steps=arguments.save_steps,
        save_total_limit=arguments.save_total_limit,
        report_to=list(trackers(arguments.report_to)),
        disable_tqdm=not sys.stderr.isatty(),
        **optional,
    )


def _sharding(fsdp: str | None) -> dict[str, Any]:
    """Reads the words for sharding; the library has taken to switches and a configuration instead of them."""
    words = (fsdp or "").split()
    unknown = set(words) - {"full_shard", "shard_grad_op", "auto_wrap", "offload"}
    if unknown:
        raise InputError(
            f"fsdp knows no {' '.join(sorted(unknown))}",
            remedy="Known are full_shard, shard_grad_op, auto_wrap and offload",
        )
    if not words:
        return {}
    config = {
        "version": 2,
        "reshard_after_forward": "shard_grad_op" not in words,
        "cpu_offload": "offload" in words,
        "transformer_layer_cls_to_wrap": ["BertLayer"],
    }
    return {"fsdp": True, "fsdp_config": config}
