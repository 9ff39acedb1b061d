"""Sentences of documentation and of errors, out of Python sources."""

import polars as pl
import pytest

from biglog.data.prose import read_prose, read_texts, sentences
from biglog.errors import InputError

SOURCE = b'''
"""Reads the configuration of a server. It is looked for in three places:

    first = second
"""

def load(path, port):
    """Returns the settings of a running server.

    >>> load("a", 1)
    """
    if not path:
        raise ValueError("No configuration file was found in %s on port %d" % (path, port))
    raise RuntimeError(f"Connection to {path} was refused by the remote host")
'''


def test_sentences_are_those_that_people_read():
    found = sentences(SOURCE)
    assert ("Reads the configuration of a server.", "documentation") in found
    assert ("Returns the settings of a running server.", "documentation") in found
    assert ("No configuration file was found in [NUM] on port [NUM]", "error") in found
    assert ("Connection to [NUM] was refused by the remote host", "error") in found
    assert not [text for text, _ in found if ">>>" in text or "=" in text]


@pytest.mark.parametrize("data", [b"", b"def (", b"\x00", b"x = 1"])
def test_a_file_without_sentences_has_none(data):
    assert sentences(data) == []


def test_a_folder_becomes_a_table(tmp_path):
    (tmp_path / "server-1.0").mkdir()
    (tmp_path / "server-1.0" / "server.py").write_bytes(SOURCE)
    table = read_prose([tmp_path / "server-1.0"])
    assert table.columns == ["text", "kind", "project", "licence"]
    assert table["text"].is_unique().all()
    assert set(table["kind"]) == {"documentation", "error"}
    table.write_parquet(tmp_path / "prose.parquet")
    assert read_texts(tmp_path / "prose.parquet") == sorted(table["text"])


def test_tested_systems_are_left_out(tmp_path):
    (tmp_path / "nova-1.0").mkdir()
    (tmp_path / "nova-1.0" / "server.py").write_bytes(SOURCE)
    with pytest.raises(InputError, match="no sentence"):
        read_prose([tmp_path / "nova-1.0"])


def test_most_sentences_of_a_project_are_spread_over_it(tmp_path):
    lines = [
        f'def f{i}():\n    """Starts the {"abcdefghij"[i % 10]}{"klmnopqrst"[i // 10]} service again."""\n'
        for i in range(100)
    ]
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "module.py").write_text("\n".join(lines))
    assert len(read_prose([tmp_path / "thing"], most=10)) == 10


def test_a_table_that_is_none_is_named(tmp_path):
    pl.DataFrame({"other": ["a"]}).write_parquet(tmp_path / "other.parquet")
    for path in (tmp_path / "other.parquet", tmp_path / "missing.parquet"):
        with pytest.raises(InputError, match="cannot be read"):
            read_texts(path)
