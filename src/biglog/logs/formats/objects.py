"""Values out of JSON objects, one a line, by key path: columnar, and whatever the lines are.

Polars reads newline-delimited JSON with a schema of texts forgivingly: numbers and nested values become text,
keys that are not asked for are skipped. Only broken syntax makes it raise, so lines are sieved before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import polars as pl

# A key with an escape in it is not found by its text.
_ESCAPED_KEY = r'\\[u/][^"\\:]*"\s*:'
_SURROGATE = r"\\u[dD][89a-fA-F]"
_MANY = 256


def read_objects(lines: pl.Series, paths: Iterable[str]) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Values of JSON objects by key path.

    Args:
        lines: Texts; each may hold one JSON object, over several lines too. Brackets and commas around it, as
            the elements of an array have them, are left out.
        paths: Keys joined by dots. `log.level` finds the key `log.level`, or `level` in the object `log`, or
            in a list of attributes as OpenTelemetry writes them.

    Returns:
        Which lines are objects (Boolean), and a String column for each path that any object has, null where
        this one lacks it; objects and lists are JSON text.
    """
    text = lines.str.strip_chars_start(" \t\r\n[").str.strip_chars_end(" \t\r\n],")
    likely = text.str.starts_with("{") & text.str.ends_with("}")
    rows = text if likely.all() else text.filter(likely)
    if rows.str.contains("[\r\n]").any():
        rows = rows.str.replace_all("[\r\n]", " ")
    valid, values = _values(rows, list(dict.fromkeys(paths)))
    if len(rows) == len(lines):
        return valid, values
    at = _positions(likely)
    return valid.gather(at).fill_null(False), {path: column.gather(at) for path, column in values.items()}


def _values(objects: pl.Series, paths: list[str]) -> tuple[pl.Series, dict[str, pl.Series]]:
    """Which texts are objects, and their values by path: as one key, else one key after the other."""
    outer = {path: path.split(".", 1) for path in paths if "." in path}
    keys = list(dict.fromkeys([*paths, *(key for key, _ in outer.values())]))
    # Without any key Polars would look for keys itself.
    frame, valid = _top_level(objects, keys or [""])
    present = {column.name: column for column in frame if column.null_count() < len(column)}
    found = {path: present[path] for path in paths if path in present}
    for key in dict.fromkeys(key for key, _ in outer.values() if key in present):
        inner = {path: rest for path, (first, rest) in outer.items() if first == key}
        for path, column in _inner_values(objects, key, present[key], inner).items():
            flat = found.get(path)
            found[path] = column if flat is None else flat.zip_with(flat.is_not_null(), column)
    return valid, found


def _inner_values(
    objects: pl.Series, key: str, texts: pl.Series, paths: dict[str, str]
) -> dict[str, pl.Series]:
    """Values inside the value of one key.

    Args:
        objects: Whole objects.
        key: Key of the value.
        texts: The key's value in each object.
        paths: Rest of a path, by the whole path.
    """
    kinds = texts.str.head(1).fill_null("")
    found = _attributes(texts, paths) if (kinds == "[").any() else {}
    nested = kinds == "{"
    if not nested.any():
        return found
    inner = texts.filter(nested)
    valid, values = _values(inner, list(paths.values()))
    if not valid.all():
        # What came back is not escaped; the slower reader does escape.
        exact = objects.filter(nested).str.json_path_match(f"$['{key}']")
        _, values = _values(inner.zip_with(valid, exact), list(paths.values()))
    at = _positions(nested)
    for path, rest in paths.items():
        if rest not in values:
            continue
        column = values[rest].gather(at)
        found[path] = found[path].zip_with(~nested, column) if path in found else column
    return found


def _attributes(texts: pl.Series, paths: dict[str, str]) -> dict[str, pl.Series]:
    """Values of `[{"key": "host.name", "value": {"stringValue": "web1"}}, ...]` by key."""
    value = r'", "value": \{"[a-zA-Z]+Value": (?:"((?:[^"\\]|\\.)*)"|([^"}]*))\}'
    found = {}
    for path, rest in paths.items():
        groups = texts.str.extract_groups(f'\\{{"key": "{re.escape(rest)}{value}').struct
        found[path] = groups.field("1").zip_with(groups.field("1").is_not_null(), groups.field("2"))
    return found


def _top_level(objects: pl.Series, keys: list[str]) -> tuple[pl.DataFrame, pl.Series]:
    """Values by key, as texts, and which texts are valid JSON; all null where one is not."""
    schema = dict.fromkeys(_occurring(objects, keys), pl.String())
    # Half a surrogate pair is taken by one reader and not by the other: the stricter one decides, always.
    doubtful = objects.str.contains(_SURROGATE)
    valid = _strictly_valid(objects, doubtful)
    frame = _parsed(objects if valid.all() else objects.set(~valid, "{}"), schema)
    if frame is not None:
        return frame, valid
    # The slower reader tells text by text which are no JSON; the two differ on a few oddities.
    valid = _strictly_valid(objects, ~doubtful) & valid
    parts = list(_halved(objects.set(~valid, "{}"), schema))
    odd = pl.concat([pl.Series([good]).new_from_index(0, len(part)) for part, good in parts])
    return pl.concat([part for part, _ in parts]), valid & odd


def _strictly_valid(objects: pl.Series, doubtful: pl.Series) -> pl.Series:
    """Which texts are JSON, where that is doubtful; True elsewhere."""
    if not doubtful.any():
        return ~doubtful
    valid = objects.filter(doubtful).str.json_path_match("$").is_not_null()
    return valid.gather(_positions(doubtful)).fill_null(True)


def _occurring(objects: pl.Series, keys: list[str]) -> list[str]:
    """Keys that occur somewhere: a schema of a hundred keys takes twice the time of one of ten."""
    if len(objects) < _MANY or objects.str.contains(_ESCAPED_KEY).any():
        return keys
    quoted = {f'"{key}"': key for key in keys}
    found = objects.str.extract_many(list(quoted)).explode().unique().drop_nulls()
    return [quoted[text] for text in found.sort()] or keys[:1]


def _halved(objects: pl.Series, schema: dict[str, pl.String]) -> Iterator[tuple[pl.DataFrame, bool]]:
    """Parts that can be parsed, and single texts that cannot (nulls, False), in order."""
    frame = _parsed(objects, schema)
    if frame is not None:
        yield frame, True
    elif len(objects) == 1:
        yield pl.DataFrame({key: [None] for key in schema}, schema=schema), False
    else:
        middle = len(objects) // 2
        yield from _halved(objects.head(middle), schema)
        yield from _halved(objects.tail(len(objects) - middle), schema)


def _parsed(objects: pl.Series, schema: dict[str, pl.String]) -> pl.DataFrame | None:
    """Values by key of one text a line, or None if there is one that is no JSON."""
    if objects.is_empty():
        return pl.DataFrame(schema=schema)
    data = objects.str.join("\n").cast(pl.Binary).item()
    try:
        frame = pl.read_ndjson(data, schema=schema, ignore_errors=True)
    except pl.exceptions.PolarsError:
        return None
    return frame if len(frame) == len(objects) else None


def _positions(chosen: pl.Series) -> pl.Series:
    """Where the chosen rows stand among themselves; null for the others."""
    return (chosen.cum_sum().cast(pl.Int64) - 1).set(~chosen, None)
