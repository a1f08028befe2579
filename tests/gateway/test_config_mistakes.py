"""Every seeded mistake is told with file, line, key, reason and fix, and costs no more than it must.

Golden cases: `tests/cases/config/mistakes.toml`, made one at a time in `tests/cases/config/good/`.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.kept import dump, undump
from gateway.config.load import load
from gateway.config.loaded import Loaded
from gateway.config.problems import Kind
from gateway.config.quantities import Seconds
from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind
from gateway.model.point import Kind as PointKind
from gateway.model.point import PointSpec, Profile
from gateway.model.words import nearest
from gateway.registry import Group, UnknownPlugInError
from tests.toml_writer import inline, text

CASES = Path(__file__).parent.parent / "cases" / "config"
MISTAKES: list[dict[str, Any]] = tomllib.loads((CASES / "mistakes.toml").read_text(encoding="utf-8"))["case"]


class Bus(msgspec.Struct):
    """Keys of a source with a constraint between them."""

    port: str
    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    pause: Annotated[Seconds, msgspec.Meta(gt=0)] = 0.1
    stopbits: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1

    def __post_init__(self) -> None:
        if self.baudrate <= 0:
            raise ValueError("baudrate must be above 0")


class Broker(msgspec.Struct):
    """Keys of a source that names a secret."""

    host: str
    port: int = 1883
    password_file: str | None = None


class BusDevice(msgspec.Struct):
    """Keys of a device on a bus."""

    address: int


class Topic(msgspec.Struct):
    """Keys of a device on a broker."""

    topic: str


class Modem(msgspec.Struct):
    """Keys of a channel to persons."""

    port: str


class Relay(msgspec.Struct):
    """Keys of a channel on a device."""

    device: str
    point: str


class Paper(msgspec.Struct):
    """Keys of a channel that writes a file."""

    file: str


class Rate(msgspec.Struct):
    """Keys of a rule kind."""

    window: Seconds = 60.0


class Nothing(msgspec.Struct):
    """No keys of its own."""


SCHEMAS: dict[str, dict[str, type[msgspec.Struct]]] = {
    "source": {"serial_bus": Bus, "broker": Broker},
    "device": {"serial_bus": BusDevice, "topics": Topic},
    "channel": {"modem": Modem, "relay": Relay, "paper": Paper},
    "rule": {"threshold": Nothing, "rate": Rate},
}
GROUPS = {"source": Group.DRIVER, "device": Group.DIALECT, "channel": Group.CHANNEL, "rule": Group.KIND}


def options(table: str, name: str) -> type[msgspec.Struct]:
    if name == "needy":
        raise ConfigError('driver "needy" cannot be loaded: No module named libneedy')
    known = SCHEMAS[table]
    if name not in known:
        raise UnknownPlugInError(GROUPS[table], name, nearest(name, known), tuple(known))
    return known[name]


def addressed(kind: str) -> ChannelKind:
    return ChannelKind.PERSON if kind == "modem" else ChannelKind.PLACE


def _state(name: str) -> PointSpec:
    return PointSpec(name=name, kind=PointKind.STATE, labels={"off": 0, "on": 1})


PROFILES = {
    "smoke": Profile(id="smoke", title="smoke", driver="serial_bus", points=(_state("smoke"),)),
    "gas": Profile(id="gas", title="gas", driver="topics", points=(PointSpec(name="ch4", unit="%[LEL]"),)),
    "outputs": Profile(id="outputs", title="outputs", driver="serial_bus", points=(_state("do1"), _state("do2"))),
    "unitless": Profile(id="unitless", title="gas", driver="topics", points=(PointSpec(name="ch4"),)),
}


def profile(name: str) -> Profile:
    if name not in PROFILES:
        raise ConfigError(f'profile "{name}" does not exist; did you mean "{nearest(name, PROFILES)}"?')
    return PROFILES[name]


def tailor(known: Profile, changes: Any) -> Profile:  # noqa: ANN401 - a table of TOML
    for name in changes:
        if name not in {spec.name for spec in known.points}:
            raise ConfigError(f"no point {name}")
    return known


def read(path: Path) -> Loaded:
    return load(path, profiles=profile, tailor=tailor, options=options, addressed=addressed)


def furnish(folder: Path) -> None:
    """Put the good configuration and what it needs into a folder."""
    shutil.copytree(CASES / "good", folder, dirs_exist_ok=True)
    secret = folder / "broker.password"
    secret.write_text("secret", encoding="utf-8")
    secret.chmod(0o600)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    furnish(tmp_path)
    return tmp_path


def make(case: dict[str, Any], folder: Path) -> None:
    file = folder / case.get("file", "station.toml")
    content = case.get("replace", file.read_text(encoding="utf-8"))
    changes = case.get("change", [])
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in content, f"the good configuration has no {old!r}"
        content = content.replace(old, new, 1)
    file.write_text(content + case.get("add", "") + "\n", encoding="utf-8")


def ids(loaded: Loaded) -> set[str]:
    station = loaded.station
    assert station is not None
    tables: dict[str, tuple[Any, ...]] = {
        "source": station.sources,
        "device": station.devices,
        "rule": station.rules,
        "channel": station.channels,
        "policy": station.policies,
        "cell": station.cells,
        "contact": station.contacts,
    }
    steps = {channel for policy in station.policies for step in policy.steps for channel in step.by}
    return {f"{table}:{item.id}" for table, items in tables.items() for item in items} | {
        f"step channel:{channel}" for channel in steps
    }


def line_of(file: Path, told: dict[str, Any]) -> int:
    lines = [
        number for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if told["at"] in line
    ]
    return lines[-1 if told.get("last") else 0]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case["name"])
def test_a_mistake_is_told_where_it_is_and_costs_no_more_than_it_must(case: dict[str, Any], folder: Path) -> None:
    make(case, folder)
    loaded = read(folder / "station.toml")
    every = "\n".join(problem.text() for problem in loaded.problems)
    matched = []
    for told in case["told"]:
        file = folder / told.get("file", case.get("file", "station.toml"))
        found = [
            problem
            for problem in loaded.problems
            if problem.kind is Kind[told["kind"]]
            and problem.file == str(file)
            and ("at" not in told or problem.line == line_of(file, told))
            and ("key" not in told or case.get("also_key") or problem.key == told["key"])
            and told.get("words", "") in problem.text()
        ]
        assert found, f"not told: {told}\n{every}"
        matched += found
    others = [problem for problem in loaded.problems if problem not in matched and problem.kind is not Kind.CLASS_OPEN]
    assert case.get("also") or not others, f"told beside it:\n{every}"
    assert set(case.get("kept", ())) <= ids(loaded), every
    assert not set(case.get("lost", ())) & ids(loaded), every


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case["name"])
def test_a_problem_is_one_line_with_file_reason_and_fix_in_either_language(case: dict[str, Any], folder: Path) -> None:
    make(case, folder)
    for problem in read(folder / "station.toml").problems:
        for language in ("en", "zh"):
            text = problem.text(language)
            assert text.isprintable()
            assert "$" not in text.replace("$$", "")
            assert problem.reason(language)
            assert problem.fix(language)
            assert text.startswith(f"{problem.file}:{problem.line}" if problem.line else problem.file)


def test_only_notes_do_not_refuse(folder: Path) -> None:
    loaded = read(folder / "station.toml")
    assert loaded.good
    assert [problem.kind for problem in loaded.problems] == [Kind.CLASS_OPEN]
    make({"add": '[[rule]]\nid = "x"'}, folder)
    assert not read(folder / "station.toml").good


GOOD = tomllib.loads((CASES / "good" / "station.toml").read_text(encoding="utf-8"))
scalars = st.one_of(
    st.none(),  # stands for: leave the key out
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.sampled_from(
        ["", " ", "5s", "-1s", "bus1", "sms", "jc/3", "turn-out", "nan", "\x00", "火", "a" * 300, "../../x"]
    ),
)
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(scalars.map(str), inner))


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, inner in rows for place in places(inner, (*path, key)))]


def replaced(value: Any, path: tuple[str | int, ...], new: Any) -> Any:  # noqa: ANN401 - TOML
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def without_nothing(value: Any) -> Any:  # noqa: ANN401 - TOML
    if isinstance(value, dict):
        return {key: without_nothing(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nothing(inner) for inner in value if inner is not None]
    return value


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(places(GOOD)[1:]), anything), min_size=1, max_size=3))
def test_whatever_stands_in_the_file_it_is_told_and_never_raised(
    changes: list[tuple[tuple[str | int, ...], Any]],
) -> None:
    document: Any = GOOD
    for path, new in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            document = replaced(document, path, new)
    written = "".join(f"{text(key)} = {inline(value)}\n" for key, value in without_nothing(document).items())
    with tempfile.TemporaryDirectory() as folder:
        furnish(Path(folder))
        file = Path(folder) / "station.toml"
        file.write_text(written, encoding="utf-8")
        loaded = read(file)
    for problem in loaded.problems:
        for language in ("en", "zh"):
            assert problem.text(language).isprintable()
    if loaded.station is not None:  # the good part is sound in itself
        station = loaded.station
        assert undump(dump(station)) == station
        sources, channels = {one.id for one in station.sources}, {one.id for one in station.channels}
        assert all(device.source in sources for device in station.devices)
        assert all(channel in channels for policy in station.policies for step in policy.steps for channel in step.by)
        policies = {"", *(policy.id for policy in station.policies)}
        assert {rule.policy for rule in station.rules} | {choice.policy for choice in station.choices} <= policies
