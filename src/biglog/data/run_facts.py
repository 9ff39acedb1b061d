"""Facts about a run that its record and its results state: hardware, versions, state of the checkout; and the
JSON files that hold them."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from biglog._version import __version__
from biglog.errors import InputError, OutputError


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Writes JSON to a temporary name beside the target, then renames it.

    Raises:
        OutputError: It cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot be written: {error.strerror}", where=path) from error


def read_json(path: Path) -> dict[str, Any]:
    """Reads a record or a result.

    Raises:
        InputError: It cannot be read, or is no JSON object.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"this record cannot be read: {error}", where=path) from error
    if not isinstance(read, dict):
        raise InputError("this record is no JSON object", where=path)
    return read


def hardware() -> dict[str, object]:
    """Returns what the run ran on: processor, cores, memory, threads, accelerators."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "torch_threads": torch.get_num_threads(),
        "accelerators": devices,
    }


def versions() -> dict[str, str]:
    """Returns the versions of what computed the run."""
    packages = ("torch", "transformers", "tokenizers", "polars", "numpy", "accelerate")
    return {"biglog": __version__, "python": platform.python_version()} | {
        name: version(name) for name in packages
    }


def git_state() -> dict[str, object] | None:
    """Returns commit and uncommitted changes of the checkout that this runs from; None outside of one."""
    command = ["git", "-C", str(Path(__file__).parent)]
    try:
        commit = subprocess.run([*command, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(
            [
                *command,
                "status",
                "--porcelain",
                "--untracked-files=no",
                ":/src",
                ":/modeling_biglog",
                ":/recipes",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit.stdout.strip(), "modified": [line[3:] for line in changes.stdout.splitlines()]}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
