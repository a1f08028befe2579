"""TOML with positions: the scanner sees exactly the keys that tomllib sees; a broken file loses one block."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.quantities import duration, size
from gateway.config.text import Path, decode, parse
from tests.toml_writer import inline, text


def paths(value: object, path: Path = ()) -> set[Path]:
    """Return every key path of a parsed document, as the scanner should have seen it."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths(inner, (*path, index))
    return found


EVERYTHING = r'''
# comment with [brackets] and "quotes
title = "a # no comment \" ] }"   # a comment
"quoted.key" = 'C:\[not]\a\table'
plain.dotted . "and spaced" = 1979-05-27 07:32:00
numbers = [ 1, 2.5e3, # one
   0xFF, -inf,
   [ true, "]" , """x]""" ], ]
empty = []
none = {}
text = """
[no.header]
key = 1
\"\"\" still """
two = """ends in quotes"""""
raw = \'\'\'
[[neither]]
it\'s\'\'\'
point = { x = 1, y = { z = [ { a = "}" }, { b = 2 } ] } }

[table]
[table.inner]   # header comment
key = "value"
[ "odd name" . 'other' ]
k = 1
[[fruit]]
name = "apple"
[fruit.physical]
color = "red"
[[fruit.variety]]
name = "red delicious"
[[fruit.variety]]
name = "granny"
[[fruit]]
name = "banana"
[[fruit.variety]]
name = "plantain"
'''.replace("\\'", "'")


def test_the_scanner_sees_the_keys_that_tomllib_sees() -> None:
    for written in (EVERYTHING, EVERYTHING.replace("\n", "\r\n"), "", "\n\n", "a=1", "# only"):
        document = parse(written)
        assert not document.broken
        assert set(document.lines) == paths(document.data)


def test_lines_are_those_of_the_keys() -> None:
    document = parse(EVERYTHING)
    lines = EVERYTHING.splitlines()
    expected = {
        ("title",): "title =",
        ("quoted.key",): '"quoted.key"',
        ("plain", "dotted", "and spaced"): "plain.dotted",
        ("numbers", 0): "numbers =",
        ("numbers", 2): "0xFF",
        ("numbers", 4, 1): "[ true",
        ("point", "y", "z", 1, "b"): "point =",
        ("fruit", 0, "variety", 1): "[[fruit.variety]]",
        ("fruit", 0, "variety", 1, "name"): '"granny"',
        ("fruit", 1, "variety", 0, "name"): '"plantain"',
    }
    for path, words in expected.items():
        assert words in lines[document.line(path) - 1], path
    assert document.line(("fruit", 1, "taste")) == lines.index("[[fruit]]", lines.index('name = "granny"')) + 1
    assert document.line(("absent",)) == 0


keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
scalars = st.one_of(
    st.integers(-(2**40), 2**40), st.booleans(), st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]))
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(keys, st.booleans(), st.dictionaries(keys, values, max_size=4)), max_size=4))
def test_any_document_is_walked_to_its_end(tables: list[tuple[str, bool, dict[str, object]]]) -> None:
    written = ""
    for key, array, rows in tables:
        written += f"[[{text(key)}]]\n" if array else f"[{text(key)}]\n"
        written += "".join(f"{text(name)} = {inline(value)}\n" for name, value in rows.items())
    document = parse(written)
    if not document.broken:  # the same table twice
        assert document.data == tomllib.loads(written)
        assert set(document.lines) == paths(document.data)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.lists(st.sampled_from(EVERYTHING.split()), max_size=30).map("\n".join))
def test_nothing_that_can_be_written_raises(written: str) -> None:
    document = parse(written)
    assert all(1 <= place.line <= written.count("\n") + 1 for place in document.broken)


def test_a_broken_block_costs_that_block() -> None:
    document = parse(
        'a = 1\n[one]\nx = 1\n[two]\nid = "t"\ny = oops\n[three]\nz = 3\n[four]\nlist = [1,\n[five]\nw = 5\n'
    )
    assert document.data == {"a": 1, "one": {"x": 1}, "three": {"z": 3}, "five": {"w": 5}}
    assert [(place.line, place.table, place.name) for place in document.broken] == [(6, "two", "t"), (11, "four", "")]
    assert document.line(("five", "w")) == 12


def test_an_unclosed_text_at_the_end_still_ends() -> None:
    document = parse('[one]\nx = 1\n[two]\ny = """\n[three]\nz = 3\n')
    assert document.broken
    assert document.data.get("one", {"x": 1}) == {"x": 1}


def test_deep_nesting_is_refused_and_not_crashed_on() -> None:
    document = parse("a = " + "[" * 20_000)
    assert document.broken


def test_files_of_other_editors() -> None:
    assert decode(b"\xef\xbb\xbfa = 1") == ("a = 1", 0)
    assert decode("a = 1\nb = '消防'".encode("gb18030")) == ("a = 1\nb = '消防'", 2)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5),
        ("250ms", 0.25),
        ("2m", 120),
        ("2min", 120),
        ("1h30m", 5400),
        ("30d", 2592000),
        ("1.5h", 5400),
        ("0s", 0),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    assert duration(written) == seconds
    assert duration(f" {written} ") == seconds


@pytest.mark.parametrize("written", ["", "5", "s", "-5s", "5 x", "5s!", "1e3s", "５s", "inf", "nan"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(written)


def test_sizes() -> None:
    assert [size(written) for written in ("12", "2GiB", "1.5 MiB", "3 kB")] == [12, 2 << 30, 3 << 19, 3000]
    for wrong in ("", "2 gigs", "-1", "GiB"):
        with pytest.raises(ValueError, match="not a size"):
            size(wrong)
