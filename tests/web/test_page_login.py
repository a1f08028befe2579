"""Beyond loopback: nothing without a login, a password by a one-time code, few tries, sessions that end."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.web import auth
from gateway.web.auth import FAILURES, Keeper, Tries, code_file, known_code, new_code
from tests.page_house import REMOTE, TOKEN, Caller, Lived, live

PASSWORD = "correct horse 电池"  # noqa: S105 - of a test


def code(lived: Lived) -> str:
    """Make a one-time code, as root at the box does."""
    return new_code(code_file(lived.house.station.store.path))


def _token(html: str) -> str:
    found = TOKEN.search(html)
    assert found is not None
    return found[1]


async def enrolled(lived: Lived, who: str = "li") -> None:
    """Let somebody set a password and be logged in."""
    answer = await lived.caller.post("/setup", code=code(lived), who=who, password=PASSWORD)
    assert (answer.status, answer.headers["location"]) == (303, "/")


def test_nothing_is_shown_without_a_login(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        for path in ("/", "/alarms", "/turnout", "/links", "/walktest", "/history/oven.temperature",
                     "/point/oven.temperature", "/who", "/alarm/1"):  # fmt: skip
            answer = await lived.caller.get(path)
            assert (answer.status, answer.headers.get("location")) == (303, "/login"), path
        assert (await lived.caller.get("/stream?view=alarms")).status == 403
        assert (await lived.caller.post("/act", do=f"ack:{lived.fire}")).status == 303
        assert (await lived.caller.post("/who", who="li")).status == 303

    live(tmp_path, body, REMOTE)


def test_a_code_is_good_once_and_the_password_from_then_on(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        once = code(lived)
        setup = {"code": once, "who": "li", "password": PASSWORD}
        assert (await lived.caller.post("/setup", {**setup, "password": "short"})).status == 400
        assert (await lived.caller.post("/setup", {**setup, "who": "nobody"})).status == 403
        assert (await lived.caller.post("/setup", {**setup, "code": "x" * 10})).status == 403
        assert (await lived.caller.post("/setup", setup)).status == 303
        assert (await lived.caller.post("/setup", setup)).status == 403
        assert not known_code(code_file(lived.house.station.store.path))

        other = Caller(lived.page, address="203.0.113.9")
        assert (await other.post("/login", who="li", password=PASSWORD + "x")).status == 403
        assert (await other.post("/login", who="chen", password=PASSWORD)).status == 403
        answer = await other.post("/login", who="li", password=PASSWORD)
        assert answer.status == 303
        assert "Secure" in answer.headers["set-cookie"]
        turnout = await other.get("/turnout")
        assert "13800138000" in turnout.text, "a squad member sees whole numbers"
        fields = {"do": f"ack:{lived.fire}", "csrf": _token(turnout.text)}
        assert (await other.post("/act", fields, token=False)).status == 200
        assert lived.house.state.book.by_id(lived.fire).acknowledged_by == "li"  # type: ignore[union-attr]

    live(tmp_path, body, REMOTE)


def test_roles_that_are_not_entitled_see_masked_numbers(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await lived.burning()
        await enrolled(lived, "chen")
        text = (await lived.caller.get("/turnout")).text
        assert "8000" in text
        assert "13800138000" not in text

    live(tmp_path, body, REMOTE)


def test_guessing_is_slowed_down(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        await enrolled(lived)
        other = Caller(lived.page, address="203.0.113.9")
        said = [(await other.post("/login", who="li", password="x" * 12)).status for _ in range(FAILURES + 1)]
        assert said == [403] * FAILURES + [429]
        assert (await other.post("/login", who="li", password=PASSWORD)).status == 429
        neighbour = Caller(lived.page, address="203.0.113.10")
        assert (await neighbour.post("/login", who="li", password=PASSWORD)).status == 303

    live(tmp_path, body, REMOTE)


def test_a_new_password_ends_other_sessions_and_so_does_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(lived: Lived) -> None:
        await enrolled(lived)
        assert (await lived.caller.get("/")).status == 200
        old = Caller(lived.page, dict(lived.caller.cookies))
        again = Caller(lived.page)
        await again.post("/setup", code=code(lived), who="li", password=PASSWORD + "2")
        assert (await again.get("/")).status == 200
        assert (await old.get("/")).status == 303
        wall = lived.house.clock.wall()
        monkeypatch.setattr(type(lived.house.clock), "wall", lambda _: wall + 8 * 24 * 3_600 * 10**9)
        assert (await again.get("/")).status == 303

    live(tmp_path, body, REMOTE)


def test_loopback_sessions_are_worth_nothing_outside(tmp_path: Path) -> None:
    async def body(lived: Lived) -> None:
        chosen = lived.page.desk.keeper.sign(lived.page.desk.keeper.begin("li"))
        assert (await Caller(lived.page, {"firegrid": chosen}).get("/")).status == 303

    live(tmp_path, body, REMOTE)


def test_a_link_from_elsewhere_costs_nobody_the_session(tmp_path: Path) -> None:
    """A strict cookie does not come with it: a new session must not take the old one's place."""

    async def body(lived: Lived) -> None:
        await enrolled(lived)
        stranger = Caller(lived.page)
        answer = await stranger.get("/alarms", **{"sec-fetch-site": "cross-site"})
        assert "refresh" in answer.text
        assert not stranger.cookies
        assert (await lived.caller.get("/alarms", **{"sec-fetch-site": "same-origin"})).status == 200

    live(tmp_path, body, REMOTE)


class Dictionary:
    """A memory for one test."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """Return what was put."""
        return self.rows.get(key)

    def put(self, key: str, value: str) -> None:
        """Keep it."""
        self.rows[key] = value


def test_passwords_are_kept_as_salted_hashes() -> None:
    memory = Dictionary()
    keeper = Keeper(memory)
    for who in ("li", "chen"):
        keeper.set_password(who, PASSWORD)
        assert keeper.right(keeper.kept(who), PASSWORD)
        assert not keeper.right(keeper.kept(who), PASSWORD + " ")
    assert not keeper.right("", "")
    assert memory.rows["password li"] != memory.rows["password chen"]
    assert PASSWORD not in str(memory.rows)
    session = keeper.begin("li", until=10)
    assert Keeper(memory).read(keeper.sign(session), 9) == session, "a restart ends no session"
    assert Keeper(Dictionary()).read(keeper.sign(session), 9) is None


def test_a_code_that_others_could_have_written_is_none(tmp_path: Path) -> None:
    path = code_file(str(tmp_path / "station.db"))
    assert auth.known_code(path) == ""
    made = new_code(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert known_code(path) == made
    path.chmod(0o644)
    assert known_code(path) == ""
    path.unlink()
    other = tmp_path / "other"
    other.write_text("abcdefghij", encoding="ascii")
    other.chmod(0o600)
    path.symlink_to(other)
    assert known_code(path) == ""


def test_tries_are_forgotten_and_bounded() -> None:
    tries = Tries()
    for number in range(5_000):
        tries.failed(f"{number}", number * 3 * 10**9)
    assert len(tries._failed) <= 1_001  # noqa: SLF001 - what may not grow
    for _ in range(FAILURES):
        tries.failed("a", 10**15)
    assert not tries.allowed("a", 10**15)
    assert tries.allowed("a", 10**15 + 61 * 10**9)
