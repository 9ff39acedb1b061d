"""Datasets on a loopback Hub: published by the real client, loaded back by `load_dataset` elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from data_path import DATA, needs_data
from hub_server import HubServer
from hub_wire import User
from huggingface_hub import constants
from loghub_archives import write_archive

from biglog.data.archives.published import CITATION, NOTICE
from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS, TABLES
from biglog.data.tables.build import build
from biglog.data.tables.built import find_domains
from biglog.dataset_repository import assemble_datasets, publish_datasets
from biglog.errors import InputError, OutputError
from biglog.logs.domains import DOMAINS

USERS = {"hf_writer": User("acme"), "hf_reader": User("acme", can_write=False), "hf_other": User("other")}
REPO = "acme/loghub"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BGL and HDFS, from archives of five lines each."""
    return build_tiny(("BGL", "HDFS"), tmp_path_factory.mktemp("built"))


def build_tiny(names: Iterable[str], place: Path) -> Path:
    for name in names:
        write_archive(name, place / "archives")
        build(name, place / "archives", place / "tables", executor=LocalExecutor(1))
    return place / "tables"


@pytest.fixture
def server():
    with HubServer(USERS) as running:
        yield running


@pytest.fixture
def here(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """Points this process's own client to the Hub, as the variables would have before the import."""
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", "hf_writer")
    return server


LOAD = """
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
from pathlib import Path
from datasets import Features, get_dataset_config_names, load_dataset, load_dataset_builder

assert "biglog" not in sys.modules
repo, built, streams = sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(",")
got = {"configs": sorted(get_dataset_config_names(repo)), "tables": {}}
got["default"] = load_dataset_builder(repo).config.name
for folder in sorted(built.glob("*/*/")):
    domain, table = folder.parts[-2:]
    name = domain if table in ("lines", domain) else f"{domain}-{table}"
    if name not in got["configs"]:
        continue
    loaded = load_dataset(repo, name)
    for split in ("train", "validation", "test"):
        parts = [pq.read_table(path) for path in sorted(folder.glob(f"{split}-*.parquet"))]
        wanted = pa.concat_tables(parts) if parts else None
        if wanted is None or not len(wanted):
            assert split not in loaded, (name, split)
            continue
        rows = loaded[split].data.table
        assert rows.schema.equals(wanted.schema), (rows.schema, wanted.schema)
        assert rows.equals(wanted), name
        if domain in streams:
            streamed = list(load_dataset(repo, name, split=split, streaming=True))
            assert streamed == wanted.to_pylist() or streamed == loaded[split].to_list(), name
        got["tables"][f"{name}/{split}"] = len(rows)
print(json.dumps(got))
"""


def load_elsewhere(server: HubServer, folder: Path, built: Path, streams: str) -> dict:
    """Loads everything in a process that knows nothing but the Hub, and compares it with what was built."""
    folder.mkdir(exist_ok=True)
    env = server.client_environment(folder / "home")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, REPO, str(built), streams],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(built: Path) -> dict[str, int]:
    return {
        f"{domain.name}{'' if table.name == 'lines' else f'-{table.name}'}/{split.name}": split.rows
        for domain in find_domains(built)
        for table in domain.tables
        for split in table.splits
        if split.rows
    }


def test_round_trip(here: HubServer, tmp_path: Path):
    built = build_tiny(("BGL", "HDFS", "Hadoop", "Linux"), tmp_path / "built")
    result = publish_datasets(built, REPO)
    assert (result.url, result.changed) == (f"{here.url}/datasets/{REPO}", True)
    card = here.repos["dataset", REPO]
    text = card.content(card.entry("main", "README.md")[1]).decode()
    assert 'load_dataset("acme/loghub", "HDFS", split="train", streaming=True)' in text
    got = load_elsewhere(here, tmp_path / "elsewhere", built, "BGL,HDFS")
    assert got["tables"] == rows_of(built)
    tables = ("", "-windows")
    wanted = {f"{name}{table}" for name in ("BGL", "HDFS", "Hadoop", "Linux") for table in tables}
    assert set(got["configs"]) == wanted | {"Hadoop-failures"}
    assert got["default"] == "HDFS"


@pytest.mark.slow
@needs_data
def test_round_trip_of_all_samples_with_their_ground_truth(here: HubServer, tmp_path: Path):
    for name in DOMAINS:
        build(name, DATA / "loghub_2k" / name, tmp_path / "tables", executor=LocalExecutor(1))
    publish_datasets(tmp_path / "tables", REPO)
    got = load_elsewhere(here, tmp_path / "elsewhere", tmp_path / "tables", ",".join(DOMAINS))
    assert got["tables"] == rows_of(tmp_path / "tables")
    assert sum(rows for name, rows in got["tables"].items() if "-" not in name) == 32_000
    assert got["tables"]["Android-templates/test"] == 4_000
    assert got["tables"]["BGL-templates/test"] == 6_000


def test_second_publish_makes_no_commit(here: HubServer, built: Path):
    first = publish_datasets(built, REPO)
    sent = len([r for r in here.requests if r.method == "PUT" or "/commit/" in r.path])
    second = publish_datasets(built, REPO)
    assert len([r for r in here.requests if r.method == "PUT" or "/commit/" in r.path]) == sent
    assert (second.changed, second.commit) == (False, first.commit)
    repo = here.repos["dataset", REPO]
    assert [commit.title for commit in repo.history("main")] == ["Publish BGL, HDFS", "initial commit"]
    sizes = {path: entry.size for path, entry in repo.resolve("main").files.items()}
    assert {file.path: file.size for file in first.files} == {
        path: size for path, size in sizes.items() if path != ".gitattributes"
    }


def test_dry_run_lists_the_files_and_sends_nothing(here: HubServer, built: Path):
    result = publish_datasets(built, REPO, dry_run=True)
    assert here.requests == []
    assert (result.commit, result.changed, result.dry_run) == (None, False, True)
    assert asdict(publish_datasets(built, REPO))["files"] == asdict(result)["files"]


def test_shards_that_are_gone_are_deleted(here: HubServer, tmp_path: Path):
    """Were they left, `load_dataset` would take them for rows of the split."""
    built = build_tiny(["BGL"], tmp_path)
    train = built / "BGL" / "lines" / "train-00000-of-00001.parquet"
    rows = pq.read_table(train)
    for number, part in enumerate((rows.slice(0, 1), rows.slice(1))):
        pq.write_table(part, train.with_name(f"train-0000{number}-of-00002.parquet"))
    kept = train.read_bytes()
    train.unlink()
    publish_datasets(built, REPO)
    for path in train.parent.glob("train-*"):
        path.unlink()
    train.write_bytes(kept)
    publish_datasets(built, REPO)
    files = here.repos["dataset", REPO].resolve("main").files
    assert [Path(name).name for name in files if "BGL/lines/train" in name] == [train.name]


def test_tables_that_the_build_lacks_are_not_lost(here: HubServer, built: Path, tmp_path: Path):
    publish_datasets(built, REPO)
    alone = tmp_path / "alone"
    shutil.copytree(built / "BGL", alone / "BGL")
    with pytest.raises(OutputError, match=r"holds tables that this build lacks: HDFS/lines, HDFS/windows"):
        publish_datasets(alone, REPO)
    assert len(list(here.repos["dataset", REPO].history("main"))) == 2


def test_branch(here: HubServer, built: Path):
    result = publish_datasets(built, REPO, revision="next", private=True)
    repo = here.repos["dataset", REPO]
    assert repo.private
    assert (result.revision, repo.branches["next"]) == ("next", result.commit)
    assert list(repo.resolve("main").files) == [".gitattributes"]


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("hf_wrong", r"does not accept the token; the dataset acme/loghub is not published.*hf auth login"),
        ("hf_reader", r"may not write to acme/loghub.*write permission"),
        ("hf_other", r"may not write to acme/loghub.*member of 'acme'"),
    ],
)
def test_token_that_may_not(here: HubServer, built: Path, token: str, problem: str):
    with pytest.raises(OutputError, match=problem):
        publish_datasets(built, REPO, token=token)
    assert here.repos == {}


def test_no_token_and_no_owner(here: HubServer, built: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match=r"needs a token.*HF_TOKEN"):
        publish_datasets(built, REPO)
    with pytest.raises(InputError, match=r"has no owner.*<owner>/loghub"):
        publish_datasets(built, "loghub")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_assembling_again_gives_the_same_bytes(built: Path, tmp_path: Path):
    first, second = (contents(assemble_datasets(built, tmp_path / name)) for name in "ab")
    assert first == second
    assert first["LICENSE"].decode() == NOTICE
    assert first["CITATION"].decode() == CITATION
    # Again over an earlier layout, of a build that has less.
    alone = tmp_path / "alone"
    shutil.copytree(built / "BGL", alone / "BGL")
    assert set(contents(assemble_datasets(alone, tmp_path / "a"))) < set(first)
    assert contents(assemble_datasets(built, tmp_path / "a")) == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "alone", "b"]
    linked = tmp_path / "b" / "data" / "BGL" / "lines" / "train-00000-of-00001.parquet"
    assert linked.samefile(built / "BGL" / "lines" / linked.name)


def test_card_says_what_was_built(built: Path, tmp_path: Path):
    text = (assemble_datasets(built, tmp_path / "repo") / "README.md").read_text()
    block = text.split("---\n")[1]
    metadata = yaml.safe_load(block)
    assert (metadata["license"], metadata["license_name"], metadata["license_link"]) == (
        "other",
        "loghub",
        "LICENSE",
    )
    configs = {config["config_name"]: config for config in metadata["configs"]}
    assert configs["HDFS"]["default"]
    assert configs["BGL"]["data_files"] == [
        {"split": "train", "path": "data/BGL/lines/train-*.parquet"},
        {"split": "test", "path": "data/BGL/lines/test-*.parquet"},
    ]
    infos = {info["config_name"]: info for info in metadata["dataset_info"]}
    assert set(infos) == set(configs)
    assert [split["num_examples"] for split in infos["BGL"]["splits"]] == [4, 1]
    assert metadata["size_categories"] == "n<1K"
    assert all(f"`{column}`" in text for table in TABLES for column in SCHEMAS[table].names)
    for domain in find_domains(built):
        for sha256 in domain.record["files"].values():
            assert sha256 in text
        for quirk in domain.record["quirks"]:
            assert quirk in text
    assert NOTICE.strip() in text
    assert CITATION.strip() in text
    assert "Here, of 5 lines: `-` 5." in text


def test_target_that_is_not_ours(built: Path, tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "README.md").write_text("# Mine\n")
    with pytest.raises(OutputError, match="holds something other than a dataset repository"):
        assemble_datasets(built, tmp_path / "notes")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="this is a file"):
        assemble_datasets(built, tmp_path / "file")
    assert (tmp_path / "notes" / "README.md").read_text() == "# Mine\n"


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "tables")
    return tmp_path / "tables"


def test_build_that_is_not_whole(copy: Path, tmp_path: Path):
    out = tmp_path / "repo"
    with pytest.raises(InputError, match=r"no built tables here.*biglog datasets build"):
        assemble_datasets(tmp_path / "nowhere", out)
    shard = copy / "BGL" / "lines" / "train-00000-of-00001.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9])
    with pytest.raises(InputError, match=rf"{shard.name}: this shard is damaged or cut short.*again"):
        assemble_datasets(copy, out)
    pq.write_table(pa.table({"line_id": [1]}), shard)
    with pytest.raises(InputError, match="other columns than a table of lines"):
        assemble_datasets(copy, out)
    shard.rename(shard.with_name("train-00000-of-00002.parquet"))
    with pytest.raises(InputError, match="shards of the split 'train' are missing"):
        assemble_datasets(copy, out)
    record = copy / "BGL" / "build.json"
    record.unlink()
    with pytest.raises(InputError, match=r"build of BGL is not finished.*Build the domain again"):
        assemble_datasets(copy, out)
    assert not out.exists()


def test_record_that_lacks_something(copy: Path, tmp_path: Path):
    record = copy / "BGL" / "build.json"
    told = json.loads(record.read_text())
    del told["quirks"]
    record.write_text(json.dumps(told))
    with pytest.raises(InputError, match=r"lacks what the card says: KeyError\('quirks'\)"):
        assemble_datasets(copy, tmp_path / "repo")
    record.write_text("{")
    with pytest.raises(InputError, match=r"build\.json: the build's record cannot be read"):
        assemble_datasets(copy, tmp_path / "repo")
