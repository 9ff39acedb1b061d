"""Logs in order, windows of their lines, and rows of these."""

import gzip
import zipfile
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import given, settings
from hypothesis import strategies as st

from biglog.data.collators import IGNORED, MaskedLanguageCollator, PackedRows, Segments
from biglog.data.corpus import build_corpus
from biglog.data.line_windows import (
    LineWindows,
    MixedRows,
    Transitions,
    WindowLayout,
    fitting,
    rows_at,
    swapped,
    windows_of,
)
from biglog.data.sequences import BREAK, LineSequence, fingerprint, read_sequences
from biglog.data.sources import find_sources
from biglog.errors import InputError
from biglog.logs.masking import normal_form
from biglog.tokenizer import train_tokenizer

FORMS = build_corpus(["*.log"], data_root=LINES, held_out_share=0.001).train["normal_form"].to_list()
TEXTS = ["lost connection to node", "retry in [NUM] ms", "connected", "a b c d e f g h i j k l m n o p q r"]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(FORMS, vocab_size=800)


@pytest.fixture(scope="module")
def segments(tokenizer):
    return Segments(TEXTS, tokenizer, 24, terms=True)


def sequence(*rows, domain="x"):
    return LineSequence(domain, "x.log", np.array(rows, dtype=np.int32))


def table(*forms, domain="x"):
    return pl.DataFrame({"domain": [domain] * len(forms), "normal_form": forms})


class TestReading:
    LOG = "one here\ntwo there 5\n\none here\nunknown line\ntwo there 77\n"

    def rows(self, folder, entry, forms=("two there [NUM]", "one here")):
        (read,) = read_sequences(find_sources([entry], folder), table(*forms))
        return read.rows.tolist()

    def test_lines_become_rows_of_the_table_and_others_break_the_sequence(self, tmp_path):
        (tmp_path / "x.log").write_text(self.LOG)
        read = self.rows(tmp_path, "x.log")
        assert [row for row in read if row != BREAK] == [1, 0, 1, 0]
        assert read[-6:] == [1, 0, BREAK, 1, BREAK, 0]

    def test_a_range_of_lines_is_read_alone(self, tmp_path):
        (tmp_path / "x.log").write_text(self.LOG)
        assert [row for row in self.rows(tmp_path, "x.log#2-4") if row != BREAK] == [0, 1]

    def test_logs_of_an_archive_are_not_joined_and_are_numbered_through(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name in ("a.log", "b.log"):
                archive.writestr(name, "one here\ntwo there 1\n" * 3)
        read = self.rows(tmp_path, "x.zip")
        assert [row for row in read if row != BREAK] == [1, 0] * 6
        assert read.index(BREAK, 1) == 7 or read[6] == BREAK
        only = self.rows(tmp_path, "x.zip#6-7")
        assert [row for row in only if row != BREAK] == [0, 1]

    def test_compressed_logs_and_tables_are_read_alike(self, tmp_path):
        (tmp_path / "x.log").write_text(self.LOG)
        (tmp_path / "x.log.gz").write_bytes(gzip.compress(self.LOG.encode()))
        forms = [normal_form(line) or None for line in self.LOG.splitlines()]
        pl.DataFrame({"normal_form": forms}).write_parquet(tmp_path / "x.parquet")
        plain = [row for row in self.rows(tmp_path, "x.log") if row != BREAK]
        assert [row for row in self.rows(tmp_path, "x.log.gz") if row != BREAK] == plain
        assert self.rows(tmp_path, "x=x.parquet") == [1, 0, BREAK, 1, BREAK, 0]
        assert self.rows(tmp_path, "x=x.parquet#2-4") == [0, BREAK, 1]

    def test_rows_count_across_domains_and_unknown_domains_are_passed_over(self, tmp_path):
        (tmp_path / "x.log").write_text(self.LOG)
        forms = pl.concat([table("one here", domain="w"), table("one here")])
        (read,) = read_sequences(find_sources(["w=x.log", "v=x.log"], tmp_path), forms)
        assert (read.domain, set(read.rows.tolist())) == ("w", {0, BREAK})
        (read,) = read_sequences(find_sources(["x.log"], tmp_path), forms)
        assert set(read.rows.tolist()) == {1, BREAK}

    def test_the_fingerprint_follows_the_order(self):
        assert fingerprint([sequence(1, 2)]) != fingerprint([sequence(2, 1)])
        assert fingerprint([sequence(1, 2)]) != fingerprint([sequence(1), sequence(2)])
        assert fingerprint([sequence(1, 2)]) == fingerprint([sequence(1, 2)])

    def test_the_later_part_is_cut_off(self):
        earlier, later = sequence(*range(20)).cut(0.1)
        assert (earlier.rows.tolist(), later.rows.tolist()) == (list(range(18)), [18, 19])

    @needs_data
    def test_every_line_of_a_real_log_is_found_in_the_table_made_of_it(self):
        entry = "Zookeeper=raw/Zookeeper/log_topology_zookeeper.out.gz"
        corpus = build_corpus([entry], data_root=DATA, held_out_share=1e-9)
        (read,) = read_sequences(find_sources([entry], DATA), corpus.train)
        counts = np.bincount(read.rows[read.rows != BREAK], minlength=len(corpus.train))
        assert counts.tolist() == corpus.train["count"].to_list()


class TestWindows:
    def test_a_window_is_laid_out_with_separators_alone(self, tokenizer, segments):
        ids, terms = WindowLayout(segments, 2, 24).ids(np.array([0, 1], dtype=np.int32))
        assert ids.tolist() == tokenizer(TEXTS[0]).input_ids + tokenizer(TEXTS[1]).input_ids[1:]
        assert len(terms) == len(ids)
        assert terms[0]
        assert terms[ids == tokenizer.sep_token_id].all()

    def test_long_lines_are_cut_the_same_in_either_order(self, tokenizer, segments):
        layout = WindowLayout(segments, 2, 16)
        one, two = (layout.ids(np.array(rows, dtype=np.int32))[0] for rows in ([2, 3], [3, 2]))
        assert len(one) == len(two) == 16
        assert sorted(one) == sorted(two)
        first = tokenizer(TEXTS[2]).input_ids
        assert one[: len(first)].tolist() == first, "the short line stays whole"

    @given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(8, 120))
    def test_lines_are_cut_to_a_common_length_and_no_more_than_needed(self, lengths, room):
        kept = fitting(lengths, room)
        assert sum(kept) <= room
        assert all(a <= b for a, b in zip(kept, lengths, strict=True))
        cut = [a for a, b in zip(kept, lengths, strict=True) if a < b]
        if cut:
            assert set(cut) == {max(kept)}
            assert room - sum(kept) < len(cut)
        else:
            assert kept == lengths

    @settings(deadline=None)
    @given(st.lists(st.integers(-1, 4), max_size=40), st.sampled_from([2, 4]))
    def test_windows_are_whole_and_their_halves_differ(self, tokenizer, segments, rows, lines):
        layout, read = WindowLayout(segments, lines, 24), sequence(*rows)
        # Row 4 is no line of the segments, as a blank one would be.
        expected = [
            i
            for i in range(len(rows) - lines + 1)
            if set(rows[i : i + lines]) <= {0, 1, 2, 3}
            and rows[i : i + lines // 2] != rows[i + lines // 2 : i + lines]
        ]
        assert windows_of(read, layout).tolist() == expected

    def test_rare_pairs_are_drawn_like_frequent_ones_and_orders_as_they_occur(self, segments):
        # {0, 1} ten times, nine of them 0 before 1; {1, 2} once.
        read = sequence(*[0, 1, -1] * 9, 1, 0, -1, 1, 2)
        windows = LineWindows([read], WindowLayout(segments, 2, 24))
        assert windows.by_domain == {"x": 3}
        # In the order of the log 0 1 has 0.45 and 1 0 has 0.05; each is shown swapped half of the time.
        assert self.in_order(windows) == pytest.approx({(0, 1): 0.45, (1, 0): 0.05, (1, 2): 0.5}, abs=0.03)

    def test_domains_are_drawn_by_the_temperature(self, segments):
        many = sequence(0, 1, 2, 3, 0, 2, -1, 1, 3)
        few = LineSequence("y", "y.log", np.array([3, 2], dtype=np.int32))
        windows = LineWindows([many, few], WindowLayout(segments, 2, 24), temperature=0.0)
        assert self.in_order(windows)[3, 2] == pytest.approx(0.5, abs=0.03)
        windows = LineWindows([many, few], WindowLayout(segments, 2, 24), temperature=1.0)
        assert self.in_order(windows)[3, 2] == pytest.approx(1 / 7, abs=0.03)

    def in_order(self, windows):
        found = {}
        texts = {tuple(windows.layout.ids(np.array(p, dtype=np.int32))[0]): p for p in np.ndindex(4, 4)}
        rng = np.random.default_rng(0)
        for _ in range(3000):
            ids, _, order = windows.draw(rng)
            pair = texts[tuple(ids)][:: -1 if order else 1]
            found[pair] = found.get(pair, 0) + 1 / 3000
        return found

    def test_half_of_the_windows_are_swapped_and_say_so(self, segments):
        windows = LineWindows([sequence(0, 1, 2, 3)], WindowLayout(segments, 4, 24))
        rng = np.random.default_rng(1)
        drawn = [windows.draw(rng) for _ in range(400)]
        straight = windows.layout.ids(np.array([0, 1, 2, 3], dtype=np.int32))[0].tolist()
        turned = windows.layout.ids(np.array([2, 3, 0, 1], dtype=np.int32))[0].tolist()
        assert all(ids.tolist() == (turned if order else straight) for ids, _, order in drawn)
        assert np.mean([order for _, _, order in drawn]) == pytest.approx(0.5, abs=0.08)

    @pytest.mark.parametrize(
        ("lines", "length", "message"), [(3, 24, "no two halves"), (8, 16, "do not fit")]
    )
    def test_windows_that_cannot_be_made_are_errors(self, segments, lines, length, message):
        with pytest.raises(InputError, match=message):
            WindowLayout(segments, lines, length)

    def test_logs_without_order_are_an_error(self, segments):
        with pytest.raises(InputError, match="no 2 consecutive lines differ"):
            LineWindows([sequence(1, 1, 1, -1, 2)], WindowLayout(segments, 2, 24))
        with pytest.raises(InputError, match="no 2 consecutive lines differ"):
            LineWindows([], WindowLayout(segments, 2, 24))


@settings(deadline=None)
@given(st.lists(st.integers(-1, 3), max_size=60), st.sampled_from([2, 4]))
def test_transitions_are_counted_where_halves_meet(tokenizer, segments, rows, lines):
    read, layout = sequence(*rows), WindowLayout(segments, lines, 24)
    pairs = list(pairwise(rows))
    windows = rows_at(read, windows_of(read, layout), layout)
    agreement, unseen = Transitions([read]).agreement(windows)
    for window, agrees in zip(windows.tolist(), agreement, strict=True):
        turned = swapped(np.array(window)).tolist()
        meets = [tuple(each[lines // 2 - 1 : lines // 2 + 1]) for each in (window, turned)]
        counts = [pairs.count(pair) for pair in meets]
        assert agrees == (0.5 if counts[0] == counts[1] else float(counts[0] > counts[1]))
    assert not unseen.any()
    assert Transitions([]).agreement(windows)[1].all()


class TestRows:
    def mixed(self, segments, share, row_length=48):
        lines = PackedRows(segments, np.ones(len(segments)), rows=400, row_length=row_length, seed=3)
        windows = LineWindows([sequence(0, 1, 2, 3, 0)], WindowLayout(segments, 2, 24))
        return lines, MixedRows(lines, windows, share=share, row_length=row_length, seed=3)

    def test_rows_of_windows_come_in_their_share_and_others_are_as_without_them(self, segments):
        lines, mixed = self.mixed(segments, 0.3)
        rows = [mixed[i] for i in range(400)]
        assert np.mean(["orders" in row for row in rows]) == pytest.approx(0.3, abs=0.07)
        for i, row in enumerate(rows):
            assert sum(map(len, row["segments"])) <= 48
            if "orders" in row:
                assert len(row["orders"]) == len(row["segments"]) == len(row["terms"])
            else:
                assert [s.tolist() for s in row["segments"]] == [s.tolist() for s in lines[i]["segments"]]
        assert [s.tolist() for s in mixed[7]["segments"]] == [s.tolist() for s in rows[7]["segments"]]

    def test_labels_stand_at_the_first_token_of_each_window(self, tokenizer, segments):
        _, mixed = self.mixed(segments, 0.5)
        rows = [mixed[i] for i in range(30)]
        batch = MaskedLanguageCollator(tokenizer, masking="terms", line_order=True)(rows)
        for row, ids, labels in zip(rows, batch["input_ids"], batch["line_order_labels"], strict=True):
            places = np.flatnonzero(labels.numpy() != IGNORED)
            assert labels[places].tolist() == row.get("orders", [])
            assert (ids[places] == tokenizer.cls_token_id).all()

    def test_one_window_a_row(self, segments):
        _, mixed = self.mixed(segments, 1.0, row_length=0)
        assert all(len(mixed[i]["segments"]) == len(mixed[i]["orders"]) == 1 for i in range(20))
