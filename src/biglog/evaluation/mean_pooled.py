"""Any encoder of transformers in a folder, read as a sentence encoder: masked mean, length one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from transformers import AutoModel, AutoTokenizer

from biglog.checkpoints.finding import diagnosis
from biglog.errors import InputError
from biglog.evaluation.probes.baselines import MiniLM

MOST_TOKENS: Final = 256
"""A longer line is cut, as MiniLM's is."""


class MeanPooled(MiniLM):
    """The mean of the last hidden states of a model that `AutoModel` loads, such as BERT-base.

    Args:
        folder: Of weights, configuration and tokenizer.

    Raises:
        InputError: The folder is not there.
        CheckpointError: It cannot be loaded.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise InputError("no model here: config.json is missing", where=folder, remedy="Name its folder")
        try:
            self._model = AutoModel.from_pretrained(folder).eval()
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:  # each library raises its own for a damaged file
            raise diagnosis(error, str(folder)) from error
        self.width = int(self._model.config.hidden_size)
        self.longest = min(MOST_TOKENS, int(self._tokenizer.model_max_length))
        self._cache = None
        weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
        found = hashlib.sha256()
        for path in weights:
            with path.open("rb") as opened:
                found.update(hashlib.file_digest(opened, "sha256").digest())
        self.revision = found.hexdigest()
