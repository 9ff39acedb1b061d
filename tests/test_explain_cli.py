"""`biglog explain`: alerts of a log with their lines, words and reasons."""

import json

import pytest
import typer
from explained_groups import CALM, ODD, calm, detector
from typer.testing import CliRunner

from biglog.errors import InputError
from biglog.explain_cli import explain

NODE = "R02-M1-N0-C:J12-U11"
HEADER = f"- 1117838570 2005.06.03 {NODE} 2005-06-03-15.42.50.675872 {NODE} RAS KERNEL INFO "


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector")
    detector().save_pretrained(folder)
    return folder


@pytest.fixture
def log(tmp_path):
    """Four windows of 8 lines; the second and the fourth have the same odd line, at their sixth place."""
    windows = calm(4)
    for window in (windows[1], windows[3]):
        window[5] = ODD
    path = tmp_path / "bgl.log"
    path.write_text("".join(f"{HEADER}{line}\n" for window in windows for line in window), encoding="utf-8")
    return path


def run(*words):
    app = typer.Typer()
    app.command()(explain)
    result = CliRunner().invoke(app, list(map(str, words)), terminal_width=200)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def found(*words):
    return json.loads(run(*words, "--json"))


def test_alerts_are_explained_with_their_lines(log, model):
    groups = found(log, "--model", model, "--window-lines", "8")
    assert {group["group_id"] for group in groups} == {"1", "3"}
    for group in groups:
        assert group["is_anomaly"]
        first = group["shown"][0]
        assert first["line_number"] == int(group["group_id"]) * 8 + 6
        assert first["line"] == HEADER + ODD
        assert first["line"][first["content_start"] :] == ODD
        assert first["words"]
        for word in first["words"]:
            assert first["line"][word["start"] : word["end"]] == word["text"]
        assert group["reasons"]
        assert group["examples"]


def test_one_group_or_alert(log, model):
    [calm_group] = found(log, "--model", model, "--window-lines", "8", "--group", "2")
    assert not calm_group["is_anomaly"]
    groups = found(log, "--model", model, "--window-lines", "8")
    [one] = found(log, "--model", model, "--window-lines", "8", "--alert", groups[0]["alert_id"][:6])
    assert one["group_id"] == groups[0]["group_id"]
    assert len(found(log, "--model", model, "--window-lines", "8", "--top", "1")) == 1


def test_it_is_told_in_words(log, model, tmp_path):
    picture = tmp_path / "attention.svg"
    said = run(log, "--model", model, "--window-lines", "8", "--top", "1", "--picture", picture)
    flat = " ".join(said.split())
    assert "anomaly" in flat
    assert "ciod: failed to read message prefix" in flat
    assert "Reasons" in flat
    assert "Nearest normal group" in flat
    assert picture.read_text(encoding="utf-8").startswith("<svg")


def test_gradients_may_weigh_words(log, model):
    pytest.importorskip("captum")
    asked = (log, "--model", model, "--window-lines", "8", "--top", "1")
    [one] = found(*asked, "--words", "integrated_gradients")
    [other] = found(*asked)
    texts = [[word["text"] for word in group["shown"][0]["words"]] for group in (one, other)]
    assert texts[0] == texts[1]
    assert one["shown"][0]["words"] != other["shown"][0]["words"]


def test_a_calm_log(tmp_path, model):
    path = tmp_path / "calm.log"
    path.write_text("".join(f"{HEADER}{line}\n" for window in calm(4) for line in window))
    assert "No group is an anomaly" in run(path, "--model", model, "--window-lines", "8")


def test_control_characters_do_not_reach_the_terminal(tmp_path, model):
    path = tmp_path / "hostile.log"
    path.write_text("".join(f"{HEADER}{line}\n" for line in [*CALM, "\x1b[31mpanic\x1b]0;x\x07 [bold]no"]))
    said = run(path, "--model", model, "--window-lines", "6")
    assert "\x1b]0" not in said
    assert "\x07" not in said
    assert "[bold]no" in "".join(said.split())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--group", "9"), "there is no group '9'"),
        (("--alert", "zzz"), "no alert begins with 'zzz'"),
        (("--group", "1", "--alert", "a"), "--group and --alert"),
        (("--words", "shap"), "--words cannot be 'shap'"),
    ],
)
def test_what_cannot_be_explained(log, model, words, problem):
    with pytest.raises(InputError, match=problem):
        run(log, "--model", model, "--window-lines", "8", *words)


def test_a_log_without_lines(tmp_path, model):
    empty = tmp_path / "empty.log"
    empty.write_text("")
    with pytest.raises(InputError):
        run(empty, "--model", model)
