"""A checkpoint laid out as a Hub model repository, in a folder or in the Hugging Face cache.

A repository of ours holds the weights, the tokenizer, the card, and the code that reads them: ``config.json``
carries the whole ``auto_map``, so ``trust_remote_code=True`` loads every class where this package is not
installed. Its ``bert`` sibling holds the same weights under BERT's own type, for programs that know BERT and
nothing of us.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from biglog.checkpoints import DEFAULT_CHECKPOINT, checkpoint_path
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.logs.masking import MASK_TOKENS

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from modeling_biglog.modeling_biglog import BigLogPreTrainedModel

WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "README.md"
REQUIRED_FILES = ("config.json", WEIGHTS, TOKENIZER, "tokenizer_config.json")
PICTURES = ("curves.svg", "probes.svg", "tasks.svg")
"""What a card shows, beside it."""
PARSER_FILES = ("parser_config.json", "parser.safetensors")
"""What `LogParser` has learnt (`biglog.tasks.parsing.head`)."""
OPTIONAL_FILES = (CARD, "LICENSE", "special_tokens_map.json", "vocab.txt", *PARSER_FILES, *PICTURES)
POOLING = "1_Pooling/config.json"
SENTENCE_FILES = (
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    POOLING,
)
"""What sentence-transformers wants to know: the line embedding is the mean over the attended tokens."""
_LFS_BYTES = 10 * 2**20


def assemble(checkpoint: str | Path, out: str | Path, *, bert: bool = False, force: bool = False) -> Path:
    """Lays out a checkpoint as a Hub model repository.

    Everything is first written next to `out` and then moved there, so `out` is never half-written.

    Args:
        checkpoint: A folder, or the name of an embedded checkpoint.
        out: The folder to write. It may exist if it is empty or holds nothing but an earlier such layout.
        bert: Write the sibling typed ``bert``, which needs no code of ours (`modeling_biglog.as_bert`);
            of a classifier it keeps the encoder alone.
        force: Write into `out` whatever it holds; files of other names stay.

    Returns:
        The folder written, as an absolute path.

    Raises:
        CheckpointError: The checkpoint is missing, damaged or of another kind.
        OutputError: `out` is in use, or cannot be written (disk full, no permission).
    """
    source, target = find_checkpoint(checkpoint), Path(out).expanduser().absolute()
    with writing(target):
        _refuse_to_overwrite(target, force)
    model = check_checkpoint(source)
    with writing(target), staged(target) as stage:
        _fill(stage, source, model if bert else None)
        _settle(stage, target)
    return target


def save_to_cache(
    repo_id: str = "biglog",
    *,
    checkpoint: str | Path = DEFAULT_CHECKPOINT,
    bert: bool = False,
    cache_dir: str | Path | None = None,
) -> Path:
    """Writes a checkpoint to the Hugging Face cache; `AutoModel.from_pretrained(repo_id)` then works offline.

    The cache is laid out as `huggingface_hub` does it: ``blobs`` named by content, ``snapshots/<commit>`` of
    links to them, and ``refs/main`` naming the commit. Its id is derived from the content, so saving again
    changes nothing. Offline means HF_HUB_OFFLINE=1; without it the loader asks the Hub about the id first.

    Args:
        repo_id: The id to load it by; one segment is fine here.
        checkpoint: A folder, or the name of an embedded checkpoint.
        bert: Write the sibling typed ``bert`` (see `assemble`).
        cache_dir: The cache; by default the one of HF_HUB_CACHE or HF_HOME.

    Returns:
        The snapshot folder.

    Raises:
        InputError: `repo_id` is not a valid id.
        CheckpointError: The checkpoint is missing, damaged or of another kind.
        OutputError: The cache cannot be written.
    """
    from huggingface_hub import constants

    check_repo_id(repo_id)
    source = find_checkpoint(checkpoint)
    model = check_checkpoint(source)
    cache = Path(cache_dir or constants.HF_HUB_CACHE).expanduser().absolute()
    repo = cache / constants.REPO_ID_SEPARATOR.join(["models", *repo_id.split("/")])
    with writing(repo), staged(repo) as stage:
        _fill(stage, source, model if bert else None)
        return _settle_in_cache(stage, repo)


def find_checkpoint(checkpoint: str | Path) -> Path:
    """Returns the folder of a checkpoint; a folder of that name goes before an embedded one.

    Args:
        checkpoint: A folder, or the name of an embedded checkpoint.

    Raises:
        CheckpointError: There is neither.
    """
    folder = Path(checkpoint).expanduser()
    if os.path.isdir(folder):  # noqa: PTH112  # False, not an error, where the path cannot be
        return folder.absolute()
    if os.path.isfile(folder):  # noqa: PTH113
        raise CheckpointError("this file is no checkpoint", where=folder, remedy="Give the folder it is in")
    return checkpoint_path(str(checkpoint))


def check_checkpoint(folder: Path) -> BigLogPreTrainedModel:
    """Checks that a folder holds a whole checkpoint of ours, by loading it.

    Args:
        folder: The checkpoint.

    Returns:
        The model, in the class that its configuration names.

    Raises:
        CheckpointError: A file is missing or damaged, the model is of another type, or weights are missing
            or not finite.
    """
    config = _read_config(folder)
    kind = config.get("model_type")
    if kind != "biglog":
        raise CheckpointError(
            f"this is a checkpoint of type {kind!r}, not one of ours (model_type 'biglog')",
            where=folder / "config.json",
            remedy="Give a BigLog checkpoint",
        )
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    locked = [
        name for name in OPTIONAL_FILES if (folder / name).is_file() and not os.access(folder / name, os.R_OK)
    ]
    if missing:
        raise CheckpointError(
            f"the checkpoint lacks {', '.join(missing)}",
            where=folder,
            remedy="Save model and tokenizer there again",
        )
    if locked:
        raise CheckpointError("you may not read this file", where=folder / locked[0])
    check_weights(folder / WEIGHTS)
    _check_tokenizer(folder / TOKENIZER, config.get("vocab_size"))
    return _load(folder, config)


def check_repo_id(repo_id: str) -> None:
    """Checks that an id is one a Hub can have.

    Args:
        repo_id: ``<name>`` or ``<owner>/<name>``.

    Raises:
        InputError: It is not.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{repo_id!r} is not an id a Hub can have ({error})") from error


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            "this folder holds no checkpoint: it has no config.json", where=folder
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"the configuration cannot be read ({error})", where=path) from error
    if not isinstance(config, dict):
        raise CheckpointError("the configuration is not a JSON object", where=path)
    return config


def check_weights(path: Path) -> None:
    """Opens weights: their header must be sound and the file as long as the header says.

    Args:
        path: A file of safetensors.

    Raises:
        CheckpointError: It is not.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as weights:
            empty = not list(weights.keys())
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"the weights are damaged or cut short ({error})",
            where=path,
            remedy="Copy or save the checkpoint again",
        ) from error
    if empty:
        raise CheckpointError("the file holds no weights", where=path)


def _check_tokenizer(path: Path, vocab_size: object) -> None:
    """Loads the tokenizer: [PAD] must be 0, the mask tokens 1 to 5, and no id beyond the model's."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise CheckpointError(f"the tokenizer cannot be read ({error})", where=path) from error
    expected = {"[PAD]": 0} | {token: index for index, token in enumerate(MASK_TOKENS, start=1)}
    wrong = {token: tokenizer.token_to_id(token) for token, index in expected.items()}
    wrong = {token: found for token, found in wrong.items() if found != expected[token]}
    if wrong:
        found = ", ".join(f"{token} at {'no id' if i is None else i}" for token, i in wrong.items())
        raise CheckpointError(
            f"the tokenizer has {found}, not [PAD] at 0 and {' '.join(MASK_TOKENS)} at 1 to 5", where=path
        )
    if isinstance(vocab_size, int) and tokenizer.get_vocab_size() > vocab_size:
        raise CheckpointError(
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens and the model {vocab_size}", where=path
        )


def _load(folder: Path, config: dict[str, Any]) -> BigLogPreTrainedModel:
    """Loads the model in the class it names; every weight must be there and finite."""
    import modeling_biglog
    from biglog.checkpoints.quiet import quiet

    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else "BigLogModel"
    model_class = getattr(modeling_biglog, name, None) if name in modeling_biglog.__all__ else None
    if model_class is None:
        raise CheckpointError(
            f"the checkpoint names the class {name!r}, which is not one of ours", where=folder
        )
    try:
        with quiet():
            model, report = model_class.from_pretrained(
                folder, output_loading_info=True, local_files_only=True
            )
    except Exception as error:  # whatever a damaged file makes the loader raise
        raise CheckpointError(f"the checkpoint does not load as {name} ({error})", where=folder) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{len(missing)} weights are missing, {missing[0]} among them", where=folder / WEIGHTS
        )
    broken = [key for key, weight in model.state_dict().items() if not weight.isfinite().all()]
    if broken:
        raise CheckpointError(f"the weights of {broken[0]} are not finite", where=folder / WEIGHTS)
    return model


def _refuse_to_overwrite(target: Path, force: bool) -> None:
    """Refuses a target that is a file, or a folder with anything in it but a layout of ours."""
    if target.exists() and not target.is_dir():
        raise OutputError(
            "this is a file, and a folder is to be written", where=target, remedy="Give another name"
        )
    held = {path.name for path in target.iterdir()} if target.is_dir() else set()
    known = {name.partition("/")[0] for name in _known_names()}
    if held and not force and not (held <= known and "config.json" in held):
        raise OutputError(
            "the folder is not empty, and holds something other than a checkpoint of ours",
            where=target,
            remedy="Give another folder, or use --force to write into this one (other files stay)",
        )


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns a write that fails into an OutputError.

    Args:
        target: What is written, for the message.

    Raises:
        OutputError: An OSError came out of the block.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise OutputError(
            f"cannot write here: {error.strerror or error}",
            where=target,
            remedy="Free some space, or give another place" if full else "Give a place you may write to",
        ) from error


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yields a new folder beside `target`; what is in it at the end goes.

    Args:
        target: What the folder, or things in it, will be moved to.
    """
    stage = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        stage.mkdir(parents=True)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _fill(stage: Path, source: Path, as_bert_from: BigLogPreTrainedModel | None) -> None:
    """Writes all files of the repository into an empty folder; given a model, of its ``bert`` sibling."""
    import modeling_biglog

    for name in (*REQUIRED_FILES, *OPTIONAL_FILES):
        if (source / name).is_file() and not (as_bert_from is not None and name in ("config.json", WEIGHTS)):
            shutil.copyfile(source / name, stage / name)
    config = _read_config(source)
    for name, content in _sentence_files(source, config).items():
        (stage / name).parent.mkdir(exist_ok=True)
        (stage / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if as_bert_from is not None:
        _save_model(modeling_biglog.as_bert(as_bert_from), stage)
        return
    config["auto_map"] = _auto_map(config)
    for path in _code_files(config["auto_map"]):
        shutil.copyfile(path, stage / path.name)
    (stage / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _sentence_files(source: Path, config: dict[str, Any]) -> dict[str, object]:
    """Returns the files of sentence-transformers, by name: encoder, masked mean, lines cut as ours are."""
    path = source / "tokenizer_config.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"the tokenizer's settings cannot be read ({error})", where=path) from error
    longest = min(int(told.get("model_max_length") or 10**6), int(config["max_position_embeddings"]))
    parts = (("", "Transformer"), (POOLING.partition("/")[0], "Pooling"))
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (path, kind) in enumerate(parts)
    ]
    pooling = {"word_embedding_dimension": config["hidden_size"], "pooling_mode_mean_tokens": True}
    others = ("cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    return {
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": longest, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {}, "similarity_fn_name": "cosine"},
        POOLING: pooling | {f"pooling_mode_{name}": False for name in others},
    }


def repository_files(folder: Path) -> list[str]:
    """Returns the files of a repository in a folder, by their path in it, sorted."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _auto_map(config: dict[str, Any]) -> dict[str, str]:
    """Returns the whole map; another class of ours in the checkpoint's own goes first."""
    import modeling_biglog
    from modeling_biglog.configuration_biglog import AUTO_MAP

    found = dict(AUTO_MAP)
    for auto, place in (config.get("auto_map") or {}).items():
        # What came from a Hub has the id in front: acme/biglog--modeling_biglog.BigLogModel.
        name = str(place).rpartition(".")[2]
        if name in modeling_biglog.__all__:
            module = getattr(modeling_biglog, name).__module__.rpartition(".")[2]
            found[auto] = f"{module}.{name}"
    return found


def _code_files(auto_map: dict[str, str]) -> list[Path]:
    """Returns the modules that an ``auto_map`` names, and those they import."""
    from transformers.dynamic_module_utils import get_relative_import_files

    import modeling_biglog

    package = Path(modeling_biglog.__file__).parent
    named = {package / f"{place.partition('.')[0]}.py" for place in auto_map.values()}
    return sorted(named.union(*(map(Path, get_relative_import_files(path)) for path in named)))


def _known_names() -> set[str]:
    """Returns the paths a file of a repository of ours can have."""
    import modeling_biglog

    code = {path.name for path in Path(modeling_biglog.__file__).parent.glob("*_biglog.py")}
    return {*REQUIRED_FILES, *OPTIONAL_FILES, *SENTENCE_FILES, *code}


def _save_model(model: PreTrainedModel, folder: Path) -> None:
    from safetensors import SafetensorError

    from biglog.checkpoints.quiet import quiet

    try:
        with quiet():
            model.save_pretrained(folder)
    except SafetensorError as error:  # this library tells a failed write in words
        code = re.search(r"os error (\d+)", str(error))
        raise OSError(int(code[1]) if code else errno.EIO, str(error)) from error


def _settle(stage: Path, target: Path) -> None:
    """Moves a complete folder to its place; of an earlier layout there, files that are gone go too."""
    if not target.exists():
        stage.rename(target)
        return
    fresh = repository_files(stage)
    for name in _known_names().difference(fresh):
        (target / name).unlink(missing_ok=True)
    for name in fresh:
        (target / name).parent.mkdir(exist_ok=True)
        (stage / name).replace(target / name)


def _settle_in_cache(stage: Path, repo: Path) -> Path:
    """Moves a complete folder into the cache; the branch is named last, so nobody sees a part of it."""
    blobs = {name: _blob_id(stage / name) for name in repository_files(stage)}
    commit = hashlib.sha1("".join(f"{blob} {name}\n" for name, blob in blobs.items()).encode()).hexdigest()
    snapshot = repo / "snapshots" / commit
    for folder in (repo / "blobs", repo / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    for name, blob in blobs.items():
        kept = repo / "blobs" / blob
        if not kept.is_file() or _blob_id(kept, large=len(blob) == 64) != blob:
            (stage / name).replace(kept)
        link = stage / f"{name}.link"
        link.symlink_to(Path(*[".."] * (2 + name.count("/")), "blobs", blob))
        (snapshot / name).parent.mkdir(exist_ok=True)
        link.replace(snapshot / name)
    (stage / "main").write_text(commit, encoding="ascii")
    (stage / "main").replace(repo / "refs" / "main")
    return snapshot


def _blob_id(path: Path, large: bool | None = None) -> str:
    """Returns a blob's name in the cache: SHA-256 of a large file (LFS), git's SHA-1 of any other."""
    content = path.read_bytes()
    if large if large is not None else path.name == WEIGHTS or len(content) > _LFS_BYTES:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
