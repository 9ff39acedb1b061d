r"""Which values in a log tell of a person or open a door: one table of rules, and what tells a real one.

Patterns are Rust's (Polars). A rule matches what stands before a value, the value and what stands behind it,
so that context decides where the value alone could be anything; a rule without a value says what is *not*
one, as the four numbers of a version are no address. Rules of one step are an ordered alternation. Steps
follow each other, and write marks (``<M>``) around what they find; later steps pass over what stands between
marks (``<H>``; ``<A>`` if its end can be told whatever follows). ``<L>`` is "no ASCII word character before",
``<R>`` "none after".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

# Where pseudonyms live: no machine has an address of these, and a network card hardly this beginning.
IPV4_PSEUDONYMS: Final = IPv4Network("240.0.0.0/4")
IPV6_PSEUDONYMS: Final = IPv6Network("2001:db8::/32")
MAC_PSEUDONYMS: Final = "f2:ed"


@dataclass(frozen=True)
class Rule:
    """One place where a value stands.

    Attributes:
        before: Pattern of what stands before the value.
        value: Pattern of the value; empty if the rule tells what is none.
        after: Pattern of what stands behind the value.
    """

    before: str = ""
    value: str = ""
    after: str = ""


@dataclass(frozen=True)
class Step:
    """Rules that are applied together.

    Attributes:
        kind: Kind of value, as users select it.
        shape: What its pseudonyms look like.
        hint: Pattern that finds all lines with such a value, and few others, at little cost.
        rules: The rules, the more telling first.
        accepts: Whether a value that a rule has found is one after all.
    """

    kind: str
    shape: str
    hint: str
    rules: tuple[Rule, ...]
    accepts: Callable[[str], bool] = lambda value: True


_H = "[0-9A-Fa-f]"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_IPV6_TAIL = f"(?:(?:{_H}{{1,4}}:){{0,6}}(?:{_IPV4}|{_H}{{1,4}}))?<R>"
_IPV6 = (
    f"(?:{_H}{{1,4}}:){{7}}{_H}{{1,4}}<R>|(?:{_H}{{1,4}}:){{6}}{_IPV4}<R>"
    f"|{_H}{{1,4}}(?::{_H}{{1,4}}){{0,6}}::{_IPV6_TAIL}"
)
_BEFORE_IPV6 = "(?:^|[^A-Za-z0-9_.])"
_BEFORE_COLONS = "(?:^|[^A-Za-z0-9_:.])"
_NAME = "[A-Za-z_][A-Za-z0-9_-]*"
_DOTTED_NAME = r"[A-Za-z_][A-Za-z0-9_.-]*[A-Za-z0-9_-]"
_UNQUOTED = r"""[^\s"'`&,;()\[\]{}<>|\\<M>]+"""
_LOGIN = r"[^\s<M>](?:[^\n<M>]*?[^\s<M>])??"
# A name may begin with blanks, or be nothing.
_INVALID = "(?:[Ii]nvalid|[Ii]llegal) user +"
_AUTHENTICATION = (
    "(?:password|publickey|keyboard-interactive/pam|none|hostbased|gssapi-with-mic|gssapi-keyex)"
)
_USER_KEY = (
    "(?i:user|username|user[._]name|userid|user_id|usr|ruser|remote_user|logname|login|acct|account|auid|e?uid|suser"
    "|duser)"
)
_SECRET_KEY = (
    "(?i:[a-z0-9_.-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    "|auth[_-]?key|secret[_-]?key|token|credentials?))"
)
_PLAIN_SECRET_KEY = (
    "(?i:[a-z0-9_.-]*(?:passwd|passphrase|api[_-]?key|access[_-]?key|secret[_-]?key|auth[_-]?token))"
)
_PEM = r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^<M>]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What ends like an address, or like a name with a dot, but is a file or a unit of systemd.
_ENDINGS: Final = _words(
    """
    service socket mount automount swap target timer slice scope path device png jpg jpeg gif svg ico js
    css html htm php jsp map java py c h so jar war class xml json yaml yml txt log conf
    """
)


def _is_email(value: str) -> bool:
    return value.rpartition(".")[2].lower() not in _ENDINGS


def _is_mac(value: str) -> bool:
    digits = re.sub("[:-]", "", value).lower()
    return len(set(digits)) > 1 and not digits.startswith(MAC_PSEUDONYMS.replace(":", ""))


def _is_ipv4(value: str) -> bool:
    address = IPv4Address(value)
    return address not in IPV4_PSEUDONYMS and not address.is_loopback and address.packed[0] != 0


def _is_ipv6(value: str) -> bool:
    try:
        address = IPv6Address(value)
    except AddressValueError:
        return False
    harmless = address in IPV6_PSEUDONYMS or address.is_loopback or address.is_unspecified
    # `dead::beef` is more likely a name in a program.
    return not harmless and any(letter.isdigit() for letter in value)


_NOBODY = _words(
    """
    root 0 4294967295 -1 null none nil unknown undefined unset true false yes no
    """
)
# What follows "user" in prose.
_WORDS = _words(
    """
    a account accounts action agent an and app application are as at authentication by can canceled
    cancelled command config configuration context could credentials data database defined did directory
    does error events exists failed file for from group groups had has have home id identity in info
    input interaction interface interrupt is job level list log login logins mode name names not of on
    or password permissions policy preferences process processes profile properties request requested
    requests role session sessions settings shell should space specified state task tasks that the this
    time to token type was were which who will with without
    """
)


def _is_user(value: str) -> bool:
    lowered = value.lower()
    if lowered in _NOBODY or lowered in _WORDS or ("." in lowered and not _is_email(lowered)):
        return False
    return any(map(str.isalnum, value)) and not re.match("(?:invalid|illegal) user|from ", lowered)


def _is_secret(value: str) -> bool:
    return value.lower() not in _NOBODY and len(set(value)) > 1


def _is_token(value: str) -> bool:
    if value.startswith("-----BEGIN") or not re.fullmatch("[A-Za-z0-9+/]{60,76}={0,2}", value):
        return True
    # A line of a key has letters of both cases and digits; a checksum and a path don't.
    mixed = all(re.search(letters, value) for letters in ("[a-z]", "[A-Z]", "[0-9]"))
    return mixed and value.count("/") < 8


_BRANDS = (
    (r"4[0-9]+", (13, 16, 19)),
    (r"(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)[0-9]+", (16,)),
    (r"3[47][0-9]+", (15,)),
    (r"3(?:0[0-5]|[689])[0-9]+", (14,)),
    (r"(?:6011|64[4-9]|65|62)[0-9]+", (16, 17, 18, 19)),
    (r"35(?:2[89]|[3-8])[0-9]+", (16,)),
)


def _is_card(value: str) -> bool:
    digits = re.sub("[ -]", "", value)
    known = any(len(digits) in lengths and re.fullmatch(brand, digits) for brand, lengths in _BRANDS)
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return known and len(set(digits)) > 1 and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


STEPS: Final[tuple[Step, ...]] = (
    Step(
        "token",
        "bracket",
        "(?i:bearer|basic) |eyJ|A(?:KIA|SIA|ROA|IDA)|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|sk[_-]|rk_|AIza"
        "|hf_|-----BEGIN|[A-Za-z0-9+/]{60}",
        (
            Rule("", _PEM),
            Rule("<L>(?i:bearer) +", "[A-Za-z0-9._~+/-]{16,}=*"),
            Rule("(?i:authorization)[\"']?[:=] ?[\"']?(?i:basic) +", "[A-Za-z0-9+/]{8,}=*"),
            Rule("", "<L>eyJ[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]{5,}\\.[A-Za-z0-9_-]*"),
            Rule("", "<L>A(?:KIA|SIA|ROA|IDA)[A-Z0-9]{16}<R>"),
            Rule(
                "", "<L>(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,})"
            ),
            Rule("", "<L>xox[abeoprs]-[A-Za-z0-9-]{10,}"),
            Rule("", "<L>(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|sk-[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,})"),
            Rule("", "<L>AIza[A-Za-z0-9_-]{35}"),
            Rule(r"^\s*", "[A-Za-z0-9+/]{60,76}={0,2}", r"\s*$"),
        ),
        _is_token,
    ),
    Step(
        "secret",
        "bracket",
        "(?i:passw|passphrase|secret|(?:api|access|private|auth).?key|token|credential)|://[^/ ]*@",
        (
            Rule("<L>[A-Za-z][A-Za-z0-9+.-]*://", r"[^\s/@:<M>]*:[^\s/@<M>]+", "@"),
            Rule(rf"""<L>{_SECRET_KEY}\\?["'] ?[:=] ?\\?["']""", r"""[^"'\\<M>]+"""),
            Rule(f'<L>{_SECRET_KEY} ?= ?"', '[^"<M>]+'),
            # `token=Token{...}` prints an object.
            Rule(rf"""<L>{_SECRET_KEY} ?= ?["'`]?""", _UNQUOTED, r"<R>(?:[^({\[]|$)"),
            Rule(rf"""<L>{_PLAIN_SECRET_KEY}: ?["'`]?""", _UNQUOTED),
        ),
        _is_secret,
    ),
    Step(
        "email",
        "email",
        "@",
        (Rule("", r"<L>[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}<R>"),),
        _is_email,
    ),
    Step(
        "mac",
        "mac",
        f"(?:{_H}{{2}}[:-]){{5}}{_H}",
        (
            # Fingerprints are longer, and so is an IPv6 address.
            Rule(f"<L>(?:{_H}{{2}}:){{6,}}{_H}|<L>(?:{_H}{{2}}-){{6,}}{_H}"),
            Rule(f"::(?:{_H}{{2}}:){{5}}{_H}{{2}}|(?:{_H}{{2}}:){{5}}{_H}{{2}}::"),
            Rule("", f"<L>(?:{_H}{{2}}:){{5}}{_H}{{2}}<R>|<L>(?:{_H}{{2}}-){{5}}{_H}{{2}}<R>"),
        ),
        _is_mac,
    ),
    Step(
        "ip",
        "ipv6",
        f"::|(?:{_H}{{1,4}}:){{6}}",
        (
            Rule(f"{_BEFORE_IPV6}(?:{_H}{{2}}:){{7,}}{_H}{{2}}<R>"),
            # The step after this one takes the IPv4 address in it.
            Rule(f"{_BEFORE_COLONS}::(?i:ffff):{_IPV4}<R>"),
            Rule(f"{_BEFORE_IPV6}(?:{_IPV6})<H>|{_BEFORE_COLONS}::{_IPV6_TAIL}<H>"),
            Rule("<A>", f"{_IPV6}|::{_IPV6_TAIL}"),
            Rule(_BEFORE_IPV6, _IPV6),
            Rule(_BEFORE_COLONS, f"::{_IPV6_TAIL}"),
        ),
        _is_ipv6,
    ),
    Step(
        "ip",
        "ipv4",
        r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        (
            Rule(r"(?:^|[^A-Za-z0-9_.~])(?:[0-9]+\.){4,}[0-9]+"),
            Rule(rf"(?i:\b(?:version|ver|rev|revision|release|firmware|build)[ :=.]{{1,2}}v?){_IPV4}"),
            Rule(rf"[A-Za-z]-{_IPV4}"),
            Rule("<A>", f"{_IPV4}<R>"),
            Rule("^|[^A-Za-z0-9_.~]", f"{_IPV4}<R>"),
        ),
        _is_ipv4,
    ),
    Step("user", "user", r"\(uid=", (Rule("<L>by ", _DOTTED_NAME, r"\(uid="),), _is_user),
    Step(
        "user",
        "user",
        "(?i:user|uid|login|logname|acct|account| for |/home/|cache/|TTY=|CMD|LIST|EDIT|RELOAD)",
        (
            Rule(f"{_AUTHENTICATION} for (?:{_INVALID})?", _LOGIN, " from(?: |$)"),
            Rule(f"attempts exceeded for (?:{_INVALID})?", _LOGIN, " from(?: |$)"),
            Rule(f"<L>{_INVALID}", _LOGIN, r" from(?: |$)| \[preauth\]| <H>|$"),
            Rule("<L>authenticating user ", _LOGIN, " <H>"),
            Rule("LOGIN [0-9]+ FROM [^ ]+ FOR ", _LOGIN, ", "),
            Rule("(?:^|[ :])", _DOTTED_NAME, " : (?:[^=]* ; )?TTY="),
            Rule(r"(?:^|[ :])\(", _DOTTED_NAME, r"\) (?:CMD|LIST|RELOAD|REPLACE|(?:BEGIN|END) EDIT)<R>"),
            Rule(rf"""<L>{_USER_KEY}\\?["'] ?[:=] ?\\?["']""", r"""[^"'\\<M>]+"""),
            Rule(f'<L>{_USER_KEY}="', '[^"<M>]+'),
            Rule(rf"""<L>{_USER_KEY}=["'`]?""", r"""[^\s"'`&,;:()\[\]{}<>|/<M>]+"""),
            Rule("<L>(?i:user|username|account|login) [\"'`]", r"""[^\s"'`<M>]+""", "[\"'`]"),
            Rule("<L>(?i:for|of|by|as) user ", f"{_DOTTED_NAME}|{_NAME}"),
            Rule(r"[/\\]Users[/\\]+(?i:default|public|shared|all users)<R>"),
            Rule(r"/(?:home|Users|usercache)/", _DOTTED_NAME, "/"),
            Rule(r"/(?:home|Users|usercache)/", f"{_DOTTED_NAME}<R>|[A-Za-z_]<R>"),
            Rule(
                r"<L>[A-Za-z]:\\{1,2}Users\\{1,2}",
                r"""[^\\/:*?"'<>|\s<M>](?:[^\\/:*?"'<>|<M>]*[^\\/:*?"'<>|\s<M>])?""",
                r"\\",
            ),
        ),
        _is_user,
    ),
    Step(
        "card",
        "bracket",
        r"(?:^|[^A-Za-z0-9_.+-])[2-6][0-9]{3}(?:[0-9]{9}|[ -][0-9]{4,6}[ -][0-9]{4})",
        (
            Rule(r"(?:^|[^A-Za-z0-9_.+-])[0-9]+\.[0-9]+"),
            Rule(
                r"^|[^A-Za-z0-9_.+-]",
                "(?:[0-9]{13,19}|[0-9]{4}(?: [0-9]{4}){3}(?: [0-9]{3})?"
                "|[0-9]{4}(?:-[0-9]{4}){3}(?:-[0-9]{3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})<R>",
            ),
        ),
        _is_card,
    ),
)
"""The table, in the order of its application."""

KINDS: Final = tuple(dict.fromkeys(step.kind for step in STEPS))
"""Names of the kinds."""


def steps(kinds: Iterable[str]) -> tuple[Step, ...]:
    """The rows of the given kinds, in order."""
    wanted = set(kinds)
    return tuple(step for step in STEPS if step.kind in wanted)
