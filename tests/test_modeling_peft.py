"""PEFT: adapters find their modules without being told, and come back exactly."""

import pytest
import torch
from peft import IA3Config, LoraConfig, PeftModel, TaskType, get_peft_model
from peft.utils import constants
from tiny import HEADS, build, inputs_for, labels_for
from transformers import Trainer, TrainingArguments

from modeling_biglog import (
    BigLogForPreTraining,
    BigLogForSequenceClassification,
    BigLogForWindowClassification,
)

TASKS = {
    "BigLogForSequenceClassification": TaskType.SEQ_CLS,
    "BigLogForTokenClassification": TaskType.TOKEN_CLS,
    "BigLogForWindowClassification": TaskType.SEQ_CLS,
}


def adapted(cls, adapter):
    """A model with an adapter whose every weight has left its initial zero."""
    model = get_peft_model(build(cls), adapter)
    torch.manual_seed(3)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@pytest.mark.parametrize("kind", [LoraConfig, IA3Config])
@pytest.mark.parametrize("cls", HEADS)
def test_adapters_need_no_target_modules_and_come_back_exactly(cls, kind, tmp_path):
    task = TASKS.get(cls.__name__)
    model = adapted(cls, kind(task_type=task))
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert any("bert.encoder.layer.0" in name for name in trained)
    if task is not None:  # the head learns whole, and is kept with the adapter
        heads = [name for name, _ in build(cls).named_parameters() if name.startswith("classifier.")]
        assert len([name for name in trained if ".classifier." in name]) == len(heads)
    model.save_pretrained(tmp_path)
    # The base the adapter goes onto has another random head: only what was saved may decide.
    base = build(cls)
    if task is not None:
        torch.nn.init.normal_(next(p for n, p in base.named_parameters() if n.startswith("classifier.")))
    again = PeftModel.from_pretrained(base, tmp_path).eval()
    inputs = inputs_for(base)
    plain, wanted, got = (m(**inputs).to_tuple()[0] for m in (build(cls), model, again))
    assert torch.equal(wanted, got)
    assert not torch.allclose(plain, wanted, atol=1e-3)


def test_every_table_with_bert_has_us_too():
    tables = {
        n: t for n, t in vars(constants).items() if n.startswith("TRANSFORMERS_MODELS_TO_") and "bert" in t
    }
    assert len(tables) > 20
    for name, table in tables.items():
        assert table["biglog"] == table["bert"], name


@pytest.mark.parametrize(
    "cls", [BigLogForPreTraining, BigLogForSequenceClassification, BigLogForWindowClassification]
)
def test_the_trainer_sees_the_columns_of_an_adapted_model(cls, tmp_path):
    model = get_peft_model(build(cls), LoraConfig(task_type=TASKS.get(cls.__name__)))
    inputs = inputs_for(model.base_model.model)
    inputs |= labels_for(model.base_model.model, inputs)
    rows = [dict(zip(inputs, row, strict=True)) for row in zip(*inputs.values(), strict=True)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=1,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=rows)
    assert trainer.model_accepts_loss_kwargs
    assert trainer.train().training_loss > 0
