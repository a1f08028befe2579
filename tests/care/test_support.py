"""What leaves the station for support names nobody, and holds what helps."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import read
from gateway.care.masking import Mask
from gateway.cli.main import GOOD, run
from gateway.clock import SECOND
from gateway.model.batch import Event, EventCode, EventSeen
from gateway.model.contact import Contact
from gateway.model.inventory import events_of
from gateway.store.database import Store
from gateway.store.shapes import Group
from tests.store_groups import BOOT, EPOCH, WALL

PEOPLE = (
    "李伟",
    "li-wei",
    "13800138000",
    "138 0013 8000",
    "+8613900139000",
    "13900139000",
    "Wang Fang",
    "wang",
    "fangw",
)
SECRETS = ("hunter2hunter2", "4711", "s3cr3t-t0ken", "sesame")

_CONFIG = """# ask 李伟, 13800138000
[station]
id = "jc-07"
name = "江城 <b>微站</b>"
clock = "trusted"
[store]
path = "station.db"
[people]
contacts = "contacts.csv"
[[cell]]
id = "a"
name = "李伟家"
[[contact]]
id = "li-wei"
name = "李伟"
phone = "138 0013 8000"
cell = "a"
role = "squad"
[[source]]
id = "broker"
driver = "mqtt"
host = "127.0.0.1"
port = 1
username = "sesame"
password_file = "mqtt.password"
[[device]]
id = "gas"
name = "Wang Fang's kitchen"
source = "broker"
profile = "json-generic"
topic = "home/wang/gas"
cell = "a"
points = { v = { unit = "1", decode = { path = "$.v" } } }
[[channel]]
id = "sms"
kind = "sms_modem"
port = "/nowhere"
pin = "4711"
[[channel]]
id = "hook"
kind = "webhook"
url = "https://sesame:hunter2hunter2@hooks.example/send?access_token=s3cr3t-t0ken"
secret_file = "hook.secret"
[[policy]]
id = "p"
repeat = "600s"
steps = [{ after = "0s", notify = ["contact:li-wei", "contact:wang"], by = ["sms"] }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(_CONFIG, encoding="utf-8")
    people = "id,name,phone,cell,role\nwang,Wang Fang,+8613900139000,a,captain\nfangw,Wang Fang,13900139000,a,squad\n"
    (tmp_path / "contacts.csv").write_text(people, encoding="utf-8")
    for name in ("mqtt.password", "hook.secret"):
        (tmp_path / name).write_text("hunter2hunter2", encoding="utf-8")
        (tmp_path / name).chmod(0o600)
    return path


def write_store(folder: Path, faults: int) -> None:
    """Write faults of the gateway that speak of people."""
    store = Store.open(folder / "station.db")
    own = store.point_ids([events_of("@gateway")])[events_of("@gateway")]
    event = Event(own, "x", EventCode.FAULT)
    records = [
        (
            "event",
            EventSeen(
                point=own,
                key=f"k{n}",
                code=event.code,
                text=f"fault {n}: SMS to 李伟 (+86 138-0013-8000) and WANG FANG failed",
                time=0,
                at=n,
                source="gateway",
                raw=b"",
            ),
        )
        for n in range(faults)
    ]
    store.commit(Group(boot=BOOT, mono=SECOND, wall=WALL, steps=[(SECOND, [EPOCH])], records=records))
    store.close()


def unpacked(bundle: Path) -> dict[str, Any]:
    """Return name → data of a bundle's files."""
    found = {}
    with tarfile.open(bundle) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            found[Path(member.name).stem] = json.loads(file.read())
    return found


def test_nobody_is_named_in_any_file_of_the_bundle(config: Path, tmp_path: Path) -> None:
    assert read(config).station is not None
    write_store(tmp_path, 250)
    assert run(["support-bundle", "-c", str(config), str(tmp_path / "help.tar.gz")]) == GOOD
    with tarfile.open(tmp_path / "help.tar.gz") as archive:
        texts = {}
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file is not None
            texts[member.name] = file.read().decode()
    for name, text in texts.items():
        for word in (*PEOPLE, *SECRETS):
            assert word.casefold() not in text.casefold(), (name, word)
        assert name.isascii()
    found = unpacked(tmp_path / "help.tar.gz")
    assert set(found) == {"about", "configuration", "problems", "doctor", "status", "faults", "store"}
    assert len(found["faults"]) == 200
    assert found["faults"][-1]["text"].startswith("fault 249: SMS to contact-1 (")
    assert found["configuration"]["channel"][1]["url"] == "https://hooks.example/***"
    assert found["configuration"]["contact"] == [{"id": "contact-1", "cell": "a", "role": "squad"}]
    assert found["configuration"]["policy"][0]["steps"][0]["notify"] == ["contact:contact-1", "contact:contact-2"]
    assert found["configuration"]["device"][0]["points"]["v"]["decode"]["path"] == "$.v"
    assert found["store"]["rows"]["record"] == 250
    assert "CREATE TABLE record" in " ".join(found["store"]["schema"])
    assert "numpy" in found["about"]["packages"]
    assert found["status"].keys() == {"not to be had"}


def test_a_box_where_nothing_works_still_gives_a_bundle_without_people(config: Path, tmp_path: Path) -> None:
    config.write_text(_CONFIG + "\n[[[ 13800138000", encoding="utf-8")
    (tmp_path / "station.db").write_bytes(b"13800138000" * 1000)
    assert run(["support-bundle", "-c", str(config), str(tmp_path / "help.tar.gz")]) == GOOD
    text = json.dumps(unpacked(tmp_path / "help.tar.gz"), ensure_ascii=False)
    assert "13800138000" not in text
    assert not [word for word in SECRETS if word in text]


def test_it_does_not_stay_half_written(config: Path, tmp_path: Path) -> None:
    (tmp_path / "help.tar.gz").mkdir()
    assert run(["support-bundle", "-c", str(config), str(tmp_path / "help.tar.gz")]) != GOOD
    assert not (tmp_path / "help.tar.gz.partial").exists()


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=2, max_size=8)


@settings(max_examples=200)
@given(
    name=NAMES,
    number=st.from_regex(r"\+?[0-9]{7,12}", fullmatch=True),
    before=st.sampled_from(["", " ", "（", "to: ", "给"]),
    after=st.sampled_from(["", " ", "）", ", x", "。"]),
)
def test_no_name_or_number_passes_whatever_stands_around_it(name: str, number: str, before: str, after: str) -> None:
    mask = Mask([Contact(id="nobody-else", name=name, phone=number)])
    shown = mask.text(f"{before}{name}{after}|{before}{number}{after}")
    assert name.casefold() not in shown.casefold() or name.casefold() in "contact-1 *** to: , x（）。给|"
    assert number not in shown


def test_a_short_id_spares_the_words_that_begin_with_it() -> None:
    mask = Mask([Contact(id="in", name="An", phone="0571 8888 7777")])
    assert mask.text("in an inner zone, index 3; 057188887777, 0571-8888-7777") == (
        "contact-1 contact-1 inner zone, index 3; ***, ***"
    )
