"""What devices may say again: how much is kept of each, how long, and what a former life's memory is worth."""

from __future__ import annotations

import pytest

from drivers._conversation_repeats import INHERITED, LASTING, SLOTS, Known, Repeats
from drivers._conversation_said import Proof
from gateway.model.batch import Mark
from gateway.model.time import MINUTE

NOW = 1_000 * MINUTE
HALF_AN_HOUR = NOW + 30 * MINUTE


def short(number: int) -> bytes:
    return number.to_bytes(8, "little")


def said(repeats: Repeats[int], *numbers: int, proof: Proof = Proof.USUAL) -> list[Mark]:
    """Say so many things that are committed; return their marks."""
    marks = []
    for number in numbers:
        mark = repeats.enter("a", short(number), NOW + LASTING, number, proof)
        repeats.committed("a", short(number), number)
        assert mark is not None
        marks.append(mark)
    return marks


def test_what_its_time_proves_is_kept_beside_all_that_is_said_later() -> None:
    repeats: Repeats[int] = Repeats("s", ["a"], [], NOW)
    said(repeats, *range(SLOTS), proof=Proof.TIME)
    marks = said(repeats, *range(100, 100 + 3 * SLOTS))
    assert {mark.packet for mark in marks} == set(range(SLOTS))
    assert {repeats.find("a", short(n), NOW, Proof.TIME)[0] for n in range(SLOTS)} == {Known.BEFORE}
    [mark] = said(repeats, SLOTS, proof=Proof.TIME)
    assert mark.packet == SLOTS  # the place of the oldest of its kind
    assert repeats.find("a", short(0), NOW, Proof.TIME) == (Known.BEFORE, None)  # while this life lasts


@pytest.mark.parametrize(
    ("kept", "later", "proof", "known"),
    [
        (Proof.USUAL, 0, Proof.USUAL, Known.BEFORE),
        (Proof.USUAL, INHERITED + 1, Proof.USUAL, Known.NEW),
        (Proof.NOTHING, 0, Proof.NOTHING, Known.PERHAPS),
        (Proof.NOTHING, INHERITED + 1, Proof.NOTHING, Known.NEW),
        (Proof.TIME, 0, Proof.TIME, Known.BEFORE),
        (
            Proof.TIME,
            LASTING,
            Proof.NOTHING,
            Known.BEFORE,
        ),  # it comes long after: its time is no more that of our clock
        (Proof.TIME, LASTING + 1, Proof.NOTHING, Known.NEW),
    ],
)
def test_what_a_former_life_heard(kept: Proof, later: int, proof: Proof, known: Known) -> None:
    marks = said(Repeats("s", ["a"], [], NOW), 1, proof=kept)
    assert Repeats[int]("s", ["a"], marks, NOW).find("a", short(1), NOW + later, proof) == (known, None)


@pytest.mark.parametrize("proof", Proof)
def test_a_burst_that_is_said_again_is_known_beyond_what_lasts(proof: Proof, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers._conversation_repeats.OLDER", 2 * SLOTS)
    repeats: Repeats[int] = Repeats("s", ["a"], [], NOW)
    said(repeats, *range(3 * SLOTS), proof=proof)
    assert {repeats.find("a", short(n), NOW + LASTING, proof) for n in range(3 * SLOTS)} == {(Known.BEFORE, None)}
    over = Known.PERHAPS if proof is Proof.NOTHING else Known.NEW
    assert {repeats.find("a", short(n), NOW + LASTING + 1, proof)[0] for n in range(3 * SLOTS)} == {over}
    assert repeats.find("b", short(0), NOW, proof)[0] is Known.NEW
    said(repeats, 9_999, proof=proof)
    assert [repeats.find("a", short(n), NOW, proof)[0] for n in (0, 1)] == [Known.NEW, Known.BEFORE]


def test_of_a_former_life_nothing_is_known_that_had_to_make_room() -> None:
    marks = said(Repeats("s", ["a"], [], NOW), 1, proof=Proof.NOTHING)
    repeats = Repeats[int]("s", ["a"], marks, NOW)
    said(repeats, *range(100, 100 + SLOTS))
    assert repeats.find("a", short(1), NOW, Proof.NOTHING) == (Known.NEW, None)


def test_marks_of_a_former_life_go_in_time_but_for_what_was_said_again() -> None:
    before: Repeats[int] = Repeats("s", ["a"], [], NOW)
    usual, renewed = said(before, 1, 2)
    proved = said(before, 3, proof=Proof.TIME)
    gone, other = Mark("s b", 20, b"b"), Mark("t a", 0, b"t")
    repeats: Repeats[int] = Repeats("s", ["a"], [usual, renewed, *proved, gone, other], NOW)
    said(repeats, 2)
    assert repeats.stale(HALF_AN_HOUR) == []
    assert repeats.stale(HALF_AN_HOUR + 1) == [usual, gone]
    assert repeats.stale(NOW + LASTING) == []
    assert repeats.stale(NOW + LASTING + 1) == proved
    assert repeats.stale(NOW + 9 * LASTING) == []


def test_what_loses_its_proof_leaves_no_mark_that_proves() -> None:
    before: Repeats[int] = Repeats("s", ["a"], [], NOW)
    [mark] = said(before, 1, proof=Proof.TIME)
    repeats: Repeats[int] = Repeats("s", ["a"], [mark], NOW)
    [now] = said(repeats, 1, proof=Proof.NOTHING)
    assert now.packet < SLOTS
    assert repeats.settled([mark], NOW + LASTING, NOW)
    assert repeats.stale(HALF_AN_HOUR + 1) == []
    assert repeats.stale(NOW + LASTING + 1) == [mark]


@pytest.mark.parametrize("first", [Proof.NOTHING, Proof.TIME])
def test_what_no_clock_proves_is_said_again_perhaps_as_long_as_this_life_remembers_it(first: Proof) -> None:
    repeats: Repeats[int] = Repeats("s", ["a"], [], NOW)
    repeats.enter("a", short(1), HALF_AN_HOUR, 1, first)
    assert repeats.find("a", short(1), HALF_AN_HOUR, Proof.NOTHING)[0] is Known.BEFORE
    assert repeats.find("a", short(1), HALF_AN_HOUR + 1, Proof.NOTHING) == (Known.PERHAPS, None)
    assert repeats.find("a", short(1), HALF_AN_HOUR + 1, Proof.USUAL) == (Known.NEW, None)
    assert repeats.find("a", short(2), HALF_AN_HOUR + 1, Proof.NOTHING) == (Known.NEW, None)
