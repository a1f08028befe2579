"""What a good configuration becomes, how it is kept, and how other parts report into it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway import registry
from gateway.config.kept import dump, read_copy, undump, write_copy
from gateway.config.load import load
from gateway.config.problems import Kind
from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind, Contact, Policy, PolicyChoice, Step
from gateway.model.point import AlarmClass, PointSpec, Profile, Severity
from gateway.model.station import Limits, RuleSpec, Station

STATION = """
[station]
id = "jc-07"
socket = "control.sock"

[store]
path = "station.db"
retention = { raw = "7d", record = "10y" }
budget = "60%"

[limits]
settle = "1s"
retry = "5s"

[[source]]
id = "bus"
driver = "bus"
port = 502
cert_file = "cert.pem"
key_file = "cert.pem"

[[device]]
id = "gas"
source = "bus"
profile = "gas"
cell = "a"
address = 7

[[rule]]
id = "leak"
points = ["*.ch4"]
when = "value > 10"
latch = false
class = "gas"
window = 5

[[cell]]
id = "a"

[[contact]]
id = "li"
phone = "13800138000"
cell = "a"
role = "squad"

[[channel]]
id = "sms"
kind = "modem"

[[policy]]
id = "p"
[[policy.steps]]
after = "0s"
notify = "everyone"
by = "sms"

[[default_policy]]
class = "gas"
policy = "p"
"""
GAS = Profile(
    id="gas",
    title="gas",
    points=(PointSpec(name="ch4", unit="%[LEL]", valid_range=(float("-inf"), float("inf")), labels={"a": 1.0}),),
)


def profile(name: str) -> Profile:
    if name != "gas":
        raise ConfigError(f"no profile {name}")
    return GAS


def write(folder: Path, text: str = STATION) -> Path:
    (folder / "cert.pem").write_text("-")
    (folder / "cert.pem").chmod(0o600)
    path = folder / "station.toml"
    path.write_text(text, encoding="utf-8")
    return path


def everything(path: Path) -> Station:
    loaded = load(path, profiles=profile, options=lambda *_: None, addressed=lambda _: ChannelKind.PERSON)
    assert loaded.good, [problem.text() for problem in loaded.problems]
    assert loaded.station is not None
    return loaded.station


def test_a_good_file_becomes_the_station_it_says(tmp_path: Path) -> None:
    station = everything(write(tmp_path))
    assert (station.id, station.name, station.language, station.timezone) == ("jc-07", "jc-07", "zh", "Asia/Shanghai")
    assert station.socket == str(tmp_path / "control.sock")
    assert station.store.path == str(tmp_path / "station.db")
    assert (station.store.retain_raw, station.store.commit_interval) == (7 * 86400, 5)
    assert (station.store.budget, station.store.budget_share, station.store.retain_record) == (0, 0.6, 10)
    assert station.limits == msgspec.structs.replace(Limits(), settle=1.0, retry=(5.0,))
    (source,) = station.sources
    cert = str(tmp_path / "cert.pem")
    assert source.options == {"port": 502, "cert_file": cert, "key_file": cert}
    (device,) = station.devices
    assert (device.profile, device.cell, device.options, device.poll) == (GAS, "a", {"address": 7}, 1.0)
    assert station.rules == (
        RuleSpec(
            id="leak",
            points=("*.ch4",),
            when="value > 10",
            latch=False,
            alarm_class=AlarmClass.GAS,
            severity=Severity.WARNING,
            options={"window": 5},
        ),
    )
    assert station.contacts == (Contact(id="li", name="li", phone="13800138000", roles=(("a", "squad"),)),)
    assert station.policies == (Policy(id="p", steps=(Step(after=0.0, notify=("everyone",), by=("sms",)),)),)
    assert station.choices == (PolicyChoice(alarm_class=AlarmClass.GAS, policy="p"),)


def test_a_secret_that_others_can_read_is_refused_and_a_certificate_is_not(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "cert.pem").chmod(0o640)
    loaded = load(path, profiles=profile, options=lambda *_: None, addressed=lambda _: ChannelKind.PERSON)
    told = [(problem.kind, problem.key) for problem in loaded.problems if not problem.note]
    assert (Kind.SHARED_SECRET, "source[bus].key_file") in told
    assert not any("cert_file" in key for _, key in told)


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        loaded = load(path, profiles=profile)
        assert loaded.station is None
        assert [problem.kind for problem in loaded.problems] == [Kind.UNREADABLE]
        assert str(path) in loaded.problems[0].text("zh")


def test_the_store_is_known_also_when_the_rest_is_of_no_use(tmp_path: Path) -> None:
    for text in ('[store]\npath = "my.db"\n', '[store]\npath = "my.db"\ncommit_interval = 5s\n[station]\nid = oops\n'):
        loaded = load(write(tmp_path, text), profiles=profile)
        assert loaded.station is None
        assert loaded.store is not None
        assert loaded.store.path == str(tmp_path / "my.db")


def test_an_empty_file_says_what_a_station_needs(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, ""), profiles=profile)
    assert loaded.station is None
    kinds = [problem.kind for problem in loaded.problems]
    assert kinds.count(Kind.NOTHING_USABLE) == 2
    told = [problem.text() for problem in loaded.problems if problem.kind is Kind.NOTHING_USABLE]
    assert 'no usable channel; add one: [[channel]], and under it id = "sms" and kind = "sms_modem"' in told[1]
    assert Kind.MISSING_TABLE in kinds


def test_the_digest_changes_with_every_file_and_profile_and_with_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, STATION + '[people]\ncontacts = "contacts.csv"\n')
    (tmp_path / "contacts.csv").write_text("id,name,phone\nwang,W,13800138001\n", encoding="utf-8")

    def digest(known: Profile = GAS) -> str:
        return load(
            path, profiles=lambda _: known, options=lambda *_: None, addressed=lambda _: ChannelKind.PERSON
        ).digest

    first = digest()
    assert digest() == first
    assert digest(msgspec.structs.replace(GAS, title="other")) != first
    (tmp_path / "contacts.csv").write_text("id,name,phone\nwang,W,13800138002\n", encoding="utf-8")
    assert digest() != first


def test_other_parts_report_at_the_place_of_a_key(tmp_path: Path) -> None:
    path = write(tmp_path)
    loaded = load(path, profiles=profile, options=lambda *_: None, addressed=lambda _: ChannelKind.PERSON)
    lines = STATION.splitlines()
    problem = loaded.report("rule[leak].when", "compares %[LEL] with kPa", "write the limit in %[LEL]")
    assert problem.line == lines.index('when = "value > 10"') + 1
    assert (
        problem.text() == f"{path}:{problem.line}: rule[leak].when: compares %[LEL] with kPa; write the limit in %[LEL]"
    )
    assert loaded.report("rule[leak].clear", "is missing", "add it").line == lines.index("[[rule]]") + 1
    assert loaded.report("rule[none].clear", "is missing", "add it").line == lines.index("[[rule]]") + 1
    assert loaded.report("nothing", "is missing", "add it").file == str(path)


def test_a_kept_configuration_is_whole_and_needs_no_other_file(tmp_path: Path) -> None:
    station = everything(write(tmp_path))
    assert undump(dump(station)) == station
    assert dump(undump(dump(station))) == dump(station)
    copy = tmp_path / "copy"
    write_copy(copy, station)
    write_copy(copy, station)
    assert read_copy(copy) == station
    assert copy.stat().st_mode & 0o777 == 0o600  # it has people's numbers in it
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cert.pem", "copy", "station.toml"]


def test_a_damaged_copy_is_refused_at_every_byte(tmp_path: Path) -> None:
    raw = dump(everything(write(tmp_path)))
    for place in range(0, len(raw), 7):
        with pytest.raises(ConfigError):
            undump(raw[:place] + bytes([raw[place] ^ 0x20]) + raw[place + 1 :])
        with pytest.raises(ConfigError):
            undump(raw[:place])
    with pytest.raises(ConfigError, match="No such file"):
        read_copy(tmp_path / "absent")


def test_real_plug_ins_know_their_own_keys(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("0123456789abcdef0123", encoding="utf-8")
    (tmp_path / "s").chmod(0o600)
    text = """
[station]
id = "x"
[store]
path = "x.db"
[[source]]
id = "b"
driver = "mqtt"
host = "127.0.0.1"
[[channel]]
id = "screen"
kind = "console"
[[channel]]
id = "hook"
kind = "webhook"
url = "ftp://example.org"
secret_file = "s"
timeout = "3s"
[[channel]]
id = "second"
kind = "webhook"
url = "https://example.org/alarm"
secret_fil = "s"
"""
    loaded = load(write(tmp_path, text), profiles=profile)
    told = {(problem.kind, problem.key) for problem in loaded.problems if not problem.note}
    assert told == {
        (Kind.REFUSED, "channel[hook].url"),
        (Kind.UNKNOWN_KEY, "channel[second].secret_fil"),
        (Kind.MISSING_KEY, "channel[second].secret_file"),
    }
    assert loaded.station is not None
    assert [channel.id for channel in loaded.station.channels] == ["screen"]
    assert registry.addressed("console") is ChannelKind.PLACE
