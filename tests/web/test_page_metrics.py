"""`/metrics`: what it says of a living house, to whom, and in which formats."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from prometheus_client import parser
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from gateway.model.notification import Notification, NotifyReason
from gateway.model.point import AlarmClass
from gateway.pipeline.commit import Work
from gateway.pipeline.supervisor import Health
from gateway.web import metrics
from tests.page_house import REMOTE, Lived, live
from tests.patience import until

ROOT = Path(__file__).parents[2]


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in parser.text_string_to_metric_families(text)}


def number(text: str, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in families(text).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def test_it_counts_what_is_committed_and_the_alarm_that_is_open(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        with lived.page.metrics.listening():
            before = (await lived.caller.get("/metrics")).text
            await lived.burning()
            await until(lambda: lived.page.metrics.counts.records["transition"] > 0)
            answer = await lived.caller.get("/metrics")
        text = answer.text
        assert answer.headers["content-type"].startswith("text/plain")
        assert number(text, "firegrid_readings_total") > number(before, "firegrid_readings_total")
        assert number(text, "firegrid_alarms", **{"class": "fire", "state": "unack"}) == 1
        assert number(text, "firegrid_alarms", **{"class": "gas", "state": "unack"}) == 0
        commits = number(text, "firegrid_commits_total")
        assert commits > 0
        assert number(text, "firegrid_commit_seconds_count") == commits
        assert 0 < number(text, "firegrid_arrival_to_commit_seconds_sum") < 60
        assert number(text, "firegrid_resident_memory_bytes") > 1 << 20
        assert number(text, "firegrid_store_volatile") == 0
        assert number(text, "firegrid_link_up", link="channel sms") == 0
        assert {"station": "page"}.items() <= families(text)["firegrid_info"].samples[0].labels.items()

    live(tmp_path, look)


def test_the_time_from_the_alarm_to_its_first_notices_counts_once_an_alarm(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        await lived.burning()
        notice = Notification(
            id=1, alarm=lived.fire, alarm_class=AlarmClass.FIRE, contact="li", channel="sms", address="1",
            reason=NotifyReason.RAISED, text="",
        )  # fmt: skip
        again = replace(notice, id=2, repeat=True)
        later = replace(notice, id=3, reason=NotifyReason.ESCALATED)
        heard = lived.page.metrics.counts.heard
        heard(Work(sending=[notice, replace(notice, id=4)], closed_at=lived.house.clock.mono()))
        heard(Work(sending=[again, later], closed_at=lived.house.clock.mono()))
        text = (await lived.caller.get("/metrics")).text
        assert number(text, "firegrid_alarm_to_send_seconds_count") == 1
        assert 0 < number(text, "firegrid_alarm_to_send_seconds_sum") < 5

    live(tmp_path, look)


def test_every_alarm_class_has_its_number_and_no_person_is_named(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        await lived.burning()
        text = (await lived.caller.get("/metrics")).text
        classes = {sample.labels["class"] for sample in families(text)["firegrid_alarms"].samples}
        assert classes == {kind.word for kind in AlarmClass}
        assert "13800138000" not in text
        assert "script" not in text

    live(tmp_path, look)


def test_open_metrics_is_answered_to_who_asks_for_it(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        answer = await lived.caller.get("/metrics", accept="application/openmetrics-text;version=1.0.0")
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
        read = openmetrics.text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call] # has no types
        assert "firegrid_readings" in {one.name for one in read}

    live(tmp_path, look)


def test_beyond_loopback_only_this_box_itself_and_who_has_logged_in_is_answered(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        assert (await lived.caller.get("/metrics")).status == 403
        lived.caller.address = "127.0.0.1"
        assert (await lived.caller.get("/metrics")).status == 200

    live(tmp_path, look, REMOTE)


def test_a_sink_tells_how_old_its_backlog_is_and_what_it_counts(tmp_path: Path) -> None:
    async def look(lived: Lived) -> None:
        facts = lived.page.desk.facts
        health = Health(name="sink far", up=True, counters={"sent": 7, metrics.BACKLOG: 90})
        object.__setattr__(facts, "links", lambda: [health])
        text = (await lived.caller.get("/metrics")).text
        assert number(text, "firegrid_sink_backlog_seconds", sink="far") == 90
        assert number(text, "firegrid_link_count_total", link="sink far", what="sent") == 7
        assert metrics.BACKLOG not in {
            sample.labels["what"] for sample in families(text)["firegrid_link_count"].samples
        }

    live(tmp_path, look)


def test_its_names_are_those_that_are_documented(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "grafana.md").read_text(encoding="utf-8")
    documented = {line.split("`")[1].partition("{")[0] for line in page.splitlines() if line.startswith("| `firegrid_")}

    async def look(lived: Lived) -> None:
        text = (await lived.caller.get("/metrics")).text
        named = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
        assert named == documented

    live(tmp_path, look)
