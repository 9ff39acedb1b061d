"""The start on pairs: what is trained, what is left as it was, and that layers add next to nothing after."""

import pytest
import torch
from test_pretrain_joint import joint

from biglog.errors import InputError
from biglog.training.prepared import prepare
from biglog.training.pretrain import _model, pretrain
from modeling_biglog import BigLogForMaskedLM
from modeling_biglog.functional_biglog import masked_mean


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    arguments = joint(tmp_path_factory.mktemp("warm"), warm_start_steps=40, warm_start_pairs=16)
    prepared = prepare(arguments)
    return prepared, _model(joint("cold"), prepared), _model(arguments, prepared)


def test_the_embeddings_learn_the_pairs(started):
    prepared, cold, warm = started
    batch = prepared.objectives.batch(12345)
    before, after = (float(model.weighted(model.pair_losses(batch)).detach()) for model in (cold, warm))
    assert after < 0.9 * before


def test_layers_begin_as_if_they_were_not_there(started):
    _, _, warm = started
    bert, last = warm.bert.eval(), warm.bert.encoder.layer[-1].output.LayerNorm
    ids = torch.tensor([[7, 20, 21, 22, 8]])
    mask = torch.ones_like(ids)
    bag = masked_mean(last(bert.embeddings(input_ids=ids)), mask)
    assert torch.allclose(bert(input_ids=ids, attention_mask=mask).pooler_output, bag, atol=0.05)
    assert torch.equal(bert.embeddings.LayerNorm.weight, torch.ones_like(bert.embeddings.LayerNorm.weight))


def test_a_resumed_run_does_not_start_anew(tmp_path):
    settings = {"warm_start_steps": 5, "warm_start_pairs": 8, "max_steps": 4, "save_steps": 2}
    pretrain(joint(tmp_path / "whole", **settings))
    pretrain(joint(tmp_path / "cut", **settings))
    (tmp_path / "cut" / "record.json").unlink()
    last = tmp_path / "cut" / "checkpoint-4"
    for file in sorted(last.iterdir()):
        file.unlink()
    last.rmdir()
    pretrain(joint(tmp_path / "cut", **settings, resume=True))
    weights = [
        BigLogForMaskedLM.from_pretrained(tmp_path / name / "tiny-biglog").state_dict()
        for name in ("whole", "cut")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_start_without_pairs_is_refused(tmp_path):
    nothing = {"identity_weight": 0.0, "severity_weight": 0.0, "teacher_weight": 0.0}
    with pytest.raises(InputError, match="warm_start_steps needs an objective on pairs"):
        joint(tmp_path, warm_start_steps=5, **nothing)
