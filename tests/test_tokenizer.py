import json
import string
import subprocess
import sys

import pytest
from data_path import LINES
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from biglog.errors import CheckpointError, InputError
from biglog.logs.masking import MASK_TOKENS, normal_form, normalizer, spans
from biglog.tokenizer import (
    MAX_REPEATS,
    MAX_WORD_CHARACTERS,
    RESERVED_TOKENS,
    from_vocabulary,
    load_tokenizer,
    piece_bytes,
    train_tokenizer,
    without_masks,
    word_starts,
)

VOCABULARY = 600


def real_lines():
    return [
        line
        for log in sorted(LINES.glob("*.log"))
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
    ]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(real_lines(), vocab_size=VOCABULARY)


@pytest.fixture(scope="module")
def reader(tokenizer):
    return without_masks(tokenizer)


def tokens(tokenizer, text):
    return tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids)


def test_reserved_tokens_have_the_published_ids(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(RESERVED_TOKENS)) == list(range(10))
    assert tokenizer.convert_ids_to_tokens([1, 2, 3, 4, 5]) == list(MASK_TOKENS)
    assert tokenizer.pad_token_id == 0
    assert len(tokenizer) == VOCABULARY
    assert tokenizer.model_max_length == 150


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "b7", "node-12", "[IP]", "10.0.0.1", "<ok>", "dataNode", "\x1b[0m", "é"]),
        max_size=5,
    ),
    st.integers(1, 40),
    st.lists(st.sampled_from(["", " ", "  ", "\t", "end", "a", "b7"]), min_size=2, max_size=2),
)
def test_raw_content_and_normal_form_agree_on_what_repeats_itself(tokenizer, reader, unit, times, ends):
    text = ends[0] + " ".join([*unit] * times) + ends[1]
    assert tokenizer(text).input_ids == reader.encode(normal_form(text)).ids


def test_what_repeats_itself_is_read_so_many_times_at_most(tokenizer):
    def names(times):
        return tokens(tokenizer, " ".join(["lost", *(f"an{i + 10} ok" for i in range(times)), "at last"]))

    folded = names(MAX_REPEATS)
    assert folded.count("[NUM]") == MAX_REPEATS
    assert names(MAX_REPEATS + 1) == names(1000) == folded
    assert names(MAX_REPEATS - 1) != folded
    once = tokens(tokenizer, "one two three four five " * 30)
    assert len(once) == 30 * len(tokens(tokenizer, "one two three four five"))


def test_a_masked_value_is_one_token_and_raw_content_gives_the_same(tokenizer):
    assert tokens(tokenizer, "port 4711 of 10.0.0.1") == tokens(tokenizer, "port [NUM] of [IP]")
    assert tokens(tokenizer, "of 10.0.0.1")[-1] == "[IP]"


@pytest.mark.parametrize(
    "line", [*real_lines(), "[NUM]x[MASK]12", "7[CLS]8 [SEP][PAD][UNK]", "[num] [mask]", "a[IP]1.2.3.4"]
)
def test_raw_content_and_normal_form_agree_on_real_lines_and_on_reserved_words(tokenizer, reader, line):
    assert tokenizer(line).input_ids == reader.encode(normal_form(line)).ids


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=string.printable + "[]éßǅ日\x00​\ufffd", max_size=60))
def test_raw_content_and_normal_form_agree_on_any_text(tokenizer, reader, text):
    assert tokenizer(text).input_ids == reader.encode(normal_form(text)).ids


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=string.printable, max_size=200))
def test_printable_ascii_is_never_unknown(tokenizer, text):
    if "[unk]" not in text.lower():
        assert tokenizer.unk_token_id not in tokenizer(text).input_ids


def test_a_word_of_any_length_is_cut_and_not_unknown(tokenizer):
    word = "q" * (5 * MAX_WORD_CHARACTERS + 3)
    assert tokenizer.unk_token_id not in tokenizer(word).input_ids
    assert "".join(t.removeprefix("##") for t in tokens(tokenizer, word)) == word


def test_names_come_apart_at_case_and_punctuation(tokenizer):
    def words(text):
        return tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(
            tokenizer.backend_tokenizer.normalizer.normalize_str(text)
        )

    assert [w for w, _ in words("dfs.DataNode$PacketResponder")] == [
        "dfs",
        ".",
        "data",
        "node",
        "$",
        "packet",
        "responder",
    ]
    assert [w for w, _ in words("HTTPServer log_level=x9")] == [
        "http",
        "server",
        "log",
        "_",
        "level",
        "=",
        "x",
        "9",
    ]


def test_mask_tokens_can_be_predicted_and_special_tokens_cannot(tokenizer):
    encoding = tokenizer("took 15 ms at 10.0.0.1", return_special_tokens_mask=True)
    special = dict(
        zip(tokenizer.convert_ids_to_tokens(encoding.input_ids), encoding.special_tokens_mask, strict=True)
    )
    assert special["[NUM]"] == special["[IP]"] == 0
    assert special["[CLS]"] == special["[SEP]"] == 1
    assert not set(MASK_TOKENS) & set(tokenizer.all_special_tokens)


def test_decoding_keeps_mask_tokens_and_drops_special_ones(tokenizer):
    ids = tokenizer("Took 15 of 10.0.0.1").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "took [NUM] of [IP]"


def test_offsets_lead_back_to_the_raw_text(tokenizer):
    text = "PacketResponder 12 for 10.250.11.53"
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    found = dict(
        zip(tokenizer.convert_ids_to_tokens(encoding.input_ids), encoding.offset_mapping, strict=True)
    )
    # The library aligns a replacement with the end of what it replaced; `masking.spans` has the whole value.
    assert text[slice(*found["[NUM]"])] in ("2", "12")
    assert text[slice(*found["responder"])] == "Responder"


def check_offsets(tokenizer, text):
    """Each token but a mask token stands where its offsets say, in order; a mask token stands in a value."""
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    values = spans(text)
    last = 0
    for token, (start, end) in zip(
        tokenizer.convert_ids_to_tokens(encoding.input_ids), encoding.offset_mapping, strict=True
    ):
        assert last <= start <= end <= len(text)
        last = start
        if token in MASK_TOKENS:
            assert any(v.token == token and v.start <= start < end <= v.end for v in values) or (
                text[start:end] == token
            )
        elif token != "xx":  # what stands for the end of an HTTP status
            assert text[start:end].lower() == token.removeprefix("##")


@pytest.mark.parametrize("line", real_lines())
def test_offsets_lead_back_to_the_raw_text_of_real_lines(tokenizer, line):
    if line.isascii():
        check_offsets(tokenizer, line)


WORDS = st.sampled_from(
    ["block", "dataNode", "HTTPServer", "x9", "user", "node-17", "10.0.0.1", "4711", "IO"]
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(WORDS, st.sampled_from([" ", "  ", "_", ".", ":", "/", "=", " -- ", "$", ", "])), max_size=9
    )
)
def test_offsets_lead_back_to_the_raw_text_of_any_names(tokenizer, parts):
    check_offsets(tokenizer, "".join(word + mark for word, mark in parts))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(string.ascii_letters, min_size=1, max_size=9), min_size=1, max_size=6),
    st.sampled_from("_.:-$@"),
)
def test_no_token_spans_two_parts_of_a_name(tokenizer, parts, mark):
    text = mark.join(parts)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pieces = [text[start:end] for start, end in encoding.offset_mapping]
    if not set(MASK_TOKENS) & set(tokens(tokenizer, text)):
        assert "".join(pieces) == text
        assert all(piece == mark or mark not in piece for piece in pieces)
        assert sum(piece == mark for piece in pieces) == len(parts) - 1


def test_a_tokenizer_with_other_masks_is_refused(tokenizer):
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    del state["normalizer"]["normalizers"][0]
    other = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)))
    with pytest.raises(CheckpointError, match="another table"):
        without_masks(other)


def test_masks_spelt_as_older_tokenizers_have_them_are_known(tokenizer, reader):
    state = json.loads(reader.to_str())
    masks = json.loads(normalizer(plain=True).__getstate__())
    state["normalizer"]["normalizers"].insert(0, masks)
    older = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state)))
    assert without_masks(older).to_str() == reader.to_str()
    for line in real_lines():
        assert older.backend_tokenizer.encode(line).ids == tokenizer.backend_tokenizer.encode(line).ids


def test_pairs_and_what_the_model_reads(tokenizer):
    encoding = tokenizer("one line", "another line")
    assert list(encoding) == ["input_ids", "attention_mask"]
    assert [i for i in encoding.input_ids if i in (7, 8)] == [7, 8, 8]


def test_the_same_lines_in_another_order_and_process_give_the_same_tokenizer(tokenizer, tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from test_tokenizer import *;"
        f"train_tokenizer(reversed(real_lines()), vocab_size={VOCABULARY}).save_pretrained({str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=LINES.parents[2])
    again = load_tokenizer(tmp_path)
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again.backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_auto_tokenizer_loads_what_was_saved_and_reads_alike(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for line in real_lines():
        assert loaded(line).input_ids == tokenizer(line).input_ids
    assert loaded.model_max_length == 150
    assert loaded.mask_token == "[MASK]"


def test_truncation_is_at_the_models_length(tokenizer):
    words = " ".join(a + b for a in string.ascii_lowercase for b in string.ascii_lowercase)
    assert len(tokenizer(words, truncation=True).input_ids) == 150


def test_piece_bytes_and_word_starts_follow_the_continuation_mark():
    vocabulary = {token: i for i, token in enumerate([*RESERVED_TOKENS, "block", "##ing", "##"])}
    tokenizer = from_vocabulary(vocabulary)
    assert piece_bytes(tokenizer)[10:12] == [5, 3]
    assert piece_bytes(tokenizer)[1] == len("[NUM]")
    assert word_starts(tokenizer)[9:] == [True, True, False, True]


def test_case_can_be_kept():
    cased = train_tokenizer(real_lines(), vocab_size=VOCABULARY, lowercase=False)
    assert tokens(cased, "Q q") == ["Q", "q"]
    assert cased("[NUM] 12").input_ids[1:-1] == [1, 1]


def test_nothing_to_train_on_and_no_room_are_errors():
    with pytest.raises(InputError, match="no line to train"):
        train_tokenizer([])
    with pytest.raises(InputError, match="no room for the 114 reserved tokens and characters"):
        train_tokenizer(["a line"], vocab_size=50)


def test_a_folder_without_a_tokenizer_of_ours_is_an_error(tokenizer, tmp_path):
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(tmp_path)
    vocabulary = {f"w{i}" if t in MASK_TOKENS else t: i for t, i in content["model"]["vocab"].items()}
    content["model"]["vocab"] = vocabulary
    content["added_tokens"] = [t for t in content["added_tokens"] if t["content"] not in MASK_TOKENS]
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"lacks \[NUM\]"):
        load_tokenizer(tmp_path)
