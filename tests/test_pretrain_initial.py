"""Starting from a general checkpoint: a BERT that knows no mask token, with another vocabulary."""

import json
import string

import pytest
import torch
from test_pretrain import smoke
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from biglog.errors import CheckpointError, InputError
from biglog.tokenizer import RESERVED_TOKENS, load_tokenizer
from biglog.training.arguments import PretrainArguments
from biglog.training.initial import initial_model
from biglog.training.prepared import prepare
from biglog.training.pretrain import pretrain
from biglog.training.vocabulary import old_pieces, swap_vocabulary
from modeling_biglog import BigLogForMaskedLM

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["number", "time", "address", "code", "file", "the", "connect", "##ion", "session", "open", "##ed"]


@pytest.fixture(scope="module")
def general(tmp_path_factory):
    """A general BERT: its special tokens at other ids than ours, no mask tokens, 512 positions."""
    folder = tmp_path_factory.mktemp("general")
    letters = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*SPECIAL, *WORDS, *letters]) + "\n")
    tokenizer = BertTokenizerFast(str(vocabulary), do_lower_case=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        initializer_range=0.2,
    )
    model = BertForMaskedLM(shape)
    torch.nn.init.normal_(model.cls.predictions.bias)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def swapped(general, tmp_path_factory):
    """A finished run that started from it with a vocabulary of its own."""
    output = tmp_path_factory.mktemp("run")
    record = pretrain(smoke(output, initial_checkpoint=str(general), swap_vocabulary=True, vocab_size=300))
    return output, record


def test_a_run_with_a_swapped_vocabulary_learns_and_loads(general, swapped):
    output, record = swapped
    config = json.loads((output / "tiny-biglog" / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"], config["max_position_embeddings"]) == (
        16,
        2,
        512,
    )
    assert config["vocab_size"] == record["tokenizer"]["vocab_size"] <= 300
    assert record["curve"][-1]["loss"] < record["curve"][0]["loss"]
    tokenizer = load_tokenizer(output / "tiny-biglog")
    assert tokenizer.convert_tokens_to_ids(list(RESERVED_TOKENS)) == list(range(10))
    logits = AutoModelForMaskedLM.from_pretrained(output / "tiny-biglog")(
        **tokenizer("opened file /tmp/x", return_tensors="pt")
    ).logits
    assert logits.shape[-1] == len(tokenizer)


def test_shared_tokens_keep_their_rows_and_others_get_the_mean_of_their_pieces(general, swapped):
    tokenizer, known = load_tokenizer(swapped[0] / "tiny-biglog"), BertTokenizerFast.from_pretrained(general)
    arguments = smoke(swapped[0], initial_checkpoint=str(general), swap_vocabulary=True)
    model, before = initial_model(arguments, tokenizer), BertForMaskedLM.from_pretrained(general)
    rows, old = model.get_input_embeddings().weight, before.get_input_embeddings().weight
    bias, old_bias = model.cls.predictions.bias, before.cls.predictions.bias
    new, was = tokenizer.get_vocab(), known.get_vocab()
    for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##a", "z"):
        assert torch.equal(rows[new[token]], old[was[token]]), token
        assert bias[new[token]] == old_bias[was[token]], token
    for token, word in (
        ("[NUM]", "number"),
        ("[TIMESTAMP]", "time"),
        ("[IP]", "address"),
        ("[FILE]", "file"),
    ):
        assert torch.equal(rows[new[token]], old[was[word]]), token
    others = [token for token in new if token not in was and token.isalpha() and len(token) > 2]
    assert len(others) > 30
    for token in others:
        ids = known(token, add_special_tokens=False)["input_ids"]
        assert torch.allclose(rows[new[token]], old[ids].mean(0), atol=1e-6), token
    # What the general vocabulary has no letters for lies in the middle of all that it has.
    assert torch.allclose(rows[new["9"]], old.mean(0), atol=1e-6)
    assert model.cls.predictions.decoder.weight is rows
    assert model.config.vocab_size == len(tokenizer)


def test_the_same_vocabulary_swapped_changes_no_logit(general):
    known = BertTokenizerFast.from_pretrained(general)
    model = BigLogForMaskedLM.from_pretrained(general).eval()
    ids = known("the session opened", return_tensors="pt")
    before = model(input_ids=ids["input_ids"]).logits
    swap_vocabulary(model, known, known)
    assert torch.equal(model(input_ids=ids["input_ids"]).logits, before)
    assert list(old_pieces(known, known)) == [[i] for i in range(len(known))]


def test_an_interrupted_run_goes_on_with_the_vocabulary_it_has(general, swapped, tmp_path):
    settings = {"initial_checkpoint": str(general), "swap_vocabulary": True, "vocab_size": 300}
    pretrain(smoke(tmp_path, **settings))
    for name in ("checkpoint-12", "tiny-biglog"):
        for file in (tmp_path / name).iterdir():
            file.unlink()
        (tmp_path / name).rmdir()
    (tmp_path / "record.json").unlink()
    assert pretrain(smoke(tmp_path, resume=True, **settings))["curve"] == swapped[1]["curve"]


class TestRefused:
    def test_a_general_vocabulary_without_a_swap(self, general, tmp_path):
        with pytest.raises(CheckpointError, match=r"lacks \[NUM\].*--swap_vocabulary"):
            prepare(smoke(tmp_path, initial_checkpoint=str(general)))

    def test_a_tokenizer_of_another_size_names_both(self, general, swapped, tmp_path):
        tokenizer = load_tokenizer(swapped[0] / "tiny-biglog")
        message = rf"embeds 68 tokens, the tokenizer has {len(tokenizer)}.*--swap_vocabulary"
        with pytest.raises(CheckpointError, match=message):
            initial_model(smoke(tmp_path, initial_checkpoint=str(general)), tokenizer)

    def test_a_swap_of_nothing(self):
        with pytest.raises(InputError, match="swap_vocabulary needs an initial_checkpoint"):
            PretrainArguments(swap_vocabulary=True)

    def test_an_encoder_with_a_layer_missing(self, general, swapped, tmp_path):
        from safetensors.torch import load_file, save_file

        for file in general.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        weights = load_file(tmp_path / "model.safetensors")
        kept = {name: value for name, value in weights.items() if "layer.1." not in name}
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        arguments = smoke(tmp_path / "run", initial_checkpoint=str(tmp_path), swap_vocabulary=True)
        with pytest.raises(CheckpointError, match=r"lack 16 of the encoder's, bert\.encoder\.layer\.1"):
            initial_model(arguments, load_tokenizer(swapped[0] / "tiny-biglog"))


def test_an_encoder_without_a_head_is_a_start_too(general, swapped, tmp_path):
    BertModel.from_pretrained(general, add_pooling_layer=False).save_pretrained(tmp_path)
    BertTokenizerFast.from_pretrained(general).save_pretrained(tmp_path)
    arguments = smoke(tmp_path / "run", initial_checkpoint=str(tmp_path), swap_vocabulary=True, dropout=0.25)
    model = initial_model(arguments, load_tokenizer(swapped[0] / "tiny-biglog"))
    expected = BertForMaskedLM.from_pretrained(general).bert.encoder.state_dict()
    for name, weight in model.bert.encoder.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0.25
