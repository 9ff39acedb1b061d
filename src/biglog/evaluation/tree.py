"""The house as one line a file: what the README shows, written from what the files say of themselves."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

WIDTH = 34

# What can't say it in a first line.
ABOUT = {
    ".ci/run": "A clean machine's path: tests, lint, types, contracts, the wheel, the main job",
    ".gitignore": "What is not committed",
    ".pre-commit-config.yaml": "The linters, on commit",
    "CHANGELOG.md": "What users notice",
    "CITATION.cff": "How to cite the paper and this software",
    "CONTRIBUTING.md": "How to take part, and where things go",
    "EXPERIMENTS.md": "A dated log of what was tried, negatives included",
    "LICENSE": "Apache-2.0",
    "Makefile": "demo, test, slow, lint, bench, reproduce, docs; each works on a fresh clone",
    "README.md": "This page",
    "constraints.txt": "The versions that CI ran",
    "pyproject.toml": "Build system and ruff",
    "src/biglog/data/statements/excluded.txt": "Projects whose logs we are scored on: no statement of theirs",
    "setup.cfg": "Metadata, extras, entry point, pytest, mypy, import contracts",
    "benchmarks/README.md": "How to run the benchmarks",
    "datasets_scripts/statements_sources.csv": "Packages with log statements: versions, licences, checksums",
    "docs/figures.md": "Every figure in full, written by `make docs`",
    "docs/scaling.md": "How to pretrain on many devices, and what it takes",
}

# Folders that are told in one line.
FOLDERS = {
    "model_cards": "One rendered card per checkpoint, and its pictures",
    "results": "One JSON per run, with code version, data checksums, seed, hardware",
    "docs/studies": "The picture of each study",
    "recipes/configs/ablation": "A YAML file is a recipe and what is changed in it, one thing at a time",
    "recipes/configs/accelerate": "`accelerate launch`: CPUs, one machine (DDP, FSDP), several machines",
    "recipes/configs/adapt": "A YAML file is an adaptation: smoke, base, the paper's, a domain's own lines",
    "recipes/configs/pretrain": "A YAML file is a run: smoke, mini (shipped), small, base (the paper's)",
    "recipes/configs/studies": "Plans of the studies that train encoders",
    "src/biglog/checkpoints/biglog-mini": "The embedded checkpoint, laid out as a Hub model repository",
    "src/biglog/templates": "Of the report and the cards",
    "tests": "Mirrors the library; data/ are small real logs, tiny-biglog/ a real checkpoint",
}


def tree(root: Path) -> str:
    """Returns the tree as a Markdown code block.

    Args:
        root: Top folder of the checkout.
    """
    lines: list[str] = []
    shown: set[Path] = set()
    for file in _files(root):
        folder = next((Path(name) for name in FOLDERS if file.is_relative_to(name)), None)
        for parent in reversed((folder or file).parents):
            if parent != Path() and parent not in shown:
                shown.add(parent)
                lines.append(f"{'  ' * (len(parent.parts) - 1)}{parent.name}/")
        if folder is None:
            lines.append(_line(file, _about(root, file)))
        elif folder not in shown:
            shown.add(folder)
            lines.append(_line(folder, FOLDERS[str(folder)], "/"))
    return "\n".join(["```", *lines, "```"])


def _files(root: Path) -> list[Path]:
    """Files that git tracks, or would: folders after files, as a reader looks for them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    files = [Path(name) for name in set(listed) if (root / name).is_file()]
    return sorted(files, key=lambda file: [(part != file.name, part.lower()) for part in file.parts])


def _line(path: Path, about: str, slash: str = "") -> str:
    name = f"{'  ' * (len(path.parts) - 1)}{path.name}{slash}"
    return f"{name:<{WIDTH}}  {about}".rstrip()


def _about(root: Path, file: Path) -> str:
    """First sentence of a module's docstring, a task's title, or what the table above says."""
    if str(file) in ABOUT:
        return ABOUT[str(file)]
    if file.suffix == ".yaml":
        titles = re.findall(r"(?m)^title: (.+)$", (root / file).read_text(encoding="utf-8"))
        return titles[0] if titles else ""
    if file.suffix == ".py":
        text = (ast.get_docstring(ast.parse((root / file).read_text(encoding="utf-8"))) or "").strip()
        return re.split(r"(?<=\.)\s", " ".join(text.split("\n\n")[0].split()) + " ")[0].rstrip(".")
    return ""
