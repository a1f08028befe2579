"""Plug-ins are found by file name, imported only when asked for, and extended by entry points."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from types import ModuleType

import msgspec
import pytest

from gateway import registry
from gateway.errors import ConfigError
from gateway.model.contact import ChannelKind
from gateway.registry import Group


def test_names_come_from_the_folders_without_private_files_and_packages() -> None:
    assert {"console", "relay", "webhook"} <= set(registry.names(Group.CHANNEL))
    for group in Group:
        assert not [name for name in registry.names(group) if name.startswith("_")]
    assert not {"dialects", "simulated", "profiles"} & set(registry.names(Group.DRIVER))


def test_nothing_is_imported_until_it_is_asked_for() -> None:
    code = """
import sys
from gateway import registry
for group in registry.Group:
    registry.names(group)
packages = tuple(group.value + "." for group in registry.Group)
own = {group.value for group in registry.Group}
early = [name for name in sys.modules if name.startswith(packages) and name not in own]
assert not early, early
registry.channel("console")
assert "gateway.channels.console" in sys.modules
assert "gateway.channels.webhook" not in sys.modules
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(registry.UnknownPlugInError, match='unknown channel "consol"; did you mean "console"') as caught:
        registry.channel("consol")
    assert caught.value.alike == "console"
    with pytest.raises(registry.UnknownPlugInError, match=r"known: .*console"):
        registry.channel("zzzzzz")
    for ask in (registry.driver, registry.dialect, registry.rule_kind):
        with pytest.raises(registry.UnknownPlugInError):
            ask("nothing-like-it")


@pytest.mark.parametrize("name", ["_private", "../console", "console.Options", "", "os", "__init__"])
def test_a_name_is_only_ever_a_plug_in(name: str) -> None:
    with pytest.raises(ConfigError):
        registry.channel(name)


def test_options_and_addressing_come_from_the_plug_in() -> None:
    schema = registry.options("channel", "console")
    assert schema is not None
    assert {field.name for field in msgspec.structs.fields(schema)} == {"stream", "file"}
    assert registry.addressed("relay") is ChannelKind.PLACE
    with pytest.raises(registry.UnknownPlugInError):
        registry.options("source", "nothing-like-it")


def test_other_distributions_add_plug_ins_and_replace_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = metadata.EntryPoint(name="console", value="theirs.console", group="firegrid.channels")
    siren = metadata.EntryPoint(name="siren", value="theirs.siren", group="firegrid.channels")
    needy = metadata.EntryPoint(name="needy", value="theirs.needy", group="firegrid.channels")

    def entry_points(*, group: str) -> metadata.EntryPoints:
        return metadata.EntryPoints([ours, siren, needy] if group == "firegrid.channels" else [])

    theirs = ModuleType("theirs.siren")
    monkeypatch.setitem(sys.modules, "theirs", ModuleType("theirs"))
    monkeypatch.setitem(sys.modules, "theirs.siren", theirs)
    monkeypatch.setattr(metadata, "entry_points", entry_points)
    entries = vars(registry)["_entries"]  # remembered for the life of a daemon
    entries.cache_clear()
    try:
        assert {"siren", "needy"} <= set(registry.names(Group.CHANNEL))
        assert registry.channel("siren") is theirs
        assert registry.channel("console").__name__ == "gateway.channels.console"
        assert registry.addressed("siren") is ChannelKind.PERSON
        with pytest.raises(ConfigError, match='channel "needy" cannot be loaded'):
            registry.channel("needy")
    finally:
        entries.cache_clear()
