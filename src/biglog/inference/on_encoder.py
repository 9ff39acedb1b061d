"""What detector and predictor share: an encoder that they stand on, name when saved, and do not exchange."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from biglog.checkpoints import DEFAULT_CHECKPOINT
from biglog.checkpoints.finding import fetch_files
from biglog.errors import CheckpointError
from biglog.inference.encoder import LogEncoder

PROBE: Final = "encoder.probe"
"""Name of the array that tells the encoder from others."""

_FORMS: Final = (
    "Connection from [IP] closed",
    "generating core.[NUM]",
    "failed to open [FILE]: no such file or directory",
)
_TOLERANCE: Final = 1e-3

Arrays = Mapping[str, NDArray[Any]]


class OnEncoder:
    """Has an encoder, the embedded one where none was given.

    Attributes:
        encoder: The encoder; None until it is needed.
    """

    encoder: LogEncoder | None

    def _encoder(self) -> LogEncoder:
        if self.encoder is None:
            self.encoder = LogEncoder.from_pretrained()
        return self.encoder

    def _encode(self, forms: pl.Series) -> NDArray[np.float32]:
        return self._encoder().encode_normal_forms(forms)

    def _probe(self) -> NDArray[np.float32]:
        """Embeddings of a few normal forms: they tell an encoder from another one."""
        return self._encoder().encode_normal_forms(list(_FORMS))


def named_encoder(
    config: Mapping[str, Any], arrays: Arrays, given: LogEncoder | None, where: Path
) -> LogEncoder:
    """Returns the encoder that something was saved with.

    Args:
        config: Names it, as `encoder`.
        arrays: Have its `PROBE`.
        given: What a caller gave in its place; None loads the one that is named.
        where: The folder, for messages.

    Raises:
        CheckpointError: None is named, it cannot be loaded, or it is another one than at saving.
    """
    saved, name = arrays.get(PROBE), config.get("encoder")
    if saved is None or name is None:
        problem = "it does not say which encoder it was fitted with"
        raise CheckpointError(problem, where=where, remedy="Save it again")
    encoder = given or LogEncoder.from_pretrained(None if name == DEFAULT_CHECKPOINT else name)
    probe = encoder.encode_normal_forms(list(_FORMS))
    if probe.shape != saved.shape or np.abs(probe - saved).max() > _TOLERANCE:
        raise CheckpointError(
            f"it was saved with another encoder ({name}), not with {encoder.name}",
            where=where,
            remedy="Give that encoder, or fit it again",
        )
    return encoder


def saved_folder(
    name_or_path: str | Path, files: tuple[str, str, str], what: str, revision: str | None
) -> Path:
    """Finds a saved folder, or fetches it from the Hub.

    Args:
        name_or_path: A folder, or a Hub id.
        files: The JSON, the arrays and the estimators; the last need not be there.
        what: What it is called in messages.
        revision: Branch, tag or commit of a Hub repository.

    Raises:
        CheckpointError: It is not there, or the Hub cannot be reached.
    """
    path, text = Path(name_or_path).expanduser(), str(name_or_path)
    if path.is_dir():
        return path
    if isinstance(name_or_path, Path) or path.is_absolute() or text.startswith(".") or text.count("/") != 1:
        remedy = f"Fit a {what} and save it there first"
        raise CheckpointError("there is no such folder", where=path, remedy=remedy)
    problem, remedy = f"this repository holds no {what}", f"Give the id of a saved {what}"
    return fetch_files(text, files[:2], revision, missing=problem, remedy=remedy, optional=files[2:])
