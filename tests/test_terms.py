"""Terms: which tokens are hidden together."""

import numpy as np
import pytest
from data_path import LINES
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.collators import IGNORED, MaskedLanguageCollator, PackedRows, Segments
from biglog.data.corpus import build_corpus
from biglog.data.terms import LONGEST_TERM, TermRules
from biglog.logs.masking import MASK_TOKENS, normal_form
from biglog.tokenizer import SPECIAL_TOKENS, train_tokenizer, without_masks

FORMS = build_corpus(["*.log"], data_root=LINES, held_out_share=0.001).train["normal_form"].to_list()
WORDS = ["ms kb percent seconds io exception data node receiver std string block id lib wi fi the"] * 20


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(FORMS + WORDS, vocab_size=1200)


@pytest.fixture(scope="module")
def rules(tokenizer):
    return TermRules(tokenizer)


def terms_of(tokenizer, rules, text):
    """Terms of a text, each as its tokens run together."""
    encoding = without_masks(tokenizer).encode(text, add_special_tokens=False)
    starts = rules.starts(np.array(encoding.ids, dtype=np.int64), np.array(encoding.offsets).reshape(-1, 2))
    pieces = [token.removeprefix("##") for token in encoding.tokens]
    firsts = np.flatnonzero(starts).tolist()
    return ["".join(pieces[a:b]) for a, b in zip(firsts, [*firsts[1:], len(pieces)], strict=True)]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dfs.block_id is lost", "dfs.block_id is lost"),
        ("at java.io.IOException: none", "at java.io.ioexception : none"),
        ("DataNode$Receiver, node.", "datanode$receiver , node ."),
        ("took [NUM]ms of [NUM] KB [NUM] %", "took [NUM]ms of [NUM]kb [NUM]%"),
        ("[NUM] sentences", "[NUM] sentences"),
        ("generating core.[NUM]", "generating core.[NUM]"),
        ("src: /[IP] dest", "src : /[IP] dest"),
        ("uid=0 (user=root)", "uid = 0 ( user = root )"),
        ("std::string http://a.b/lib/ --flag", "std::string http://a.b/lib/ --flag"),
        ("can't Wi-Fi a,b", "can't wi-fi a , b"),
        ("ends here. or here... so", "ends here . or here ... so"),
    ],
)
def test_words_identifiers_and_values_are_terms(tokenizer, rules, text, terms):
    assert terms_of(tokenizer, rules, text) == terms.split()


def test_a_long_term_is_cut(tokenizer, rules):
    found = terms_of(tokenizer, rules, ".".join("abcdefghijklmnopqrstuvwxyz"))
    assert len(found) == -(-51 // LONGEST_TERM)
    assert "".join(found) == ".".join("abcdefghijklmnopqrstuvwxyz")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(FORMS), st.text(max_size=30)), min_size=1, max_size=4))
def test_each_line_has_the_terms_that_it_has_alone(tokenizer, rules, texts):
    forms = [normal_form(text) for text in texts]
    together = Segments(forms, tokenizer, terms=True)
    for i, line in enumerate(together.line):
        alone = Segments([forms[line]], tokenizer, terms=True)
        place = i - int(np.flatnonzero(together.line == line)[0])
        assert together.terms(i).tolist() == alone.terms(place).tolist()
        assert together[i].tolist() == alone[place].tolist()


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.sampled_from(FORMS), st.text(max_size=40)))
def test_a_blank_or_a_comma_always_separates_and_a_word_never_falls_apart(tokenizer, rules, text):
    joined = terms_of(tokenizer, rules, f"alpha, {text.strip()} omega")
    assert joined[:2] == ["alpha", ","]
    assert joined[-1].endswith("omega")


@pytest.fixture(scope="module")
def rows(tokenizer):
    segments = Segments(FORMS, tokenizer, terms=True)
    packed = PackedRows(segments, np.ones(len(segments)), rows=250, row_length=160, seed=0)
    return [packed[i] for i in range(250)]


def test_terms_are_hidden_whole_and_in_one_way(tokenizer, rows):
    collator = MaskedLanguageCollator(tokenizer, 0.3, masking="terms")
    several = 0
    for row in rows[:100]:
        ids, labels = collator.mask_row(row)
        original = np.concatenate(row["segments"])
        term = np.cumsum(np.concatenate(row["terms"])) - 1
        sizes = np.bincount(term)
        for state in (labels != IGNORED, ids == tokenizer.mask_token_id):
            counts = np.bincount(term, weights=state)
            assert ((counts == 0) | (counts == sizes)).all()
        chosen = labels != IGNORED
        assert (labels[chosen] == original[chosen]).all()
        several += ((np.bincount(term, weights=chosen) > 1) & (sizes > 1)).sum()
    assert several > 100


@pytest.mark.parametrize("masking", ["pieces", "words", "terms"])
@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_the_expected_share_and_the_three_ways_do_not_depend_on_what_is_hidden(
    tokenizer, rows, masking, probability
):
    collator = MaskedLanguageCollator(tokenizer, probability, masking=masking, seed=2)
    original = np.concatenate([np.concatenate(row["segments"]) for row in rows])
    ids, labels = (np.concatenate(part) for part in zip(*map(collator.mask_row, rows), strict=True))
    special = np.isin(original, tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)))
    chosen = labels != IGNORED
    assert chosen[~special].mean() == pytest.approx(probability, rel=0.08)
    assert not chosen[special].any()
    assert (ids == tokenizer.mask_token_id)[chosen].mean() == pytest.approx(0.8, abs=0.04)
    assert (ids == original)[chosen].mean() == pytest.approx(0.1, abs=0.03)
    replaced = ids[chosen & (ids != original) & (ids != tokenizer.mask_token_id)]
    names = set(tokenizer.convert_ids_to_tokens(replaced.tolist()))
    assert not names & {*SPECIAL_TOKENS, *MASK_TOKENS}
    assert all(name.isalpha() for name in names)
    assert set(tokenizer.convert_tokens_to_ids(["[NUM]", "[IP]"])) <= set(labels.tolist())
