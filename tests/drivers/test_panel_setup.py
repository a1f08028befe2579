"""How panels are configured: what is refused, what is remarked, who is who behind one port."""

from __future__ import annotations

import pytest

from drivers._panel_device import dialects
from drivers.panel_serial import _at, create
from gateway.errors import ConfigError
from gateway.model.point import Device
from tests.drivers.panel_bench import device, panel, setup, shipped


def test_a_configuration_is_refused_with_every_problem() -> None:
    create(setup(device("gst5000"), baudrate=2400)[0])
    for wrong, reason in (
        ((device("gst5000"), device("ld128e", "b")), "one line speaks one dialect"),
        ((device("gst5000"), device("gst5000", "b")), "device b: peer and panel are those of it"),
        (
            (Device(id="it", source="src", profile=shipped()["gst5000"], options={"dialect": "gst500"}),),
            'did you mean "gst5000"',
        ),
        ((device("gst5000", codes={"15": "flames"}),), "event code 'flames'"),
        ((device("gst5000", panel=256),), "panel"),
        ((), "it has no device"),
    ):
        with pytest.raises(ConfigError, match=reason):
            create(setup(*wrong)[0])
    for key in ({"no_such_key": 1}, {"address": 256}, {"period": 0.01}, {"mode": "polled"}):
        with pytest.raises(ConfigError, match=next(iter(key))):
            create(setup(device("gst_crt"), **key)[0])
    far = {"wire": "tcp_client", "host": "h", "port": 4001}
    with pytest.raises(ConfigError, match='carries no ninth bit; fix: wire = "serial", or mode = "listen"'):
        create(setup(device("gst_crt"), mode="poll", **far)[0])
    create(setup(device("gst_crt"), **far)[0])


def test_a_line_with_other_settings_than_usual_is_a_finding() -> None:
    made, notes = setup(device("fs5101w"))
    create(made)
    assert "stopbits = 2" in notes.said
    made, notes = setup(device("gst_crt"), baudrate=2400)
    create(made)
    assert 'parity = "S"' in notes.said
    made, notes = setup(device("gst_crt"), baudrate=2400, parity="S", mode="poll")
    create(made)
    assert notes.said == ""


def test_panels_behind_one_port_are_told_apart_by_their_peers() -> None:
    panels = [panel("gst5000", "a", peer="10.0.0.7"), panel("gst5000", "b", peer="10.0.0.8")]
    assert [one.id for one in _at(panels, "10.0.0.8:4001")] == ["b"]
    assert _at(panels, "10.0.0.9:4001") == []
    assert [one.id for one in _at([panel("gst5000")], "/dev/ttyUSB0")] == ["it"]


def test_every_dialect_has_a_profile() -> None:
    assert set(shipped()) == set(dialects())
