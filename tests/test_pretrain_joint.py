"""Objectives on pairs of lines: their batches, their losses, and what is left of them in a checkpoint."""

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from checkpoints import TINY
from data_path import LINES
from test_pretrain import SMOKE
from transformers import AutoModel, AutoTokenizer

from biglog.data.prose import readable
from biglog.errors import CheckpointError, InputError
from biglog.tokenizer import load_tokenizer
from biglog.training import distill
from biglog.training.arguments import PretrainArguments
from biglog.training.distill import Teacher, initial_embeddings, special_rows
from biglog.training.folds import fold_runs, folds
from biglog.training.joint import JointModel, info_nce, joint_model, without_joint_heads
from biglog.training.objectives import UNKNOWN, read_training_statements, statement_lines
from biglog.training.prepared import prepare
from biglog.training.pretrain import _model, build_trainer, pretrain
from biglog.training.record import Clock
from biglog.training.run_folder import RunFolder
from biglog.training.trainer import TokensUntil
from modeling_biglog import BigLogForMaskedLM

STATEMENTS = LINES.parent / "statements.csv"
WEIGHTS = {"tokens": 0.5, "identity": 1.0, "severity": 0.5, "teacher": 1.0}


def joint(output, **changes):
    settings = {
        "output_path": str(output),
        "train_data": [f"{LINES}/*.log"],
        "statements": [str(STATEMENTS)],
        "event_groups": True,
        "identity_weight": 1.0,
        "identity_pairs": 8,
        "severity_weight": 0.5,
        "teacher": str(TINY),
        "teacher_weight": 1.0,
        "teacher_start": True,
        "tokens_weight": 0.5,
        "max_steps": 6,
        "save_steps": 3,
        "logging_steps": 1,
        "eval_steps": 0,
    }
    return PretrainArguments.from_yaml(SMOKE, **(settings | changes))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare(joint(tmp_path_factory.mktemp("prepared")))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    output = tmp_path_factory.mktemp("joint")
    return output, pretrain(joint(output))


def test_a_checkpoint_holds_nothing_but_the_models_own_weights(run):
    output, record = run
    model, info = BigLogForMaskedLM.from_pretrained(output / "tiny-biglog", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not [name for name in model.config.to_dict() if name.startswith("joint_")]
    assert record["objectives"]["statements"] == 10  # one of the projects is for validation
    assert record["objectives"]["teacher"]["name"] == str(TINY)
    assert record["statements"]["distinct"] == 10
    assert sum(row["statements"] for row in record["statements"]["projects"]) == 10
    assert all("loss_tokens" in point for point in record["curve"])
    tokenizer = AutoTokenizer.from_pretrained(output / "tiny-biglog")
    encoded = tokenizer("generating core.2275", return_tensors="pt")
    assert AutoModel.from_pretrained(output / "tiny-biglog")(**encoded).pooler_output.shape == (1, 32)


def test_a_resumed_run_ends_where_an_uninterrupted_one_does(run, tmp_path):
    pretrain(joint(tmp_path))
    (tmp_path / "record.json").unlink()
    for step in sorted(tmp_path.glob("checkpoint-*"))[1:]:
        for file in sorted(step.iterdir()):
            file.unlink()
        step.rmdir()
    pretrain(joint(tmp_path, resume=True))
    one = BigLogForMaskedLM.from_pretrained(run[0] / "tiny-biglog").state_dict()
    other = BigLogForMaskedLM.from_pretrained(tmp_path / "tiny-biglog").state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_batch_is_a_function_of_its_number(prepared):
    one, again, other = (prepared.objectives.batch(number) for number in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(one["input_ids"], again["input_ids"], strict=True))
    shapes = [[tuple(ids.shape) for ids in batch["input_ids"]] for batch in (one, other)]
    assert shapes[0] != shapes[1] or not torch.equal(one["input_ids"][0], other["input_ids"][0])


def test_lines_of_a_batch_stand_where_it_says(prepared):
    objectives = prepared.objectives
    drawn, batch = objectives.draw(5), objectives.batch(5)
    rows = [
        row[mask.bool()].tolist()
        for ids, masks in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        for row, mask in zip(ids, masks, strict=True)
    ]
    texts = [pair.first for pair in drawn] + [pair.second for pair in drawn]
    assert [rows[place] for place in batch["place"]] == objectives._tokens(texts)
    known = [pair.statement >= 0 and objectives.severe[pair.statement] for pair in drawn]
    assert [value for value in batch["severe"].tolist() if value != UNKNOWN] == [
        float(value) for value in known if value is not False
    ]
    assert len(batch["taught"]) == len(batch["teacher"]) > 0


def test_equal_lines_are_no_negatives():
    lines = torch.nn.functional.normalize(
        torch.tensor([[1.0, 0], [1, 0], [0, 1], [1, 0], [1, 0], [0, 1]]), dim=-1
    )
    none, alike = torch.zeros(3, 3, dtype=torch.bool), torch.zeros(3, 3, dtype=torch.bool)
    alike[0, 1] = alike[1, 0] = True
    assert info_nce(lines, alike, 0.1) < 1e-3 < info_nce(lines, none, 0.1)


def test_info_nce_is_the_formula():
    lines = torch.nn.functional.normalize(
        torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    likeness = (lines[:3] @ lines[3:].T / 0.2).exp()
    forth = -(likeness.diag() / likeness.sum(1)).log().mean()
    back = -(likeness.diag() / likeness.sum(0)).log().mean()
    none = torch.zeros(3, 3, dtype=torch.bool)
    assert info_nce(lines, none, 0.2) == pytest.approx(float((forth + back) / 2), abs=1e-6)


def test_without_pairs_the_loss_is_that_of_tokens(prepared):
    start = BigLogForMaskedLM.from_pretrained(TINY)
    model = joint_model(start, weights=WEIGHTS, temperature=0.1, teacher_width=32)
    ids = torch.tensor([[7, 20, 21, 22, 8]])
    labels = torch.tensor([[-100, 20, -100, 22, -100]])
    start.eval(), model.eval()
    expected = start(input_ids=ids, labels=labels).loss
    assert torch.allclose(model(input_ids=ids, labels=labels).loss, expected)
    back = without_joint_heads(model, BigLogForMaskedLM).state_dict()
    assert all(torch.equal(value, back[name]) for name, value in start.state_dict().items())


def test_micro_batches_add_up_to_their_mean(prepared):
    start = BigLogForMaskedLM.from_pretrained(TINY)
    model = joint_model(start, weights=WEIGHTS | {"tokens": 0.0}, temperature=0.1, teacher_width=32).eval()
    pairs = [_within(prepared.objectives.batch(number), len(load_tokenizer(TINY))) for number in (0, 1)]
    ids, labels = torch.tensor([[7, 20, 8]]), torch.tensor([[-100, 20, -100]])
    alone = [model(input_ids=ids, labels=labels, pairs=each).loss.item() for each in pairs]
    model.set_share(2)
    halves = [model(input_ids=ids, labels=labels, pairs=each).loss.item() for each in pairs]
    assert sum(halves) == pytest.approx(sum(alone) / 2, rel=1e-5)


def _within(batch, size):
    """The same batch for another vocabulary."""
    return batch | {"input_ids": [ids % size for ids in batch["input_ids"]]}


def test_the_teacher_reads_each_text_once(tmp_path):
    teacher = Teacher(str(TINY), tmp_path)
    first = teacher.embed(["Connection lost", "Device opened", "Connection lost"])
    assert (first[0] == first[2]).all()
    assert (first[0] != first[1]).any()
    again = Teacher(str(TINY), tmp_path)
    again._model = None  # whatever it says now, it has said before
    assert (again.embed(["Device opened"])[0] == first[1]).all()
    for file in tmp_path.glob("teacher-*.parquet"):
        file.write_bytes(b"damaged")
    assert Teacher(str(TINY), tmp_path).embed(["Device opened"])[0] == pytest.approx(first[1], abs=1e-6)


def test_a_teacher_that_is_not_there_is_named():
    with pytest.raises(CheckpointError, match="not installed"):
        Teacher("package:no_such_package/model")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        Teacher("/no/such/folder")


def test_the_vocabulary_starts_as_the_teachers(prepared):
    tokenizer = load_tokenizer(TINY)
    vectors = Teacher(str(TINY)).vocabulary(tokenizer)
    table = initial_embeddings(vectors, 16, special_rows(tokenizer), seed=0)
    assert table.shape == (len(tokenizer), 16)
    assert float(table.std()) == pytest.approx(0.022, abs=0.005)
    assert torch.equal(table, initial_embeddings(vectors, 16, special_rows(tokenizer), seed=0))


def test_a_teacher_reads_words_for_mask_tokens():
    assert readable("port [NUM] of [IP]") == "port a number of an ip address"
    assert readable("") == "nothing"


def test_statements_are_training_lines_and_nothing_held_out(prepared):
    train = prepared.corpus.train
    assert {"statements"} < set(train["domain"])
    held = set(prepared.corpus.held_out["normal_form"])
    assert not held & set(train["normal_form"])


def test_statements_near_a_left_out_form_are_dropped():
    tested = pl.Series(["Region [NUM] created", "Opened device [FILE]"])
    kept, account = read_training_statements([STATEMENTS], tested)
    assert account["near_left_out"] > 0
    assert not {"Region <*> created", "Opened device <*>"} & set(kept["template"])
    without = read_training_statements([STATEMENTS], tested.head(0))[0]
    assert {"Region <*> created", "Opened device <*>"} & set(without["template"])


def test_tables_of_statements_are_joined_and_found_where_they_are(tmp_path, monkeypatch):
    other = tmp_path / "runs" / "mine.csv"
    other.parent.mkdir()
    other.write_text("template,level,project\nlost the <*> lease,warning,mine\n")
    monkeypatch.chdir(tmp_path)
    given = joint(tmp_path, data_root=str(STATEMENTS.parent), statements=[STATEMENTS.name, "runs/mine.csv"])
    assert given.statement_paths == [STATEMENTS, Path("runs/mine.csv")]
    nothing = pl.Series([], dtype=pl.String)
    both, account = read_training_statements(given.statement_paths, nothing)
    one, _ = read_training_statements([STATEMENTS], nothing)
    assert set(both["template"]) == set(one["template"]) | {"lost the <*> lease"}
    assert set(account["sha256"]) == {"statements.csv", "mine.csv"}


def test_what_the_teacher_said_is_kept_in_shards_and_a_damaged_one_is_said_again(tmp_path, monkeypatch):
    monkeypatch.setattr(distill, "SHARD", 2)
    texts = ["disk full", "node up", "link down"]
    said = Teacher(str(TINY), tmp_path).embed(texts)
    shards = sorted(tmp_path.rglob("*.parquet"))
    assert len(shards) == 2
    shards[0].write_bytes(b"cut")
    again = Teacher(str(TINY), tmp_path)
    lacking = []
    compute = again._compute
    monkeypatch.setattr(again, "_compute", lambda some: lacking.extend(some) or compute(some))
    np.testing.assert_allclose(again.embed(texts), said, atol=1e-6)
    assert 0 < len(lacking) < 3


def test_a_statement_that_is_held_out_does_not_come_back(prepared):
    corpus = prepared.corpus
    held = corpus.held_out.head(1)
    statements, _ = read_training_statements([STATEMENTS], held["normal_form"].head(0))
    smuggled = statements.head(1).with_columns(template=held["normal_form"])
    assert held["normal_form"][0] not in set(statement_lines(smuggled, corpus).train["normal_form"])


def test_every_domain_is_left_out_once():
    parts = folds(4)
    assert sorted(name for part in parts for name in part) == sorted(
        name for part in folds(1) for name in part
    )
    assert all(len(part) == 4 for part in parts)


def test_runs_of_folds_have_folders_and_seeds_of_their_own(tmp_path):
    runs = list(fold_runs(joint(tmp_path), seeds=[0, 1]))
    assert len(runs) == len({arguments.output_path for _, arguments in runs}) == 8
    assert {arguments.seed for _, arguments in runs} == {0, 1}
    assert {name for _, arguments in runs for name in arguments.leave_out} == {
        n for part in folds() for n in part
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"statements": [], "event_groups": False}, "identity_weight needs statements or events"),
        ({"statements": [], "identity_weight": 0.0}, "severity_weight needs statements"),
        ({"teacher": None, "teacher_start": False}, "teacher_weight needs a teacher"),
        ({"identity_temperature": 0.0}, "identity_temperature must be positive"),
        ({"identity_pairs": 1}, "identity_pairs must be more than one"),
        ({"event_share": 1.5}, "event_share must lie between 0 and 1"),
    ],
)
def test_objectives_that_lack_something_are_refused(tmp_path, changes, problem):
    with pytest.raises(InputError, match=problem):
        joint(tmp_path, **changes)


def test_labels_of_an_unlabelled_domain_are_refused(tmp_path):
    arguments = dataclasses.replace(joint(tmp_path), event_labels=("HDFS",), data_root=str(tmp_path))
    with pytest.raises(InputError):
        prepare(arguments)


def test_the_joint_model_is_none_of_the_payload(run):
    assert JointModel._auto_class is None
    assert not list((run[0] / "tiny-biglog").glob("*.py"))


def test_once_tokens_are_the_heads_alone_the_encoder_gets_none_of_their_gradient(prepared):
    start = BigLogForMaskedLM.from_pretrained(TINY)
    model = joint_model(start, weights=WEIGHTS, temperature=0.1, teacher_width=32).train()
    ids, labels = torch.tensor([[7, 20, 21, 8]]), torch.tensor([[-100, 20, -100, -100]])
    query = model.bert.encoder.layer[0].attention.self.query.weight
    for reaches in (True, False):
        model.zero_grad()
        model.tokens_reach_encoder = reaches
        model(input_ids=ids, labels=labels).loss.backward()
        assert (query.grad is not None and bool(query.grad.any())) == reaches
        assert model.cls.predictions.transform.dense.weight.grad.any()
    pairs = _within(prepared.objectives.batch(0), len(load_tokenizer(TINY)))
    model(input_ids=ids, labels=labels, pairs=pairs).loss.backward()
    assert query.grad.any()


def test_tokens_reach_the_encoder_for_a_share_of_the_steps(tmp_path):
    seen = []

    class Spy(TokensUntil):
        def on_step_begin(self, args, state, control, **kwargs):
            super().on_step_begin(args, state, control, **kwargs)
            seen.append(self._model.tokens_reach_encoder)

    arguments = joint(tmp_path, tokens_until=0.5)
    prepared = prepare(arguments)
    folder = RunFolder(tmp_path)
    folder.create()
    folder.begin(arguments, prepared.fingerprint, prepared.tokenizer)
    trainer = build_trainer(arguments, prepared, _model(arguments, prepared), folder, Clock())
    trainer.callback_handler.callbacks = [
        Spy(one._model, one._share) if isinstance(one, TokensUntil) else one
        for one in trainer.callback_handler.callbacks
    ]
    trainer.train()
    assert seen == [True] * 3 + [False] * 3


def test_texts_for_the_teacher_come_with_pairs_and_change_no_pair(prepared, tmp_path):
    texts = ["the server refused the connection", "no space is left on the device"]
    pl.DataFrame({"text": texts}).write_parquet(tmp_path / "prose.parquet")
    given = prepare(
        joint(tmp_path, teacher_texts=str(tmp_path / "prose.parquet"), teacher_lines=3)
    ).objectives
    alone, batch = prepared.objectives.batch(2), given.batch(2)
    pairs = 2 * len(batch["severe"])
    assert torch.equal(batch["alike"], alone["alike"])
    assert len(batch["place"]) == pairs + 3
    assert batch["taught"][-3:].tolist() == [pairs, pairs + 1, pairs + 2]
    expected = Teacher(str(TINY)).embed(given.texts(2))
    assert torch.allclose(batch["teacher"][-3:], torch.from_numpy(expected), atol=1e-6)
    assert given.record["prose"] == 2


def test_words_of_all_lines_are_looked_up_once(prepared, tmp_path):
    model = _model(joint(tmp_path), prepared).eval()
    batch = dataclasses.replace(prepared.objectives, chunk=4).batch(2)
    chunks = list(zip(batch["input_ids"], batch["attention_mask"], strict=True))
    looked_up = []
    model.get_input_embeddings().register_forward_hook(lambda *_: looked_up.append(1))
    together = model._pooled(chunks)
    assert len(looked_up) == 1
    assert len(chunks) > 1
    for (ids, mask), lines in zip(chunks, together, strict=True):
        assert torch.equal(lines, model.bert(input_ids=ids, attention_mask=mask).pooler_output)
