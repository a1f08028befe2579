"""The station of the step's tests: a gas sensor, a smoke detector, a fire panel, a thermometer; squad and captain."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.model.contact import Cell, ChannelSpec, Contact, Policy, PolicyChoice, Step
from gateway.model.point import AlarmClass, Device, Kind, PointSpec, Profile, Severity
from gateway.model.station import Limits, RuleSpec, SourceSpec, Station, StoreSpec

LI, CHEN = "13800138000", "13700000002"
GAS = PointSpec(name="ch4", unit="%[LEL]", title="甲烷")
STATION = Station(
    id="jc-07",
    name="江城社区微型消防站",
    store=StoreSpec(path=":memory:"),
    sources=(SourceSpec(id="s", driver="mqtt"),),
    devices=(
        Device(id="gas", source="s", profile=Profile(id="g", title="g", points=(GAS,), silence=1e6), cell="jc/3"),
        Device(
            id="temp",
            source="s",
            profile=Profile(id="t", title="t", points=(PointSpec(name="t", unit="Cel"),), silence=1e6),
            cell="jc/3",
        ),
        Device(
            id="panel",
            source="s",
            profile=Profile(
                id="p",
                title="p",
                points=(PointSpec(name="events", kind=Kind.TEXT),),
                silence=1e6,
                alarm_class=AlarmClass.FIRE,
            ),
            cell="jc",
        ),
        Device(
            id="mute",
            source="s",
            profile=Profile(id="m", title="m", points=(PointSpec(name="x", unit="Cel"),), silence=200.0),
            cell="jc",
        ),
    ),
    rules=(
        RuleSpec(
            id="leak",
            points=("gas.ch4",),
            when="value > 10",
            clear="value < 5",
            on_delay=3.0,
            off_delay=60.0,
            alarm_class=AlarmClass.GAS,
            severity=Severity.CRITICAL,
            title="燃气泄漏",
        ),
        RuleSpec(id="now", points=("gas.ch4",), when="value > 40", clear="value < 30", alarm_class=AlarmClass.FIRE),
        RuleSpec(id="warm", points=("temp.t",), when="value > 50", clear="value < 45", on_delay=20.0, off_delay=30.0),
        RuleSpec(
            id="rising",
            points=("temp.t",),
            kind="rate",
            when="rate > 0.5",
            clear="rate < 0.1",
            options={"window": 20.0},
        ),
    ),
    channels=(ChannelSpec(id="sms", kind="sms_modem"), ChannelSpec(id="siren", kind="relay")),
    cells=(Cell(id="jc", name="江城社区"), Cell(id="jc/3", name="3号楼", parent="jc")),
    contacts=(
        Contact(id="li", name="李伟", phone=LI, roles=(("jc/3", "squad"), ("jc", "squad"))),
        Contact(id="chen", name="陈队长", phone=CHEN, roles=(("jc", "captain"),)),
    ),
    policies=(
        Policy(
            id="turn-out",
            repeat=120.0,
            steps=(
                Step(after=0.0, notify=("role:squad@cell",), by=("sms", "siren")),
                Step(after=60.0, notify=("role:captain@community",), by=("sms",)),
            ),
        ),
    ),
    choices=tuple(PolicyChoice(alarm_class=c, policy="turn-out") for c in AlarmClass),
    limits=Limits(settle=30.0, keys=4),
)


def with_limits(**given: object) -> Station:
    """Return the station with other limits."""
    return replace(STATION, limits=replace(STATION.limits, **given))
