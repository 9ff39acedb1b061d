"""What modes of adaptation are compared on: nothing that is tested was learnt from."""

import polars as pl
import pytest
from data_path import DATA, needs_data

from biglog.evaluation.adaptation_tasks import FORMS_OF_A_DOMAIN, TASKS
from biglog.training.folds import folds

BY_HEAD = {task.head: task for task in TASKS.values()}


def parts(head, seed=0):
    return list(BY_HEAD[head].parts(DATA, seed, tuple(folds())))


@needs_data
def test_alerts_are_asked_of_forms_that_were_not_learnt():
    found = parts("sequence")
    asked = pl.concat([table for part in found for table in part.tested.values()])
    assert len(asked) == 2000
    assert (asked["label"] == "true").sum() == 143
    for part in found:
        (tested,) = part.tested.values()
        assert part.left_out == "BGL"
        assert len(part.learnt) + len(tested) == 2000
        # Lines of one template are together, and so are those of nearly every form.
        shared = set(part.learnt["text"]) & set(tested["text"])
        assert len(shared) <= 2
    assert not found[0].learnt.equals(parts("sequence", 1)[0].learnt)


@needs_data
def test_words_are_asked_of_domains_that_were_not_learnt():
    found = parts("token")
    assert sorted(name for part in found for name in part.tested) == sorted(sum(folds(), ()))
    for part in found:
        assert part.left_out in part.tested
        assert len(part.learnt) <= 12 * FORMS_OF_A_DOMAIN
        assert all(len(table) > 5 for table in part.tested.values())


@needs_data
def test_windows_are_asked_of_later_lines():
    (part,) = parts("window")
    (tested,) = part.tested.values()
    assert (len(part.learnt), len(tested)) == (3000, 1000)
    assert set(part.learnt["text"].list.len()) == {20}
    assert (tested["label"] == "1").sum() > 5


@pytest.mark.parametrize("name", list(TASKS))
def test_each_task_says_how_it_is_done(name):
    assert TASKS[name].protocol
