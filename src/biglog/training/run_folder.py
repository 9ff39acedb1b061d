"""The folder of a run: what it began with, its checkpoints and which of them are whole, its result."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from biglog.data.run_facts import write_json
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.training.arguments import PretrainArguments
from biglog.training.record import Clock

_FULL_DISK = ("PytorchStreamWriter", "inline_container", "iostream error")
_RUN, _CLOCK, _RECORD, _UNLOGGED = "run.json", "clock.json", "record.json", "unlogged.json"


@dataclass(frozen=True)
class RunFolder:
    """A run's folder.

    Attributes:
        path: Where it is; it need not exist yet.
    """

    path: Path

    @property
    def record_path(self) -> Path:
        """Where the run's record goes; a finished run has one."""
        return self.path / _RECORD

    @property
    def tokenizer_path(self) -> Path:
        """Where the run's tokenizer is kept from the start."""
        return self.path / "tokenizer"

    def whole_checkpoints(self) -> dict[int, Path]:
        """Returns the checkpoints that were written to the end, by step; interrupted ones are left out."""
        whole = [clock.parent for clock in self.path.glob(f"checkpoint-*/{_CLOCK}")]
        return {int(folder.name.rpartition("-")[2]): folder for folder in whole}

    def create(self) -> None:
        """Makes the folder, before anything expensive begins.

        Raises:
            OutputError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot be created: {error.strerror}", where=self.path) from error

    def last_checkpoint(self, *, resume: bool) -> Path | None:
        """Returns the checkpoint to go on from, None for a fresh start.

        Raises:
            InputError: The folder holds a run and ``resume`` is not given, or the run is finished.
        """
        whole = self.whole_checkpoints()
        finished = self.record_path.is_file()
        if resume and finished:
            raise InputError(
                "this run is finished", where=self.path, remedy="Choose another output_path to train anew"
            )
        if not resume and (whole or finished):
            raise InputError(
                "this folder holds a run",
                where=self.path,
                remedy="Add --resume to go on with it, or choose another output_path",
            )
        return whole[max(whole)] if whole else None

    def begin(
        self, arguments: PretrainArguments, fingerprint: str, tokenizer: PreTrainedTokenizerFast
    ) -> None:
        """Writes down what the run is about.

        Raises:
            OutputError: It cannot be written.
        """
        write_json(self.path / _RUN, {"arguments": arguments.to_dict(), "fingerprint": fingerprint})
        tokenizer.save_pretrained(self.tokenizer_path)

    def check(self, arguments: PretrainArguments, fingerprint: str) -> None:
        """Compares a resumed run with what it began with.

        Raises:
            CheckpointError: What it began with cannot be read.
            InputError: Arguments that decide what is learnt differ, or the training lines do.
        """
        path = self.path / _RUN
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problem = "what the run began with cannot be read, so it cannot be resumed"
            raise CheckpointError(problem, where=path, remedy="Start anew in another output_path") from error
        changed = arguments.differences(earlier["arguments"])
        if changed:
            listed = ", ".join(f"{name} (was {was!r}, is {now!r})" for name, (was, now) in changed.items())
            raise InputError(
                f"the arguments differ from those the run began with: {listed}",
                where=self.path,
                remedy="Resume with the same arguments, or start anew in another output_path",
            )
        if earlier["fingerprint"] != fingerprint:
            raise InputError(
                "the training lines differ from those the run began with",
                where=self.path,
                remedy="Restore the files under data_root, or start anew in another output_path",
            )

    def read_clock(self, checkpoint: Path) -> Clock:
        """Returns the time and tokens that a run had used at a checkpoint."""
        return Clock(**json.loads((checkpoint / _CLOCK).read_text(encoding="utf-8")))

    def write_unlogged(self, step: int, unlogged: Mapping[str, float]) -> None:
        """Writes beside a checkpoint what the next point of the loss curve needs of the steps before it."""
        write_json(self.path / f"checkpoint-{step}" / _UNLOGGED, unlogged)

    def read_unlogged(self, step: int) -> dict[str, float] | None:
        """Returns what `write_unlogged` wrote; None if it wrote nothing."""
        file = self.path / f"checkpoint-{step}" / _UNLOGGED
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def drop_checkpoints(self, *, keep: int | None) -> None:
        """Deletes all whole checkpoints but the last ones.

        Args:
            keep: How many stay; None keeps all.
        """
        whole = self.whole_checkpoints()
        for step in sorted(whole)[:-keep] if keep else []:
            (whole[step] / _CLOCK).unlink(missing_ok=True)  # first of all, it is no longer whole
            shutil.rmtree(whole[step], ignore_errors=True)

    def drop_interrupted(self) -> None:
        """Deletes checkpoints that were not written to the end, and results under temporary names."""
        whole = set(self.whole_checkpoints().values())
        for folder in [*self.path.glob("checkpoint-*"), *self.path.glob(".*.tmp")]:
            if folder.is_dir() and folder not in whole:
                shutil.rmtree(folder, ignore_errors=True)

    def mark_whole(self, step: int, clock: Clock) -> None:
        """Marks a checkpoint as written to the end."""
        write_json(self.path / f"checkpoint-{step}" / _CLOCK, clock.read())

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turns the many errors of a full disk into one that names the place and the remedy.

        Raises:
            OutputError: Something could not be written.
        """
        try:
            yield
        except (OSError, SafetensorError) as error:
            raise self._unwritten(str(error)) from error
        except RuntimeError as error:
            # What torch.save raises when the disk is full has no class of its own, and several wordings.
            if not any(words in str(error) for words in _FULL_DISK):
                raise
            raise self._unwritten("the file is not complete") from error

    def diverged(self, what: str, step: int) -> InputError:
        """Returns the error for a loss or gradient that is no number."""
        return InputError(
            f"the {what} is not a finite number at step {step}",
            where=self.path,
            remedy=f"{self._last_whole()}. Lower learning_rate or raise warmup_ratio",
        )

    def save(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, name: str) -> Path:
        """Writes the result under a temporary name, then renames it.

        The library copies the model's source files beside the weights; they are left out here, because
        publishing adds those of the version that publishes.

        Returns:
            The checkpoint's folder.

        Raises:
            OutputError: It cannot be written.
        """
        folder, temporary = self.path / name, self.path / f".{name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        with self.writing():
            model.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
            for source in temporary.glob("*.py"):
                source.unlink()
            for file in temporary.iterdir():
                file.chmod(0o644)  # weights are written readable for their owner only
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)
        return folder

    def _unwritten(self, problem: str) -> OutputError:
        return OutputError(
            f"a checkpoint cannot be written: {problem}",
            where=self.path,
            remedy=f"{self._last_whole()}. Make room on the disk first",
        )

    def _last_whole(self) -> str:
        whole = self.whole_checkpoints()
        return (
            f"checkpoint-{max(whole)} is whole: go on with --resume"
            if whole
            else "There is no checkpoint yet"
        )
