"""Log texts in other words: what becomes of a detector when developers change their log statements.

As LogRobust does (Zhang et al., "Robust log-based anomaly detection on unstable log data", ESEC/FSE 2019), a
text is changed so that it means the same: a word gives way to a synonym, a word that adds nothing comes in or
goes out, a parameter gets a name, or is dropped or added at an end. The words are those of English and of
system logs at large; no results on any data set were looked at to choose them. A text about trouble stays
one, and no other becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from biglog.errors import InputError
from biglog.logs.masking import MASK_TOKENS
from biglog.logs.trouble import DENIED, TROUBLE

VARIABLE: Final = "<*>"

# In base forms, and inflected below. `~` leaves the base form of a verb out, where that is a noun or an
# adjective as often: `process`, `complete`.
_VERBS: Final = """
accept: approve | acquire: get, obtain | activate: enable, turn on | add: append, insert
adjust: adapt, tune | allocate: assign, reserve | allow: permit | announce: report | append: add, attach
ask: request | assign: allocate | attach: connect | attempt: try | authenticate: verify
begin: start, commence | build: construct, assemble | calculate: compute | ~call: invoke
cancel: call off, revoke | ~change: modify, alter | ~check: verify, inspect | choose: select, pick
~clean: clear, purge | ~clear: clean, wipe | ~close: shut | collect: gather | ~complete: finish, conclude
compute: calculate | configure: set up | confirm: verify | connect: link, attach | construct: build, create
contain: hold, include | continue: proceed, carry on | convert: transform, translate | ~copy: duplicate
~correct: fix, repair | create: make, generate | deactivate: disable | decrease: lower, reduce
define: specify | delete: remove, erase | deliver: hand over | deny: refuse, reject
deploy: install, roll out | destroy: tear down, remove | detect: discover, notice, find
determine: find out, figure out | disable: deactivate, switch off | discard: drop, dismiss
disconnect: detach | discover: detect, find | dispatch: send | ~display: show, print | download: fetch
~drop: discard | enable: activate, switch on | encounter: meet, hit | ~end: finish, stop
erase: delete, remove | establish: set up, create | evaluate: assess | examine: inspect, check
execute: perform, run | ~exit: quit, leave | expire: lapse, run out | extract: unpack | fetch: retrieve, get
find: locate, discover | finish: complete, end | fix: repair, correct | ~forward: relay, pass on
~free: release | gather: collect | generate: produce, create | get: obtain, receive, fetch
grant: give, allow | halt: stop | handle: process, deal with | ignore: disregard, skip | include: contain
increase: raise | indicate: show, signal | inform: notify, tell | initialize: set up, prepare
initiate: start, launch | insert: add, put in | inspect: examine, check | install: set up, deploy
invoke: call | keep: retain, hold | launch: start | listen: wait | ~load: read in, bring in | locate: find
~look: search | maintain: keep | make: create, build | ~manage: handle | merge: combine, join
modify: change, alter | ~monitor: watch, observe | move: shift, relocate | notify: inform, tell
obtain: get, acquire | occur: happen, take place | perform: carry out, execute | permit: allow
persist: store, save | pick: choose, select | prepare: set up | prevent: stop | ~print: display, show
~process: handle, treat | produce: generate, yield | propagate: spread, pass on | provide: supply, offer
publish: post, issue | pull: fetch | push: send | reach: arrive at, get to | receive: get, obtain
~record: note, log | recover: restore, regain | redirect: reroute | reduce: lower, decrease
refresh: renew, update | ~register: enroll, record | refuse: reject, deny | reject: refuse, deny
relaunch: restart | ~release: free, let go | reload: load again | relocate: move
remove: delete, erase, drop | renew: refresh | replace: swap, exchange | reply: answer | request: demand
require: need, call for | reserve: set aside, allocate | resolve: look up | respond: reply, answer
restart: relaunch | restore: recover, bring back | resume: continue | retain: keep, hold
retrieve: fetch, get | ~return: yield, give back | ~run: execute | ~save: store, keep
~scan: search, examine | ~schedule: plan | search: look, hunt | select: choose, pick
send: transmit, dispatch | serve: deliver, provide | show: display | skip: omit, pass over
spawn: start, create | specify: define, state | start: begin, launch, commence | stop: halt, end, cease
~store: save, keep | submit: hand in, send in | succeed: pass, work | suspend: pause | ~switch: change, move
terminate: end, finish | transfer: move, pass on | transmit: send | trigger: cause, set off | try: attempt
uninstall: remove | ~update: refresh, modify | ~use: employ, utilize | validate: verify, check
verify: check, confirm | ~write: store, put
"""

_NOUNS: Final = """
action: operation | address: addr | administrator: admin | amount: quantity | application: app, program
argument: parameter | average: mean | block: chunk | certificate: cert | channel: stream | client: peer
cluster: group | command: instruction | component: part, module | configuration: config, setup
connection: link | cycle: round | daemon: service | database: db | delay: lag | device: unit
directory: folder, dir | disk: drive | duration: length | entry: item, record | environment: env
error: fault, failure | exception: error, fault | failure: error, fault | function: routine
host: machine, server | information: info, data | instance: copy | interval: period | item: entry
job: task | latency: delay | length: size | limit: bound, cap | machine: host, computer | memory: mem
message: msg, note | method: procedure | module: component, unit | node: machine, host | operation: action
option: setting | packet: frame | parameter: argument | partition: slice | password: passphrase
path: location | period: interval | permission: access right | plugin: extension, add-on | privilege: right
problem: issue, trouble | quantity: amount | quota: limit | reason: cause | replica: copy | resource: asset
response: reply, answer | result: outcome | round: cycle | sequence: series | server: host | service: daemon
size: length | state: status | status: state | storage: store | task: job | thread: worker
threshold: limit | timeout: time-out | total: sum | transaction: operation | type: kind | usage: use
user: account | value: figure | version: release, edition | volume: unit | worker: thread
"""

_OTHERS: Final = """
active: live | actual: real | additional: extra, further | after: following | again: once more, anew
already: by now, previously | another: one more | automatically: by itself | available: ready, at hand
because: since, as | before: prior to | both: the two | cancelled: called off, revoked
cannot: could not, can not | could not: was unable to, failed to | current: present
currently: now, presently | different: other, distinct | done: finished, completed
due to: because of, owing to | during: in the course of | each: every | empty: blank, void
entire: whole, full | extra: additional | failed: unsuccessful | failed to: could not, was unable to
final: last | first: initial | following: next | former: previous, earlier | idle: inactive
illegal: invalid | immediately: at once, instantly | in order to: to | inactive: idle | initial: first
instead of: in place of, rather than | internal: inner | invalid: illegal, improper | large: big
last: latest, final | latest: newest, most recent | less than: under, below | main: primary
manually: by hand | many: numerous | maximum: highest, max | minimum: lowest, min | more than: over, above
multiple: several, many | new: fresh | next: following | normally: regularly, as usual | not found: missing
now: currently, at present | old: former, earlier | only: just, merely | previous: former, prior, earlier
previously: before, earlier | primary: main | prior to: before | ready: prepared | remaining: left over
remote: distant | same: identical | secondary: backup | several: multiple, a number of
shut down: closed down | shutting down: closing down, stopping | small: little | specified: given, stated
starting up: starting | successfully: properly, with success | temporary: temp, short-lived | through: via
till: until | timed out: hit a timeout | unable to: could not, failed to | until: till
via: through, by way of | while: when, as | whole: entire, full | within: inside
"""

_IRREGULAR: Final = """
begin begins began begun beginning | bring brings brought brought bringing
build builds built built building | choose chooses chose chosen choosing | deal deals dealt dealt dealing
find finds found found finding | get gets got got getting | give gives gave given giving
hit hits hit hit hitting | hold holds held held holding | keep keeps kept kept keeping
leave leaves left left leaving | let lets let let letting | make makes made made making
meet meets met met meeting | put puts put put putting | quit quits quit quit quitting
read reads read read reading | run runs ran run running | send sends sent sent sending
set sets set set setting | show shows showed shown showing | shut shuts shut shut shutting
spread spreads spread spread spreading | take takes took taken taking | tear tears tore torn tearing
tell tells told told telling | write writes wrote written writing
"""

_DOUBLED: Final = re.compile("drop|log|omit|permit|plan|skip|stop|submit|swap|transfer|transmit")
_PARTICLES: Final = ("away", "back", "down", "off", "out", "up")
_PREPOSITIONS: Final = ("at", "by", "for", "from", "in", "into", "of", "on", "onto", "to", "via", "with")
_BE: Final = ("are", "been", "is", "was", "were")
_NAMES: Final = {
    VARIABLE: ("id=", "value=", "param="),
    "[NUM]": ("id=", "value=", "count="),
    "[TIMESTAMP]": ("time=", "when="),
    "[IP]": ("ip=", "addr="),
    "[CODE]": ("id=", "code=", "ref="),
    "[FILE]": ("file=", "path="),
}

_TOKEN: Final = "|".join(map(re.escape, (VARIABLE, *MASK_TOKENS)))
# A mask token is taken whole, so that no word is found in it; a part of an identifier is no word either.
_WORD: Final = re.compile(rf"(?:{_TOKEN})|(?<![^\s(\[\"'])([A-Za-z]+)(?=[,.;:!?)\]\"']*(?:\s|$))")
_ARTICLE: Final = re.compile(r"(?<!\S)([Aa])n?(\s+)$")
_VOWEL: Final = re.compile(r"(?i)(?!uni|us|uti)[aeiou]")
_FILLER: Final = re.compile(
    r"(?<!\S)(?:to be|[Tt]he|[Aa]n?|is|are|was|were|be|been|being|[Pp]lease)\s+(?=\S)"
)
_ALONE: Final = re.compile(rf"(?<!\S)(?:{_TOKEN})(?=[,.;:!?)]*(?:\s|$))")
_FIRST: Final = re.compile(rf"\s*(?:{_TOKEN})[,.;:]*\s+(?=\S)")
_LAST: Final = re.compile(rf"(?:\s+(?:{'|'.join(_PREPOSITIONS)}))?\s+(?:{_TOKEN})$")
_ANY_TOKEN: Final = re.compile(_TOKEN)
_SAYS: Final = re.compile("[A-Za-z]{2}")
_TAIL: Final = 80
"""Characters at the end of a text in which a last parameter is looked for."""

_DENIED: Final = re.compile(DENIED)
_TROUBLE: Final = re.compile(rf"(?i)\b(?:{'|'.join(words for _, words in TROUBLE)})\b")
# Beside trouble, what says that something may not have gone well. Of the rest it can be said that it is but
# information, and that it was done successfully.
_DOUBT: Final = re.compile(
    r"(?i)\b(?:0|alert|bad|blocked|dis\w+|down|dropped|exit\w*|halt\w*|interrupt\w*|\w+n't|never|no|not"
    r"|problem\w*|shut\w*|stop\w*|successful\w*|terminat\w*|un\w+|without|wrong\w*)\b"
)

_PREFIXES: Final = ("info: ", "note: ", "now ", "currently ")
_TRIES: Final = 20


class _Edit(NamedTuple):
    """A stretch of a text, and what stands there instead."""

    start: int
    end: int
    new: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.new + text[self.end :]


def reword(text: str, generator: np.random.Generator) -> str:
    """Says a text in other words, by one or two changes.

    Args:
        text: A template, content or normal form, not empty.
        generator: Which changes; the same state gives the same text.

    Returns:
        Another text. Its variables and mask tokens are those of the text, but for one dropped or added at an
        end.

    Raises:
        ValueError: The text is empty.
    """
    if not text:
        raise ValueError("an empty text cannot be reworded")
    changed = _changed(text, text, generator) or f"note: {text}"
    again = _changed(changed, text, generator) if generator.random() < 0.5 else None
    return again or changed


def reword_share(forms: Sequence[str], share: float, seed: int) -> dict[str, str]:
    """Rewords a share of the forms of a log.

    Args:
        forms: Templates or normal forms; those that are equal are one, and an empty one is none.
        share: Share of the distinct forms to reword, 0 to 1.
        seed: Which, and how. Of the same forms and seed, a smaller share is part of a larger one.

    Returns:
        Forms and what they are now: round(share * n) of n, none of them any of the forms given or one
        another.

    Raises:
        InputError: The share is not in 0..1.
    """
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share:g} cannot be reworded", remedy="Give a share from 0 to 1")
    distinct = sorted(set(forms) - {""})
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(distinct))
    taken, reworded = set(distinct), {}
    for at in order[: round(share * len(distinct))].tolist():
        reworded[distinct[at]] = _free(distinct[at], taken, generator)
        taken.add(reworded[distinct[at]])
    return reworded


def _free(text: str, taken: set[str], generator: np.random.Generator) -> str:
    """A rewording that no other text has."""
    for _ in range(_TRIES):
        candidate = reword(text, generator)
        if candidate not in taken:
            return candidate
    while candidate in taken:
        candidate = f"note: {candidate}"
    return candidate


def _changed(text: str, original: str, generator: np.random.Generator) -> str | None:
    """A text with one change; None if there is none that leaves it about what it was."""
    is_trouble = _is_trouble(original)
    for kind in generator.choice(len(_KINDS), len(_KINDS), replace=False, p=_KIND_SHARES).tolist():
        edits = list(_KINDS[kind](text))
        for at in generator.permutation(len(edits))[:_TRIES].tolist():
            candidate = edits[at].apply(text)
            if candidate != original and candidate.strip() and _is_trouble(candidate) == is_trouble:
                return candidate
    return None


def _is_trouble(text: str) -> bool:
    return _TROUBLE.search(_DENIED.sub(" ", text)) is not None


# -- the kinds of changes --


def _synonyms(text: str) -> Iterator[_Edit]:
    """Words, or two and three in a row, by their synonyms."""
    words = _words(text)
    for at, word in enumerate(words):
        for end in (each.end() for each in words[at : at + 3]):
            found = text[word.start() : end]
            # The particle of a verb goes with it: "shut" of "shut down" is another word.
            if end == word.end() and at + 1 < len(words) and words[at + 1][1].lower() in _PARTICLES:
                continue
            for synonym in SYNONYMS.get(found.lower(), ()):
                new = _in_case_of(found, synonym)
                if new:
                    yield _with_article(text, _Edit(word.start(), end, new))


def _in_case_of(word: str, synonym: str) -> str:
    """A synonym in the capitals of a word; nothing if they are those of an identifier."""
    if word.islower():
        return synonym
    if word.isupper():
        return synonym.upper()
    return synonym[0].upper() + synonym[1:] if word[1:].islower() else ""


def _with_article(text: str, edit: _Edit) -> _Edit:
    """Adapts the article before a word: an error, a fault."""
    article = _ARTICLE.search(text, max(0, edit.start - 8), edit.start)
    if article is None:
        return edit
    fitting = article[1] + ("n" if _VOWEL.match(edit.new) else "")
    return _Edit(article.start(), edit.end, fitting + article[2] + edit.new)


def _insertions(text: str) -> Iterator[_Edit]:
    """Words that add nothing: before and after a text, after `is` and its like, before a noun."""
    is_fine = not _is_trouble(text) and _DOUBT.search(text) is None
    for prefix in _PREFIXES if is_fine else _PREFIXES[1:]:
        if not text.lower().startswith(prefix):
            yield _Edit(0, 0, prefix.capitalize() if text[0].isupper() else prefix)
    end = len(text.rstrip(" .,;:!"))
    yield from (_Edit(end, end, suffix) for suffix in (" now", " at this time"))
    is_done = False
    for before, word in _neighbours(text):
        this = word[1].lower()
        if this in _BE:
            yield from (_Edit(word.end(), word.end(), new) for new in (" now", " currently"))
        if this in _THINGS and (before in _PREPOSITIONS or before in _DOING):
            yield _Edit(word.start(), word.start(), "the ")
        is_done |= this in _DONE and (before in _BE or not word.start())
    if is_done and is_fine:
        yield _Edit(end, end, " successfully")


def _neighbours(text: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Each word, and the one right before it in lower case, if there is one."""
    last, end = "", 0
    for word in _words(text):
        yield last if text[end : word.start()].isspace() else "", word
        last, end = word[1].lower(), word.end()


def _words(text: str) -> list[re.Match[str]]:
    return [match for match in _WORD.finditer(text) if match[1]]


def _removals(text: str) -> Iterator[_Edit]:
    """Words that can be left out: articles, forms of `be`."""
    for match in _FILLER.finditer(text):
        if match[0][0].isupper():
            yield _Edit(match.start(), match.end() + 1, text[match.end()].upper())
        else:
            yield _Edit(match.start(), match.end(), "")


def _parameters(text: str) -> Iterator[_Edit]:
    """Parameters: named, dropped at an end, or added there."""
    for match in _ALONE.finditer(text):
        yield from (_Edit(match.start(), match.start(), name) for name in _NAMES[match[0]])
    end = len(text.rstrip())
    for at_end in (_FIRST.match(text), _LAST.search(text, max(0, end - _TAIL), end)):
        if at_end is not None:
            edit = _Edit(at_end.start(), at_end.end(), "")
            if _SAYS.search(_ANY_TOKEN.sub("", edit.apply(text))):
                yield edit
    # Whether a text without tokens is a template, or a content, nobody knows.
    has_mask = any(token in text for token in MASK_TOKENS)
    for token, names in _NAMES.items():
        if (token == VARIABLE and VARIABLE in text) or (token != VARIABLE and has_mask):
            yield from (_Edit(end, end, f" ({name}{token})") for name in names)


_KINDS: Final[tuple[Callable[[str], Iterator[_Edit]], ...]] = (_synonyms, _insertions, _removals, _parameters)
_KIND_SHARES: Final = (0.4, 0.2, 0.2, 0.2)


# -- the table --


def _inflected(verb: str) -> tuple[str, str, str, str, str]:
    """A verb, its third person, past, participle and -ing form; of a phrase the first word is inflected."""
    first, blank, rest = verb.partition(" ")
    forms = _IRREGULAR_FORMS.get(first) or _regular(first)
    base, third, past, participle, doing = (form + blank + rest for form in forms)
    return base, third, past, participle, doing


def _regular(verb: str) -> tuple[str, ...]:
    stem = verb + verb[-1] if _DOUBLED.fullmatch(verb) else verb
    if verb.endswith("y") and verb[-2] not in "aeou":
        stem, past = verb, verb[:-1] + "ied"
    elif verb.endswith("e"):
        stem, past = verb if verb.endswith("ee") else verb[:-1], verb + "d"
    else:
        past = stem + "ed"
    return verb, _with_s(verb), past, past, stem + "ing"


def _with_s(word: str) -> str:
    """The plural of a noun, or the third person of a verb."""
    if word.endswith("y") and word[-2] not in "aeou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def _rows(table: str) -> Iterator[tuple[str, list[str]]]:
    for row in table.strip().replace("\n", " | ").split(" | "):
        word, _, synonyms = row.partition(": ")
        yield word, synonyms.split(", ")


def _pairs() -> Iterator[tuple[str, str]]:
    """Every form of every word, with each of its synonyms in the same form."""
    yield from ((word, synonym) for word, synonyms in _rows(_OTHERS) for synonym in synonyms)
    for word, synonyms in _rows(_NOUNS):
        for synonym in synonyms:
            yield word, synonym
            yield _with_s(word), synonym if synonym in _MASS else _with_s(synonym)
    for word, synonyms in _rows(_VERBS):
        first, own = 2 if word.startswith("~") else 0, _inflected(word.removeprefix("~"))
        for said in map(_inflected, synonyms):
            # "Started" may be past or participle; of "began" and "begun" only one would be right.
            is_clear = own[2] != own[3] or said[2] == said[3]
            yield from ((own[k], said[k]) for k in range(first, 5) if is_clear or k == 4 or k < 2)


def _read_table() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for word, synonym in _pairs():
        if synonym != word:
            found.setdefault(word, {})[synonym] = None
    return {word: tuple(synonyms)[:3] for word, synonyms in found.items()}


_MASS: Final = frozenset(("data", "info", "mem", "series", "trouble"))
_IRREGULAR_FORMS: Final = {
    row.split()[0]: tuple(row.split()) for row in _IRREGULAR.strip().replace("\n", " | ").split(" | ")
}

SYNONYMS: Final = _read_table()
"""Words of logs, in lower case and every form, and what can be said instead."""

_THINGS: Final = frozenset(form for word, _ in _rows(_NOUNS) for form in (word, _with_s(word)))
_VERB_FORMS: Final = [_inflected(word.removeprefix("~")) for word, _ in _rows(_VERBS)]
_DOING: Final = frozenset(forms[4] for forms in _VERB_FORMS)
_DONE: Final = frozenset(form for forms in _VERB_FORMS for form in forms[2:4])
