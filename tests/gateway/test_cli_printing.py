"""Tables of the command line: aligned by what a terminal shows, not by characters; and the words of an act."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms.done import done
from gateway.cli.printing import PAGE, Row, show, wide
from gateway.model.alarm import AlarmState, Suppression, Verb


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("gas", 3), ("燃气", 4), ("【火警】", 8), ("é", 1), ("e\u0301", 1), ("℃", 1)]
)
def test_how_wide_a_text_is(text: str, columns: int) -> None:
    assert wide(text) == columns


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text("ab火警·℃", max_size=9), st.integers(0, 10**6)), min_size=1, max_size=8))
def test_each_column_begins_where_its_heading_does(rows: list[tuple[str, int]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        printed: list[str] = []
        patched.setattr("builtins.print", printed.append)
        show(({"name": name, "id": number} for name, number in rows), as_json=False, columns=("name", "id"))
    begin = wide(printed[0].removesuffix("id"))
    ends = [str(number) for _, number in rows]
    assert [wide(line.removesuffix(end)) for line, end in zip(printed[1:], ends, strict=True)] == [begin] * len(rows)


def test_a_table_without_end_begins_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(3 * PAGE):
            if number == 2 * PAGE:
                taken.append(len(capsys.readouterr().out.splitlines()))
            yield {"id": number}

    show(rows(), as_json=False, columns=("id",))
    assert taken == [1 + 2 * PAGE]
    assert capsys.readouterr().out.splitlines()[0] == str(2 * PAGE)


def test_a_table_without_rows_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show([], as_json=False, columns=("id",))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verb", [verb for verb in Verb if "walktest" not in verb])  # they concern no alarm
@pytest.mark.parametrize("state", list(AlarmState))
@pytest.mark.parametrize("suppression", list(Suppression))
def test_every_outcome_of_an_act_has_words(verb: Verb, state: AlarmState, suppression: Suppression) -> None:
    zh = done(verb, state, suppression, who="李伟", until="15:30", told=2, chinese=True)
    en = done(verb, state, suppression, who="Li", until="15:30", told=1, chinese=False)
    assert "李伟" in zh
    assert zh.endswith("；通知 2 人")
    assert "Li" in en
    assert en.endswith("; 1 person is told")
    assert en.isascii()
    assert ("15:30" in zh) == ("15:30" in en) == (verb is Verb.SHELVE)
