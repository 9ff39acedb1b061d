"""The parser as a user has it: where it comes from, what it is told, and what it says of bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hub_server import HubServer
from hub_wire import User
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog import LogParser
from biglog.checkpoints import checkpoint_path
from biglog.errors import CheckpointError, InputError, OutputError
from biglog.inference.parser import save_state
from biglog.tasks.parsing.head import HEAD_FILES
from biglog.tasks.parsing.stream import SCHEMA
from biglog.tasks.parsing.template import Template

LINES = [
    line
    for n, name in enumerate(["ann", "bob", "eve", "kim", "joe", "sue"] * 3)
    for line in (
        f"session opened for user {name} by (uid={n})",
        f"session closed for user {name}",
        f"GET /api/v{n % 3}/users/{n} took {n * 13} ms",
        "connection reset by peer",
    )
]


@pytest.fixture(scope="module")
def head() -> LogParser:
    return LogParser.from_pretrained()


@pytest.fixture
def parser(head: LogParser) -> LogParser:
    """A parser that has been told nothing."""
    return LogParser(head._head)


def templates(parser: LogParser, lines: list[str]) -> list[str]:
    return parser.parse(lines)["template"].to_list()


# -- where it comes from --


def test_the_embedded_parser_is_the_default(head: LogParser) -> None:
    assert head.name == "biglog-mini"
    assert LogParser.from_pretrained("biglog-mini").parse(LINES).equals(head.parse(LINES))


def test_a_folder_is_a_checkpoint(head: LogParser, tmp_path: Path) -> None:
    for name in ("config.json", *HEAD_FILES):
        shutil.copy(checkpoint_path() / name, tmp_path)
    for given_as in (tmp_path, str(tmp_path)):
        loaded = LogParser.from_pretrained(given_as)
        assert loaded.name == str(tmp_path)
        assert loaded.parse(LINES).equals(head.parse(LINES))


def test_what_is_no_checkpoint_with_a_parser(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such folder"):
        LogParser.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        LogParser.from_pretrained(tmp_path)
    shutil.copy(checkpoint_path() / "config.json", tmp_path)
    with pytest.raises(CheckpointError, match=r"has no parser: parser_config\.json is missing.*embedded"):
        LogParser.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="this is a file"):
        LogParser.from_pretrained(tmp_path / "config.json")


def test_a_hub_that_cannot_be_reached() -> None:
    with pytest.raises(CheckpointError, match=r"acme/biglog: not in the cache.*embedded"):
        LogParser.from_pretrained("acme/biglog")


UPLOAD = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
for repo in ("acme/parser", "acme/bare"):
    HfApi().create_repo(repo)
for path in map(Path, sys.argv[1:]):
    HfApi().upload_file(path_or_fileobj=path, path_in_repo=path.name, repo_id="acme/parser")
"""

FETCH = """
import json
from biglog import LogParser
from biglog.errors import CheckpointError
said = {"parsed": LogParser.from_pretrained("acme/parser").parse(["user ann in"])["template"].to_list()}
said["name"] = LogParser.from_pretrained("acme/parser", revision="main").name
for name in ("acme/none", "acme/bare"):
    try:
        LogParser.from_pretrained(name)
    except CheckpointError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


def test_a_hub_id_is_a_checkpoint(head: LogParser, tmp_path: Path) -> None:
    files = [str(checkpoint_path() / name) for name in HEAD_FILES]

    def run(code: str, *words: str, token: str | None = None) -> str:
        env = server.client_environment(tmp_path / "home", token)
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    with HubServer({"hf_writer": User("acme")}) as server:
        run(UPLOAD, *files, token="hf_writer")
        said = json.loads(run(FETCH).splitlines()[-1])
    assert said["parsed"] == templates(head, ["user ann in"])
    assert said["name"] == "acme/parser"
    assert "no such model on the Hub" in said["acme/none"]
    assert "has no parser" in said["acme/bare"]


# -- logs --


def test_a_log_of_nothing_and_of_one_line(parser: LogParser) -> None:
    none = parser.parse([])
    assert none.schema == SCHEMA
    assert none.is_empty()
    assert parser.events([]).is_empty()
    assert parser.propose([]).is_empty()
    one = parser.parse(["user ann logged in"])
    assert one["line_id"].to_list() == [0]
    assert parser.parse(pl.Series([None, None])).select("template", "parameters").rows() == [
        ("", []),
        ("", []),
    ]
    assert parser.events([""])["lines"].to_list() == [1]


def test_lines_are_of_any_iterable(parser: LogParser) -> None:
    expected = parser.parse(LINES)
    assert parser.parse(iter(LINES)).equals(expected)
    assert parser.parse(pl.Series(LINES)).equals(expected)
    assert parser.parse([*LINES, None])[:-1]["event_id"].equals(expected["event_id"])


@pytest.mark.parametrize(
    "lines", ["user ann logged in", [1, 2], [b"a"], [["a"]], pl.Series([1, 2]), ["a", 1], ["\ud800"]]
)
def test_what_is_no_list_of_texts(parser: LogParser, lines: object) -> None:
    for asked in (parser.parse, parser.events, parser.propose):
        with pytest.raises(InputError) as caught:
            asked(lines)  # type: ignore[operator]
        assert "\n" not in str(caught.value)


def test_events_are_counted(parser: LogParser) -> None:
    events = parser.events(LINES)
    assert events["lines"].sum() == len(LINES)
    assert events["lines"].is_sorted(descending=True)
    assert set(events["event_id"]) == set(parser.parse(LINES)["event_id"])
    row = events.filter(pl.col("template") == "connection reset by peer").to_dicts()[0]
    assert (row["lines"], row["normal_forms"], row["example"]) == (18, 1, "connection reset by peer")
    assert 0 <= row["doubt"] <= 1


# -- what the user knows --


def test_known_templates_are_asked_first(parser: LogParser) -> None:
    assert parser.add_templates(["session  opened for <*>", "connection reset by peer"]) is parser
    assert parser.templates == ["connection reset by peer", "session opened for <*>"]
    rows = parser.parse(LINES).to_dicts()
    assert rows[0]["template"] == "session opened for <*>"
    assert rows[0]["parameters"][0]["value"] == "user ann by (uid=0)"
    assert rows[0]["event_id"] == Template("session opened for <*>").event_id


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["a <*>", "<*>"], "template 2: '<.>' has no constant text"),
        (["", "a"], "template 1: '' has no constant text"),
        ([" <*> <*>"], "no constant text"),
        ("user <*>", "one text is no list"),
        (["a", 1], "template 2 is no text but of type int"),
    ],
)
def test_templates_that_are_none(parser: LogParser, told: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parser.add_templates(told)
    assert parser.templates == [], "all or nothing"


def test_labels_are_asked_first_and_teach(parser: LogParser) -> None:
    parser.fit(LINES[:2], ["session opened for user <*> by <*>", "session closed for <*>"])
    found = templates(parser, LINES)
    assert found[4:6] == ["session opened for user <*> by <*>", "session closed for <*>"]


@pytest.mark.parametrize(
    ("contents", "labels", "said"),
    [
        (["user ann in", "user ann in"], ["user <*> in", "<*> ann in"], "label 2: .* has two templates"),
        (["user ann in"], ["user <*> out"], "label 1: .* does not fit"),
        (["user ann in"], [], "1 contents and 0 templates"),
        (["user ann in"], ["<*>"], "no constant text"),
        ([""], [""], "no constant text"),
        ("user ann in", ["user <*> in"], "one text is no list"),
        (["user ann in"], [None], "template 1 is no text"),
    ],
)
def test_labels_that_cannot_be(parser: LogParser, contents: list[str], labels: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        parser.fit(contents, labels)
    assert parser.templates == []


def test_a_label_without_values_is_a_constant_line(parser: LogParser) -> None:
    assert templates(parser.fit(["user ann in"], ["user ann in"]), ["user ann in"]) == ["user ann in"]


def test_tokens_are_kept_and_masked(parser: LogParser) -> None:
    parser.keep("ann", "bob").mask("(?i)KIM", "(?P<a>eve)", "(?P<a>joe)")
    found = dict(zip(LINES, templates(parser, LINES), strict=True))
    assert found["session closed for user ann"] == "session closed for user ann"
    assert found["session closed for user bob"] == "session closed for user bob"
    assert found["session closed for user kim"] == "session closed for user <*>"


@pytest.mark.parametrize("token", ["17", "", "a b", "/var/log/x.log", "10.0.0.1", "a=b", "done.", "[NUM]"])
def test_what_cannot_be_kept(parser: LogParser, token: str) -> None:
    with pytest.raises(InputError, match="cannot be kept"):
        parser.keep("fine", token)
    assert parser._keep == []


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<a>x)(?P<a>y)"])
def test_what_is_no_mask(parser: LogParser, pattern: str) -> None:
    with pytest.raises(InputError, match="no regular expression"):
        parser.mask("fine", pattern)
    assert parser._mask == []


def test_lines_are_made_one_event(parser: LogParser) -> None:
    template = parser.merge("link eth0 up", "link lan is down")
    assert template == "link <*> <*>"
    found = parser.parse(["link eth0 up", "link lan is down", "shut down"])
    assert found["event_id"].n_unique() == 2
    assert found["template"].to_list()[:2] == [template] * 2


@pytest.mark.parametrize("lines", [(), ("a b",), ("a b", "a b"), ("up", "down"), ("17 x", "18 y"), ("", "a")])
def test_lines_that_cannot_be_one_event(parser: LogParser, lines: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        parser.merge(*lines)
    assert parser.templates == []


def test_lines_are_made_an_event_each(parser: LogParser) -> None:
    lines = [f"link up on eth{n}" for n in range(9)] + [f"link down on eth{n}" for n in range(9)]
    assert parser.split(lines[0], lines[-1]) == ["link up on <*>", "link down on <*>"]
    assert len(set(templates(parser, lines))) == 2


@pytest.mark.parametrize("lines", [(), ("a",), ("a  b", "a b"), ("at 17", "at 17"), ("", "")])
def test_lines_that_cannot_be_told_apart(parser: LogParser, lines: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        parser.split(*lines)
    assert parser.templates == []


words = st.lists(
    st.sampled_from(["link", "up", "down", "17", "18", "a=b", "10.0.0.1", "<*>", "é"]), max_size=6
)
two_lines = st.lists(words.map(" ".join), min_size=2, max_size=3)


@settings(max_examples=150)
@given(two_lines)
def test_an_example_is_an_instance_of_its_own_template(head: LogParser, lines: list[str]) -> None:
    told = LogParser(head._head)
    try:
        template = told.merge(*lines)
    except InputError:
        assert told.templates == []
    else:
        assert all(Template(template).spans(line) is not None for line in lines)
    told = LogParser(head._head)
    try:
        found = told.split(*lines)
    except InputError:
        assert told.templates == []
    else:
        assert len(set(found)) == len(lines)
        for line, template in zip(lines, found, strict=True):
            assert Template(template).spans(line) is not None


def test_lines_worth_a_label_are_proposed(parser: LogParser) -> None:
    proposed = parser.propose([*LINES, "z" * 5_000], n=100)
    assert proposed.columns == ["line_id", "content", "template"]
    assert proposed["line_id"].null_count() == 0
    for line, content in proposed.select("line_id", "content").iter_rows():
        assert [*LINES, "z" * 5_000][line].startswith(content)
    labels = proposed.filter(pl.col("template") != "")
    parser.fit(labels["content"], labels["template"])
    assert parser.propose(LINES, n=1).height <= 1


# -- what is kept --


def test_knowledge_is_written_and_read(parser: LogParser, head: LogParser, tmp_path: Path) -> None:
    parser.add_templates(["session <*> für <*>", "a\tb <*>"]).keep("peer").mask("u[0-9]+")
    parser.save_knowledge(tmp_path / "told.json")
    assert [path.name for path in tmp_path.iterdir()] == ["told.json"]
    other = LogParser(head._head).load_knowledge(tmp_path / "told.json")
    assert other.templates == parser.templates
    assert other.parse(LINES).equals(parser.parse(LINES))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("{", "no JSON"),
        ("\udcff", "no JSON"),
        ("[]", "schema"),
        ('{"schema": "biglog-parser-knowledge/0"}', "biglog-parser-knowledge/0"),
        ('{"schema": "biglog-parser-knowledge/1", "templates": "a"}', "templates is missing or no list"),
        (
            '{"schema": "biglog-parser-knowledge/1", "templates": ["<*>"], "keep": [], "mask": []}',
            "no constant",
        ),
        ('{"schema": "biglog-parser-knowledge/1", "templates": ["a"], "keep": [], "mask": ["("]}', "regular"),
        ('{"schema": "biglog-parser-knowledge/1", "templates": ["a"], "keep": ["7"], "mask": []}', "kept"),
    ],
)
def test_knowledge_that_is_none(parser: LogParser, tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "told.json"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=f"told.json: .*{said}"):
        parser.load_knowledge(path)
    assert (parser.templates, parser._keep, parser._mask) == ([], [], [])


def test_knowledge_that_cannot_be_written(parser: LogParser, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        parser.save_knowledge(tmp_path / "no" / "told.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder"):
        parser.save_knowledge(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_stream_is_resumed_with_what_the_parser_knows(
    parser: LogParser, head: LogParser, tmp_path: Path
) -> None:
    stream = parser.add_templates(["session closed for <*>"]).keep("peer").stream()
    stream.parse(pl.Series(LINES))
    save_state(stream, tmp_path / "state.json")
    told = LogParser(head._head).add_templates(["connection <*> peer"]).mask("x+")
    back = told.resume(tmp_path / "state.json")
    assert back.library.templates == ["session closed for <*>", "connection <*> peer"]
    assert (back.rules.keep, back.rules.mask) == (frozenset({"peer"}), ("x+",))
    rows = back.parse(pl.Series(LINES))
    assert rows["line_id"][0] == len(LINES)
    assert "connection <*> peer" in rows["template"].to_list()
    assert back.events()["lines"].sum() == 2 * len(LINES)


def test_a_state_that_is_none(parser: LogParser, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with pytest.raises(InputError, match=r"state\.json: it cannot be read"):
        parser.resume(path)
    path.write_text("{}")
    with pytest.raises(InputError, match=r"state\.json: its schema is None"):
        parser.resume(path)
    stream = parser.stream()
    stream.parse(pl.Series(LINES))
    save_state(stream, path)
    state = json.loads(path.read_text())
    del state["forms"]
    path.write_text(json.dumps(state))
    with pytest.raises(InputError, match=r"state\.json: the state is damaged"):
        parser.resume(path)


# -- sizes --


@pytest.mark.parametrize("known", ["", "begin <*> end", "begin " + "<*> " * 400 + "end"])
def test_very_many_tokens(parser: LogParser, known: str) -> None:
    if known:
        parser.add_templates([known])
    body = [" ".join(f"w{n % 7}" if n % 3 else str(n + k) for n in range(10_000)) for k in range(3)]
    lines = [f"begin {text} end" for text in body] + ["begin " + "1 " * 400 + "end"]
    rows = parser.parse(lines)
    for line, row in zip(lines, rows.to_dicts(), strict=True):
        assert Template(row["template"]).format([each["value"] for each in row["parameters"]]) == line
    if known:
        assert rows["template"][3] == known
    if known == "begin <*> end":
        assert set(rows["template"]) == {known}


@pytest.mark.parametrize("unit", ["x", "a.b-", "1,", " ", "=,", "<*>", "0x1f ", "é"])
def test_contents_of_a_megabyte(parser: LogParser, unit: str) -> None:
    lines = [unit * (1_000_000 // len(unit)), "short"]
    for line, row in zip(lines, parser.parse(lines).to_dicts(), strict=True):
        assert Template(row["template"]).format([each["value"] for each in row["parameters"]]) == line
