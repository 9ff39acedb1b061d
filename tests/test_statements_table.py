"""The table of statements: all kinds of sources, what is left out and counted, splits, what is near."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import math
import random
import string
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command import failed, runner
from data_path import DATA, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.executors import LocalExecutor
from biglog.data.schema import SCHEMAS, TABLES
from biglog.data.statements import (
    LEVELS,
    build_statements,
    drop_near,
    drop_near_once,
    near,
    read_forms,
    read_statements,
    split_of_project,
    split_statements,
)
from biglog.data.statements.exclusion import excluded_by
from biglog.data.statements.extract import extract
from biglog.data.statements.fetch import Package, fetch, read_packages
from biglog.data.statements.licences import (
    is_permissive,
    licence_name,
    licence_of_text,
    pom_metadata,
    python_metadata,
)
from biglog.data.statements.near import letters, nearest
from biglog.data.statements.sources import source_trees
from biglog.errors import InputError, OutputError

LINK = """import logging
log = logging.getLogger("link")
log.warning("lost %s after %d ms", peer, waited)
log.info("listening on port %d", port)
log.warning("Lost %s  after %d ms", other, waited)
log.debug("%s", x)
"""
METADATA = """Metadata-Version: 2.1
Name: acme-net
Version: 1.2
Classifier: License :: OSI Approved :: MIT License
"""


def wheel(path: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def sdist(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def rows(frame: pl.DataFrame) -> list[tuple]:
    return frame.select(
        "template", "level", "project", "version", "licence", "path", "line_number", "count"
    ).rows()


def acme_net(place: Path) -> Path:
    packed = {"acme_net-1.2/net/link.py": LINK.encode(), "acme_net-1.2/PKG-INFO": METADATA.encode()}
    return sdist(place / "acme_net-1.2.tar.gz", packed)


LOST = ("lost <*> after <*> ms", "warning", "acme-net", "1.2", "MIT")
LISTENING = ("listening on port <*>", "info", "acme-net", "1.2", "MIT")


def test_a_wheel_an_sdist_a_folder_and_an_environment_say_the_same(tmp_path: Path):
    place = tmp_path / "site-packages"
    info = place / "acme_net-1.2.dist-info"
    info.mkdir(parents=True)
    (place / "net").mkdir()
    (place / "net" / "link.py").write_text(LINK)
    (info / "METADATA").write_text(METADATA)
    (info / "RECORD").write_text("net/link.py,,\nacme_net-1.2.dist-info/METADATA,,\n../../bin/acme,,\n")
    (tmp_path / "pyvenv.cfg").write_text("")
    environment = tmp_path / "lib" / "python3.11"
    environment.mkdir(parents=True)
    place.rename(environment / "site-packages")
    files = {"net/link.py": LINK, "acme_net-1.2.dist-info/METADATA": METADATA}
    made = wheel(tmp_path / "acme_net-1.2-py3-none-any.whl", files)
    source = acme_net(tmp_path)
    wanted = [(*LOST, "net/link.py", 3, 2), (*LISTENING, "net/link.py", 4, 1)]
    for one in (made, source, tmp_path):
        (tree,) = source_trees([one])
        frame, report = extract(tree)
        assert rows(frame) == wanted, one
        assert (report.files, report.calls, report.no_message, report.rows) == (1, 4, 1, 2)
        assert frame["component"].unique().to_list() == ["link"]
        assert frame["parameters"].to_list() == [["peer", "waited"], ["port"]]


def test_what_goes_wrong_is_counted(tmp_path: Path):
    files = {
        "p-1/ok.py": b"import logging\nlogging.error('it broke')\n",
        "p-1/old.py": b"log.info('of old')\nprint 'log'\n",
        "p-1/latin.c": 'void f() { log_error("gr\xf6\xdfer als erlaubt"); }'.encode("latin-1"),
        "p-1/half.java": b'class A { void f() { log.info("one is here"); } }} @@ {',
        "p-1/tests/test_it.py": b"import logging\nlogging.error('made up')\n",
        "p-1/third_party/x.py": b"import logging\nlogging.error('of others')\n",
        "p-1/big.js": b"console.error('packed code');" + b"x" * 30_000,
        "p-1/LICENSE": b"Permission is hereby granted, free of charge, to any person obtaining a copy",
        "p-1/null.py": b"log.info('cut')\0",
    }
    frame, report = extract(source_trees([sdist(tmp_path / "p-1.tar.gz", files)])[0])
    assert frame.select("template", "language").rows() == [
        ("one is here", "java"),
        ("größer als erlaubt", "c"),
        ("it broke", "python"),
    ]
    assert (report.unparsable, report.undecodable, report.damaged, report.aside) == (2, 1, 1, 3)
    assert (report.project, report.version, report.licence) == ("p", "1", "MIT")


def test_a_build_is_the_same_whatever_the_processes(tmp_path: Path):
    sources = []
    for number in range(3):
        made = f"import logging\nlogging.error('failure of kind {string.ascii_letters[number]}x')\n"
        sources.append(sdist(tmp_path / f"q{number}-1.tar.gz", {f"q{number}-1/a.py": made.encode()}))
    one = build_statements(sources, tmp_path / "one.parquet")
    with LocalExecutor(2) as executor:
        two = build_statements(sources, tmp_path / "two.parquet", executor=executor)
    assert one.sha256 == two.sha256 == hashlib.sha256((tmp_path / "one.parquet").read_bytes()).hexdigest()
    frame = read_statements(tmp_path / "one.parquet")
    assert frame.to_arrow().column_names == SCHEMAS["statements"].names
    assert frame["project"].to_list() == ["q0", "q1", "q2"]
    folder = build_statements(sources, tmp_path / "tables")
    assert read_statements(tmp_path / "tables").sort("project").equals(frame)
    record = json.loads((tmp_path / "tables" / "statements" / "build.json").read_text())
    assert record["rows"] == folder.rows == 3
    assert str(tmp_path) not in json.dumps(record)
    for split, part in split_statements(frame).items():
        assert {split_of_project(name) for name in part["project"]} <= {split}


def test_tested_systems_are_left_out_by_name(tmp_path: Path):
    tested = ("apache/hadoop", "org.apache.zookeeper", "pyspark", "python-novaclient", "openssh", "oslo.log")
    assert all(excluded_by(name) for name in tested)
    assert not any(
        excluded_by(name) for name in ("celery", "apache/kafka", "sparkle", "notebook", "alinux-x")
    )
    assert excluded_by("My_Project", ["my-*"]) == "my-*"
    code = b"import logging\nlogging.error('a block was lost')\n"
    sources = [sdist(tmp_path / f"{name}-1.tar.gz", {f"{name}-1/a.py": code}) for name in ("hadoop", "other")]
    report = build_statements(sources, tmp_path / "out.parquet")
    assert report.excluded == {"hadoop": "*hadoop*"}
    assert read_statements(tmp_path / "out.parquet")["project"].to_list() == ["other"]
    by_licence = build_statements([*sources, acme_net(tmp_path)], tmp_path / "out.parquet", permissive=True)
    assert by_licence.excluded == {"hadoop": "*hadoop*", "other": "licence unknown"}
    with pytest.raises(InputError, match="there is no log statement"):
        build_statements(sources, tmp_path / "none.parquet", exclude=["other"])


def by_hand(one: str, other: str) -> float:
    a, b = (Counter(t[i : i + n] for n in (3, 4) for i in range(len(t) - n + 1)) for t in (one, other))
    length = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
    return sum(v * b[k] for k, v in a.items()) / length if length else 0.0


VOCABULARY = ["lost", "block", "of", "node", "peer", "on", "port", "été", "closed", "close"]
WORDS = st.lists(st.sampled_from(VOCABULARY), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(WORDS.map(" ".join), min_size=1, max_size=8),
    forms=st.lists(WORDS.map(" ".join), min_size=1, max_size=8, unique=True),
    least=st.sampled_from([0.5, 0.75, 0.9]),
)
def test_nearest_is_what_a_comparison_of_all_pairs_finds(texts, forms, least):
    found = nearest(pl.Series(texts, dtype=pl.String), pl.Series(forms, dtype=pl.String), least)
    for text, cosine in zip(texts, found, strict=True):
        largest = max(by_hand(text, form) for form in forms)
        assert cosine == pytest.approx(largest if largest > least + 1e-6 else 0, abs=1e-6) or (
            abs(largest - least) < 1e-6
        )


def test_drop_near():
    frame = pl.DataFrame(
        {"template": ["Lost <*> of block 17!", "lost blocks of node <*>", "ok", "quite another thing", ""]}
    )
    kept, report = drop_near(frame, ["lost [NUM] of block", "lost block of nodes <*>", "OK", "<*>"])
    assert kept["template"].to_list() == ["quite another thing", ""]
    assert (report.equal, report.near, report.kept, report.forms) == (2, 1, 2, 3)
    assert report.largest_left is None
    again, proof = drop_near(kept, ["lost [NUM] of block", "OK"])
    assert again.equals(kept)
    assert (proof.equal, proof.near) == (0, 0)
    with pytest.raises(InputError, match="threshold"):
        drop_near(frame, ["x"], threshold=0.1)


def test_near_statements_are_looked_for_once(tmp_path, monkeypatch):
    frame = pl.DataFrame({"template": ["lost <*> of block", "opened <*>", "lost the block <*>"]})
    forms = pl.Series(["lost [NUM] of block"])
    first, report = drop_near_once(frame, forms, tmp_path / "kept")
    assert first.equals(drop_near(frame, forms)[0])
    (place,) = (tmp_path / "kept").iterdir()
    whole = place.read_text()
    monkeypatch.setattr(near, "drop_near", None)
    again, kept = drop_near_once(frame, forms, tmp_path / "kept")
    assert again.equals(first)
    assert kept == report
    # Other texts are asked anew, and so are those of a damaged file.
    for damaged in (whole[:-9], whole.replace('"rows": 3', '"rows": 4'), "[]"):
        place.write_text(damaged)
        with pytest.raises(TypeError):
            drop_near_once(frame, forms, tmp_path / "kept")
    place.write_text(whole)
    with pytest.raises(TypeError):
        drop_near_once(frame.reverse(), forms, tmp_path / "kept")
    monkeypatch.undo()
    assert drop_near_once(frame, forms, None)[0].equals(first)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="corpus_cache"):
        drop_near_once(frame, forms, tmp_path / "file")


def test_drop_near_of_many_in_pieces(monkeypatch):
    import biglog.data.statements.near as near

    drawn = random.Random(7)
    words = ["".join(drawn.choices(string.ascii_lowercase, k=5)) for _ in range(60)]
    texts = [" ".join(drawn.choices(words, k=5)) for _ in range(400)]
    forms = [" ".join(drawn.choices(words, k=5)) for _ in range(90)] + [text[:-3] for text in texts[::9]]
    whole = nearest(letters(pl.Series(texts)), letters(pl.Series(forms)), 0.6)
    monkeypatch.setattr(near, "_PAIRS", 500)
    assert np.allclose(nearest(letters(pl.Series(texts)), letters(pl.Series(forms)), 0.6), whole)
    assert np.count_nonzero(whole) >= 45


@needs_data
def test_the_shared_table():
    frame = read_statements(DATA / "statements" / "statements.csv.gz")
    assert len(frame) == 44_400
    assert frame["project"].n_unique() == 11
    assert set(frame["level"].unique()) == set(LEVELS)
    assert frame["level"].null_count() == 0
    forms = read_forms(DATA / "loghub_2k" / "BGL" / "BGL_2k.log_structured_corrected.csv")
    sample = frame.sample(4_000, seed=1)
    kept, report = drop_near(sample, forms)
    assert report.kept == len(kept) == 4_000 - report.equal - report.near
    assert report.largest_left is None or report.largest_left <= 0.75


def test_reading_what_is_no_table(tmp_path: Path):
    with pytest.raises(InputError, match="no such table"):
        read_statements(tmp_path / "none.parquet")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"template,level\na,info\n")[:-9])
    with pytest.raises(InputError, match=r"cut\.csv\.gz: the table of statements cannot be read"):
        read_statements(tmp_path / "cut.csv.gz")
    (tmp_path / "other.csv").write_text("text,level\na,info\n")
    with pytest.raises(InputError, match="no column 'template'"):
        read_statements(tmp_path / "other.csv")
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(InputError, match=r"bad\.parquet"):
        read_statements(tmp_path / "bad.parquet")


def test_licences():
    assert licence_name("License :: OSI Approved :: Apache Software License") == "Apache-2.0"
    assert licence_name("BSD 3-Clause") == "BSD-3-Clause"
    assert licence_name("GNU Lesser General Public License v3") == "LGPL"
    assert licence_name("Apache-2.0 OR MIT") == "Apache-2.0 OR MIT"
    assert licence_name("whatever we like") is None
    permissive = ("MIT", "Apache-2.0 WITH LLVM-exception AND BSD-3-Clause", "GPL-2.0 OR MIT")
    assert all(map(is_permissive, permissive))
    assert not any(map(is_permissive, (None, "LGPL", "MIT AND MPL-2.0")))
    assert (
        licence_of_text("Apache License\n  Version 2.0, January 2004 ... General Public License")
        == "Apache-2.0"
    )
    assert python_metadata(METADATA) == ("acme-net", "1.2", "MIT")
    pom = (
        "<project><parent><groupId>org.acme</groupId><version>3</version></parent><artifactId>a</artifactId>"
    )
    assert pom_metadata(pom + "<licenses><license><name>The MIT License</name></license></licenses>") == (
        "org.acme",
        "3",
        "MIT",
    )


def test_fetched_packages_are_checked(tmp_path: Path):
    made = wheel(tmp_path / "acme.whl", {"a.py": LINK})
    columns = "kind,name,version,project,licence,file,sha256"
    good = hashlib.sha256(made.read_bytes()).hexdigest()
    listed = tmp_path / "list.csv"
    listed.write_text(f"# packages\n{columns}\nwheel,acme,1,acme/net,MIT,acme.whl,{good}\n")
    (tree,) = fetch(read_packages(listed), tmp_path)
    assert (tree.told.name, tree.told.licence) == ("acme/net", "MIT")
    with pytest.raises(OutputError, match=r"acme\.whl: wrong checksum"):
        fetch([Package("wheel", "acme", "1", "acme", "MIT", "acme.whl", "0" * 64)], tmp_path)
    listed.write_text(f"{columns}\nwheel,acme,1,acme,MIT,acme.whl,\n")
    with pytest.raises(InputError, match="row 1 has no sha256"):
        read_packages(listed)
    listed.write_text(f"{columns}\ncargo,acme,1,acme,MIT,acme.whl,00\n")
    with pytest.raises(InputError, match="unknown kind 'cargo'"):
        read_packages(listed)


def test_the_list_of_the_repository_is_sound():
    rows = read_packages(Path(__file__).parents[1] / "datasets_scripts" / "statements_sources.csv")
    assert len({row.file for row in rows}) == len(rows) > 50
    assert all(len(row.sha256) == 64 for row in rows)
    assert not [row for row in rows if excluded_by(row.name) or excluded_by(row.project)]
    assert {row.licence for row in rows} <= {
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "PostgreSQL",
    }


def test_command(tmp_path: Path, capfd, monkeypatch):
    biglog = runner(capfd, monkeypatch, "datasets", "statements")
    files = {"net/link.py": LINK, "acme_net-1.2.dist-info/METADATA": METADATA}
    made = wheel(tmp_path / "acme_net-1.2.whl", files)
    (tmp_path / "forms.txt").write_text("listening on port 8080\n")
    out = tmp_path / "statements.parquet"
    words = [made, "--out", out, "--drop-near", tmp_path / "forms.txt", "--num-proc", "1"]
    report = json.loads(biglog(*words, "--json").out)
    assert (report["rows"], report["near"]["equal"], report["counts"]["licence"]) == (1, 1, {"MIT": 1})
    assert rows(read_statements(out)) == [(*LOST, "net/link.py", 3, 2)]
    shown = biglog(*words)
    assert (shown.code, shown.err) == (0, "")
    assert "1 statements (1 templates) of 1 project" in shown.out
    failed(biglog(tmp_path / "none", "--out", out), "there is no such source")
    failed(biglog(tmp_path / "forms.txt", "--out", out), "neither a folder nor a zip or tar")


def test_script(tmp_path: Path):
    made = sdist(tmp_path / "acme-1.tar.gz", {"acme-1/link.py": LINK.encode()})
    script = Path(__file__).parents[1] / "datasets_scripts" / "build_statements.py"
    record, out = tmp_path / "record.json", tmp_path / "statements.parquet"
    options = ["--out", out, "--record", record, "--processes", "1", "--exclude", "other"]
    subprocess.run([sys.executable, script, made, *options], check=True)
    told = json.loads(record.read_text())
    assert (told["rows"], told["read"]["calls"], told["language"]) == (2, 4, {"python": 2})
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def test_no_domain_has_statements():
    assert "statements" in SCHEMAS
    assert "statements" not in TABLES
