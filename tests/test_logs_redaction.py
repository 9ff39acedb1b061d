"""Redaction: what is found in real lines and what is not, and that pseudonyms turn back."""

from __future__ import annotations

import json
import pickle
import re
from collections import Counter

import polars as pl
import pytest
from data_path import DATA, LINES, needs_data
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biglog.errors import InputError, OutputError
from biglog.logs.masking import normal_forms
from biglog.logs.record import read_logs
from biglog.logs.redaction import Redactor, load_mapping, restore, save_mapping
from biglog.logs.sensitive import KINDS

KEY = "a key for tests, 32 characters.."


def column(*texts):
    return pl.Series("content", texts, dtype=pl.String)


def found(text, kinds=KINDS):
    """The values that are replaced in one text, in order of appearance."""
    redactor = Redactor(KEY, kinds)
    redacted = redactor.redact(column(text))[0]
    where = {value: redacted.index(pseudonym) for pseudonym, value in redactor.mapping.items()}
    return sorted(where, key=where.__getitem__)


# Contents of Loghub's 2k samples (https://github.com/logpai/loghub), of Linux servers, and made ones.
V6 = "2607:f140:6000:8:c6b3:1ff:fecd:467f"
VALUES = [
    ("Failed password for root from 5.36.59.76 port 42393 ssh2", ["5.36.59.76"]),
    (
        "Failed password for invalid user webmaster from 173.234.31.186 port 38926 ssh2",
        ["webmaster", "173.234.31.186"],
    ),
    ("Failed password for invalid user  0101 from 5.188.10.180 port 36279 ssh2", ["0101", "5.188.10.180"]),
    ("Invalid user  from 103.99.0.122", ["103.99.0.122"]),
    ("Failed none for invalid user 0 from 5.188.10.180 port 49811 ssh2", ["5.188.10.180"]),
    ("v4(en0:61.1.1.1) v6(en0+:2607:f140:6000:8:c6b3:1ff:fecd:467f) DNS!", ["61.1.1.1", V6]),
    ("Invalid user two words from 103.99.0.122", ["two words", "103.99.0.122"]),
    ("input_userauth_request: invalid user PlcmSpIp [preauth]", ["PlcmSpIp"]),
    ("Connection closed by invalid user admin 1.2.3.4 port 22 [preauth]", ["admin", "1.2.3.4"]),
    ("pam_unix(sshd:auth): check pass; user unknown", []),
    ("Received disconnect: 11: Closed due to user request. [preauth]", []),
    (
        "authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=218.188.2.4  user=test",
        ["218.188.2.4", "test"],
    ),
    ("session opened for user news by bob(uid=509)", ["news", "bob", "509"]),
    ("session closed for user root", []),
    ("New session 8 of user alice.", ["alice"]),
    ("    bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls", ["bob"]),
    ("(bob) CMD (run-parts /etc/cron.hourly)", ["bob"]),
    ("Extract jar to C:\\Users\\msrabi\\AppData\\Local\\Temp", ["msrabi"]),
    ("open /home/bob.smith/x, /Users/al and /home/index.html", ["bob.smith", "al"]),
    ('{"user": "Bob Smith", "email": "bob@example.com"}', ["Bob Smith", "bob@example.com"]),
    ("block added: 10.251.73.220:50010 size 67108864", ["10.251.73.220"]),
    ("from 61.1.1.1,61.1.1.2;61.1.1.3-61.1.1.4.", ["61.1.1.1", "61.1.1.2", "61.1.1.3", "61.1.1.4"]),
    ("version 1.2.3.4, lib-1.2.3.4, 1.2.3.4.5, 1.2.3, 12:34:56, 6.1.7601.23505, ~~6.1.1.2", []),
    ("listens on 127.0.0.1, 0.0.0.0, ::1, :: and 0:0:0:0:0:0:0:0:2181", []),
    (
        "peer ::ffff:61.1.1.1 and [fe80::1%eth0]:80, 2607:f140:6000:8:4de9:a101:c96c:f28b:53876",
        ["61.1.1.1", "fe80::1", "2607:f140:6000:8:4de9:a101:c96c:f28b"],
    ),
    ("std::vector dead::beef a::b 10:11:12 MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", []),
    (
        "lease to 00:11:43:e3:ba:c3 and 84-41-67-32-DB-e1, not 00:00:00:00:00:00",
        ["00:11:43:e3:ba:c3", "84-41-67-32-DB-e1"],
    ),
    (
        "bhcompile@bugs.build.redhat.com built, getty@tty1.service icon@2x.png Leader@345 x@y",
        ["bhcompile@bugs.build.redhat.com"],
    ),
    ("https://bob:hunter2@host.example.com/x", ["bob:hunter2"]),
    ('POST /login password=hunter2&token=a1b2, db_password="two words"', ["hunter2", "a1b2", "two words"]),
    ('{"api_key": "abc", "password": null, "secret": "***"}', ["abc"]),
    ("AppWindowToken{9f4ef63 token=Token{a64f992 ActivityRecord}}, max_tokens=5", []),
    ("Authorization: Bearer abcdefghijklmnop1234", ["abcdefghijklmnop1234"]),
    ("Authorization: Basic Ym9iOmh1bnRlcjI=", ["Ym9iOmh1bnRlcjI="]),
    (
        "session eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl",
        ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"],
    ),
    ("key AKIAIOSFODNN7EXAMPLE, AKIAshort", ["AKIAIOSFODNN7EXAMPLE"]),
    ("push by ghp_" + "a1" * 18, ["ghp_" + "a1" * 18]),
    ("slack xoxb-" + "1234567890-abc", ["xoxb-" + "1234567890-abc"]),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- ok",
        ["-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"],
    ),
    (
        "paid with 4111 1111 1111 1111, 5500-0000-0000-0004, 378282246310005",
        ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005"],
    ),
    ("card=4111111111111112 blk_4111111111111111 blk_-4111111111111111 0.4111111111111111", []),
    ("onExtend:1514038530000 14 0 4 at 1514038530000000 ns 1514038530000000000", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "values"), VALUES)
def test_values_are_found_where_they_are_and_nowhere_else(text, values):
    assert found(text) == values


def test_pseudonyms_show_their_kind():
    text = "bob@example.com 61.1.1.1 fe80::1 00:11:43:e3:ba:c3 user=bob"
    text += " password=x1 AKIAIOSFODNN7EXAMPLE 378282246310005"
    name = "[a-f][0-9a-f]{11}"
    shapes = [
        rf"user-{name}@redacted\.example",
        r"2[45][0-9](\.[0-9]+){3}",
        "2001:db8(:[0-9a-f]{1,4}){6}",
        "f2:ed(:[0-9a-f]{2}){4}",
        f"user=user-{name}",
        rf"password=\[REDACTED:secret:{name}\]",
        rf"\[REDACTED:token:{name}\]",
        rf"\[REDACTED:card:{name}\]",
    ]
    assert re.fullmatch(" ".join(shapes), Redactor(KEY).redact(column(text))[0])


def test_the_same_key_gives_the_same_pseudonyms_everywhere_and_another_key_others():
    first, second = (
        column("user=bob from 61.1.1.1"),
        column("61.1.1.1: Invalid user bob [preauth]", "user=al"),
    )
    mine, yours = Redactor(KEY), Redactor(KEY.encode())
    assert mine.redact(first)[0] == yours.redact(first)[0]
    mine.redact(second)
    assert set(mine.mapping.values()) == {"bob", "al", "61.1.1.1"}
    other = Redactor(KEY + "!")
    other.redact(pl.concat([first, second]))
    assert not set(other.mapping) & set(mine.mapping)


def test_a_redactor_goes_to_another_process_as_it_is():
    mine = Redactor(KEY, ["user"])
    redacted = mine.redact(column("user=bob"))
    copy = pickle.loads(pickle.dumps(mine))
    assert copy.redact(column("user=bob", "user=al 1.2.3.4"))[0] == redacted[0]
    assert sorted(copy.mapping.values()) == ["al", "bob"]
    assert copy.redact(redacted).equals(redacted)


def test_only_the_kinds_asked_for_are_replaced():
    text = "user=bob from 61.1.1.1 by bob@example.com"
    assert found(text, ["ip"]) == ["61.1.1.1"]
    assert found(text, ["email", "user"]) == ["bob", "bob@example.com"]


def test_the_given_column_and_nulls_stay_as_they_are():
    texts = column("user=bob", None, "user=bob", "nothing")
    before = texts.to_list()
    redacted = Redactor(KEY).redact(texts)
    assert texts.to_list() == before
    assert (redacted.name, redacted.null_count(), redacted[3]) == ("content", 1, "nothing")
    assert redacted[0] == redacted[2] != "user=bob"


def test_records_keep_no_raw_bytes_and_their_columns_agree(tmp_path):
    path = tmp_path / "sshd.log"
    path.write_bytes(b"Dec 10 06:55:46 61.1.1.1 sshd[24200]: Invalid user bob from 61.1.1.1\xff\n")
    frame = read_logs(path, layout="OpenSSH").read()
    redacted = Redactor(KEY).redact_frame(frame)
    assert frame["raw_bytes"][0] is not None
    assert redacted["raw_bytes"][0] is None
    assert redacted["content"][0] in redacted["line"][0]
    assert redacted["host"][0] in redacted["content"][0]
    assert redacted.schema == frame.schema


# Laws.

# Pieces of lines, parted by "|", that come in any order.
FRAGMENTS = """user=|bob|al.x|uid=|509| from |Invalid user |password for |password=|hunter2|"|'| |, |:|-|
/home/|/|61.1.1.1|240.7.8.9|fe80::1|::|.|5|00:11:43:e3:ba:c3|bob@example.com|@|https://|
4111111111111111|token=|by |(uid=| : TTY=|(|) CMD|[preauth]|user-|user-abcdef012345|
[REDACTED:token:abcdef012345]|[|version |\ufdd0|\ufdd1|\ufddf|é|_|{|"user": "|
session opened for user |Bearer abcdefghijklmnopqrst|C:\\Users\\|\\|=|0""".replace("|\n", "|").split("|")
TEXTS = st.lists(st.sampled_from([*FRAGMENTS, "\n"]), max_size=9).map("".join) | st.text(max_size=20)
COLUMNS = st.lists(st.none() | TEXTS, max_size=5)


@settings(max_examples=100)
@given(COLUMNS)
@example(["".join(map(chr, range(0xFDD0, 0xFDF0))) + " user=bob"])
def test_restoring_undoes_redacting_and_redacting_twice_changes_nothing_more(texts):
    texts = column(*texts)
    redactor = Redactor(KEY)
    redacted = redactor.redact(texts)
    assert restore(redacted, redactor.mapping).to_list() == texts.to_list()
    assert redactor.redact(redacted).to_list() == redacted.to_list()
    assert Redactor(KEY).redact(redacted).to_list() == redacted.to_list()


@settings(max_examples=60)
@given(COLUMNS)
def test_a_text_is_redacted_the_same_alone_and_among_others(texts):
    together = Redactor(KEY).redact(column(*texts, *texts)).to_list()
    assert together == 2 * [Redactor(KEY).redact(column(text))[0] for text in texts]


def test_values_that_would_share_a_pseudonym_get_two():
    redactor = Redactor(KEY)
    pseudonym = redactor.redact(column("61.1.1.1"))[0]
    other = Redactor(KEY, mapping={pseudonym: "1.1.1.1"})
    redacted = other.redact(column("61.1.1.1"))
    assert redacted[0] != pseudonym
    assert other.collisions == 1
    assert restore(redacted, other.mapping)[0] == "61.1.1.1"
    assert other.redact(column("61.1.1.1"))[0] == redacted[0]


# Real lines.


def test_lines_of_every_domain_turn_back():
    for path in sorted(LINES.glob("*.log")):
        lines = read_logs(path).read()["line"]
        redactor = Redactor(KEY)
        redacted = redactor.redact(lines)
        assert restore(redacted, redactor.mapping).equals(lines), path.name
        assert redactor.redact(redacted).equals(redacted), path.name


def samples():
    for path in sorted(DATA.glob("loghub_2k/*/*_2k.log")):
        yield path.parent.name, pl.Series(path.read_text("utf-8", "replace").splitlines())


@needs_data
def test_what_is_found_in_32_000_lines():
    lines_changed: Counter[str] = Counter()
    for name, lines in samples():
        for kind in KINDS:
            lines_changed[f"{name} {kind}"] = int((Redactor(KEY, [kind]).redact(lines) != lines).sum())
    per_kind = Counter(
        {kind: sum(lines_changed[key] for key in lines_changed if key.endswith(kind)) for kind in KINDS}
    )
    # Looked at one by one: build and calendar accounts, two radio networks' hardware addresses.
    assert (per_kind["email"], per_kind["mac"]) == (4, 61)
    assert per_kind["card"] == per_kind["token"] == per_kind["secret"] == 0
    assert (lines_changed["HDFS ip"], lines_changed["Mac ip"]) == (1291, 84)
    assert lines_changed["HealthApp ip"] == lines_changed["Android ip"] == lines_changed["Windows ip"] == 0


@needs_data
def test_every_login_name_of_an_ssh_server_is_found_but_root():
    lines = dict(samples())["OpenSSH"]
    named = r"nvalid user +(?!from |0 )\S|user=(?!root)\S|password for (?!root|invalid)\S|for user (?!root)\S"
    redacted = Redactor(KEY, ["user"]).redact(lines)
    assert (redacted != lines).to_list() == [re.search(named, line) is not None for line in lines]


@needs_data
def test_addresses_keep_their_normal_forms():
    for name, lines in samples():
        redacted = Redactor(KEY, ["ip", "mac"]).redact(lines)
        assert normal_forms(redacted).equals(normal_forms(lines)), name


@needs_data
def test_all_names_have_one_normal_form():
    lines = dict(samples())["OpenSSH"]
    lines = lines.filter(lines.str.contains("Failed password for invalid user [^ ]"))
    forms = normal_forms(Redactor(KEY).redact(lines).str.extract(r"(Failed.*)")).unique().to_list()
    assert sorted(forms) == [
        "Failed password for invalid user 0 from [IP] port [NUM] ssh2",
        "Failed password for invalid user user-[CODE] from [IP] port [NUM] ssh2",
    ]


# Mappings.


def test_a_mapping_is_saved_for_its_owner_alone(tmp_path):
    mapping = {"user-abcdef012345": "Zoë\n", "240.1.2.3": "61.1.1.1"}
    path = tmp_path / "mapping.json"
    path.write_text("an older one")
    path.chmod(0o644)
    save_mapping(mapping, path)
    assert load_mapping(path) == mapping
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_mapping_that_cannot_be_saved_leaves_nothing_behind(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_mapping({}, tmp_path / "folder")
    with pytest.raises(OutputError, match="cannot be written"):
        save_mapping({}, tmp_path / "missing" / "mapping.json")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"pseudonyms": {"a": 1}}), "\x00"])
def test_what_is_no_mapping_is_said_to_be_none(tmp_path, content):
    path = tmp_path / "mapping.json"
    path.write_text(content)
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_mapping(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_mapping(tmp_path / "none.json")


# Keys.


@pytest.mark.parametrize("key", ["", "fifteen chars..", b"fifteen bytes.."])
def test_short_keys_are_refused_and_never_shown(key):
    with pytest.raises(InputError, match="16 are needed") as error:
        Redactor(key)
    assert not key or str(key) not in str(error.value)


def test_the_key_is_not_shown_or_kept():
    redactor = Redactor(KEY)
    redactor.redact(column("user=bob"))
    assert KEY not in repr(redactor)
    assert KEY not in repr(vars(redactor))


def test_unknown_kinds_name_the_known_ones():
    with pytest.raises(InputError, match=r"unknown kind 'emails'.*email, mac"):
        Redactor(KEY, ["emails"])
