"""The shipped checkpoint elsewhere: sentence-transformers, PEFT, and what they make of a line."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModel, AutoTokenizer, pipeline

from biglog import hub
from biglog.checkpoints import checkpoint_path
from biglog.inference.encoder import LogEncoder

LINES = [
    "generating core.2275",
    "session opened for user root by (uid=0)",
    "Receiving block blk_-1608999687919862906 src: /10.250.19.102:54106 dest: /10.250.19.102:50010",
    "ciod: Error reading message prefix on CioStream socket to 172.16.96.116:33399, Link has been severed",
    "fault " * 400,
]


@pytest.fixture(scope="module", params=["ours", "bert"])
def saved(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / request.param
    return hub.save(folder, checkpoint=checkpoint_path(), bert=request.param == "bert")


def test_sentence_transformers_reads_it_and_embeds_as_the_encoder_does(saved):
    module = pytest.importorskip("sentence_transformers")
    model = module.SentenceTransformer(str(saved), device="cpu", local_files_only=True)
    assert [type(part).__name__ for part in model] == ["Transformer", "Pooling"]
    assert model.max_seq_length == 150
    expected = LogEncoder.from_pretrained().encode(LINES)
    np.testing.assert_allclose(model.encode(LINES), expected, atol=2e-6, rtol=1e-5)
    similar = model.similarity(model.encode(LINES[:2]), model.encode(LINES[:2]))
    assert torch.allclose(similar.diagonal(), torch.ones(2))


def test_its_files_say_what_they_say_to_any_version(saved):
    read = {
        name: json.loads((saved / name).read_text()) for name in ("modules.json", "1_Pooling/config.json")
    }
    assert [(part["path"], part["type"].rpartition(".")[2]) for part in read["modules.json"]] == [
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
    ]
    pooling = read["1_Pooling/config.json"]
    assert pooling.pop("word_embedding_dimension") == LogEncoder.from_pretrained().hidden_size
    assert [name for name, chosen in pooling.items() if chosen] == ["pooling_mode_mean_tokens"]


def test_a_layout_without_these_files_may_be_written_over(saved, tmp_path):
    target = tmp_path / "biglog"
    hub.save(target)
    (target / "1_Pooling" / "config.json").write_text("{}")
    assert hub.save(target) == target
    assert json.loads((target / "1_Pooling" / "config.json").read_text())["pooling_mode_mean_tokens"]


def test_pipelines_and_peft_read_what_was_saved(saved, tmp_path):
    features = pipeline("feature-extraction", model=str(saved))(LINES[0])
    assert len(features[0][0]) == LogEncoder.from_pretrained().hidden_size
    assert len(pipeline("fill-mask", model=str(saved))("session [MASK] for user root")) == 5
    adapted = get_peft_model(AutoModel.from_pretrained(saved), LoraConfig(init_lora_weights=False))
    adapted.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(AutoModel.from_pretrained(saved), tmp_path).eval()
    batch = AutoTokenizer.from_pretrained(saved)(LINES[:3], padding=True, return_tensors="pt")
    plain = AutoModel.from_pretrained(saved).eval()(**batch).last_hidden_state
    with torch.inference_mode():
        one, other = (model(**batch).last_hidden_state for model in (adapted.eval(), again))
    assert torch.equal(one, other)
    assert not torch.allclose(one, plain, atol=1e-3)
