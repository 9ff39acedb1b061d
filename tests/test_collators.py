import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from biglog.data.collators import IGNORED, MaskedLanguageCollator, PackedRows, Row, Segments, block_diagonal
from biglog.errors import InputError
from biglog.logs.masking import MASK_TOKENS
from biglog.tokenizer import SPECIAL_TOKENS, train_tokenizer
from modeling_biglog import BigLogConfig, BigLogForMaskedLM

LINES = [
    "Received block [CODE] of size [NUM] from [IP]",
    "PacketResponder [NUM] for block [CODE] terminating",
    "instruction cache parity error corrected",
    "generating core.[NUM]",
    "session opened for user root by (uid=0)",
    "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=[IP] user=root",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(LINES * 3, vocab_size=400)


@pytest.fixture(scope="module")
def segments(tokenizer):
    return Segments(LINES, tokenizer)


def ids_of(tokenizer, names):
    return set(tokenizer.convert_tokens_to_ids(list(names)))


def many_rows(segments, count=300, row_length=128, seed=0):
    rows = PackedRows(segments, np.ones(len(segments)), rows=count, row_length=row_length, seed=seed)
    return [rows[i] for i in range(count)]


def masked(collator, rows):
    """All original ids, new ids and labels of some rows, end to end."""
    original = np.concatenate([np.concatenate(row["segments"]) for row in rows])
    new, labels = (
        np.concatenate(part) for part in zip(*(collator.mask_row(row) for row in rows), strict=True)
    )
    return original, new, labels


def test_the_share_of_chosen_tokens_and_the_three_ways_are_those_of_bert(tokenizer, segments):
    collator = MaskedLanguageCollator(tokenizer, seed=1)
    original, new, labels = masked(collator, many_rows(segments))
    special = np.isin(original, list(ids_of(tokenizer, SPECIAL_TOKENS)))
    chosen = labels != IGNORED
    assert chosen.sum() / (~special).sum() == pytest.approx(0.15, abs=0.01)
    hidden = (new == tokenizer.mask_token_id)[chosen].mean()
    kept = (new == original)[chosen].mean()
    assert hidden == pytest.approx(0.8, abs=0.03)
    assert kept == pytest.approx(0.1, abs=0.03)
    assert (labels[chosen] == original[chosen]).all()
    assert (new[~chosen] == original[~chosen]).all()


def test_special_tokens_are_never_chosen_and_mask_tokens_are(tokenizer, segments):
    original, new, labels = masked(MaskedLanguageCollator(tokenizer, 0.5), many_rows(segments))
    special = np.isin(original, list(ids_of(tokenizer, SPECIAL_TOKENS)))
    assert special.any()
    assert (labels[special] == IGNORED).all()
    assert (new[special] == original[special]).all()
    assert ids_of(tokenizer, ["[NUM]", "[CODE]", "[IP]"]) <= set(labels.tolist())


def test_random_replacements_are_words(tokenizer, segments):
    original, new, labels = masked(MaskedLanguageCollator(tokenizer, 0.9), many_rows(segments))
    replaced = (labels != IGNORED) & (new != original) & (new != tokenizer.mask_token_id)
    tokens = set(tokenizer.convert_ids_to_tokens(sorted(set(new[replaced].tolist()))))
    assert len(tokens) > 20
    assert not tokens & {*SPECIAL_TOKENS, *MASK_TOKENS}
    assert all(token.isalpha() and len(token) > 1 for token in tokens)


def test_whole_words_are_hidden_together_and_in_one_way(tokenizer):
    pieces = tokenizer("zqxj zqxj zqxj", add_special_tokens=False).input_ids
    word = len(pieces) // 3
    assert word > 1
    row = Segments(["zqxj zqxj zqxj zqxj"] * 3, tokenizer)
    collator = MaskedLanguageCollator(tokenizer, 0.4, masking="words")
    for draw in range(50):
        ids, labels = collator.mask_row(Row(segments=[row[0]], draw=draw))
        words = (labels[1:-1] != IGNORED).reshape(-1, word)
        hidden = (ids[1:-1] == tokenizer.mask_token_id).reshape(-1, word)
        assert (words.all(1) | ~words.any(1)).all()
        assert (hidden.all(1) | ~hidden.any(1)).all()


def test_a_row_is_masked_alike_in_any_batch_and_anew_under_another_number_or_seed(tokenizer, segments):
    collator = MaskedLanguageCollator(tokenizer, seed=3)
    rows = many_rows(segments, 8)
    together = collator(rows)["labels"]
    alone = collator([rows[5]])["labels"][0]
    assert torch.equal(together[5, : len(alone)], alone)
    renumbered = collator([Row(segments=rows[5]["segments"], draw=99)])["labels"][0]
    assert not torch.equal(renumbered, alone)
    assert not torch.equal(MaskedLanguageCollator(tokenizer, seed=4)([rows[5]])["labels"][0], alone)


def test_loader_workers_do_not_change_the_batches(tokenizer, segments):
    rows = PackedRows(segments, np.ones(len(segments)), rows=12, row_length=128, seed=0)
    collator = MaskedLanguageCollator(tokenizer)
    alone = list(DataLoader(rows, batch_size=4, collate_fn=collator))
    helped = list(DataLoader(rows, batch_size=4, collate_fn=collator, num_workers=2))
    assert all(torch.equal(a["input_ids"], b["input_ids"]) for a, b in zip(alone, helped, strict=True))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=4))
def test_block_diagonal_masks_let_a_token_see_its_own_line_only(lengths):
    made = block_diagonal(lengths)
    longest = max(map(sum, lengths))
    if all(len(row) == 1 for row in lengths):
        assert made["attention_mask"].sum(1).tolist() == [row[0] for row in lengths]
        return
    for mask, positions, row in zip(made["attention_mask"][:, 0], made["position_ids"], lengths, strict=True):
        start = 0
        for length in row:
            inside = torch.zeros(longest, dtype=torch.bool)
            inside[start : start + length] = True
            assert torch.equal(mask[start : start + length], inside.expand(length, -1))
            assert positions[start : start + length].tolist() == list(range(length))
            start += length
        assert mask.any(dim=-1).all(), "a row without a true entry is a softmax over nothing"


def test_packed_logits_are_those_of_each_line_by_itself(tokenizer, segments):
    torch.manual_seed(0)
    config = BigLogConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    model = BigLogForMaskedLM._from_config(config, attn_implementation="sdpa").eval()
    rows = [[segments[i] for i in (0, 1, 2)], [segments[5]], [segments[3], segments[4]]]
    batch = block_diagonal([[len(segment) for segment in row] for row in rows])
    longest = batch["position_ids"].shape[1]
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : sum(map(len, row))] = torch.from_numpy(np.concatenate(row))
    with torch.no_grad():
        packed = model(input_ids=ids, **batch).logits
        assert torch.isfinite(packed).all()
        for i, row in enumerate(rows):
            start = 0
            for segment in row:
                alone = model(input_ids=torch.from_numpy(segment)[None]).logits[0]
                torch.testing.assert_close(
                    packed[i, start : start + len(segment)], alone, atol=1e-5, rtol=1e-5
                )
                start += len(segment)


def test_padding_is_to_the_longest_row(tokenizer, segments):
    rows = [Row(segments=[segments[i]], draw=i) for i in range(len(segments))]
    batch = MaskedLanguageCollator(tokenizer)(rows)
    assert batch["input_ids"].shape == (len(rows), segments.lengths.max())
    assert batch["attention_mask"].sum(1).tolist() == segments.lengths.tolist()
    assert "position_ids" not in batch


def test_rows_are_filled_and_never_over(segments):
    for row in many_rows(segments, 50, row_length=100):
        total = sum(len(segment) for segment in row["segments"])
        assert 100 - segments.lengths.max() < total <= 100


def test_lines_are_drawn_by_their_weight(segments):
    weights = np.array([0.0, 3.0, 1.0, 0.0, 0.0, 0.0])
    rows = PackedRows(segments, weights, rows=2000, row_length=0, seed=0)
    drawn = [tuple(rows[i]["segments"][0]) for i in range(2000)]
    assert drawn.count(tuple(segments[1])) / 2000 == pytest.approx(0.75, abs=0.04)
    assert drawn.count(tuple(segments[1])) + drawn.count(tuple(segments[2])) == 2000


def test_a_long_line_becomes_windows_and_loses_nothing(tokenizer):
    line = " ".join(f"word{i % 10}" for i in range(300))
    segments = Segments([line, "short"], tokenizer, 50)
    assert segments.lengths.max() == 50
    assert segments.cut_lines == 1
    inner = np.concatenate([segments[i][1:-1] for i in np.flatnonzero(segments.line == 0)])
    assert inner.tolist() == tokenizer(line, add_special_tokens=False).input_ids


def test_rows_that_cannot_be_made_are_errors(tokenizer, segments):
    with pytest.raises(InputError, match="a row holds 10"):
        PackedRows(segments, np.ones(len(segments)), rows=1, row_length=10, seed=0)
    with pytest.raises(InputError, match="no line"):
        PackedRows(Segments([], tokenizer), np.ones(0), rows=1, row_length=0, seed=0)


def test_chunks_of_lines_are_put_together(tokenizer, monkeypatch):
    whole = Segments([*LINES, ""], tokenizer, 20, terms=True)
    monkeypatch.setattr("biglog.data.collators._CHUNK_LINES", 2)
    cut = Segments([*LINES, ""], tokenizer, 20, terms=True)
    assert whole.line.tolist() == cut.line.tolist()
    assert whole.cut_lines == cut.cut_lines > 0
    for i in range(len(whole)):
        assert whole[i].tolist() == cut[i].tolist()
        assert whole.terms(i).tolist() == cut.terms(i).tolist()


def test_what_is_hidden_piece_by_piece_is_what_it_always_was(tokenizer):
    """Pinned: a change here makes runs that were interrupted go on differently."""
    row = Row(segments=[np.arange(100, 132)], draw=5)
    ids, labels = MaskedLanguageCollator(tokenizer, 0.3, seed=11).mask_row(row)
    assert np.flatnonzero(labels != IGNORED).tolist() == [0, 1, 3, 8, 12, 20, 24, 26, 30, 31]
    assert np.flatnonzero(ids == tokenizer.mask_token_id).tolist() == [0, 1, 3, 8, 12, 20, 26, 30, 31]


def test_a_masking_that_is_none_is_refused(tokenizer):
    with pytest.raises(InputError, match="no masking is called 'lines'"):
        MaskedLanguageCollator(tokenizer, masking="lines")
