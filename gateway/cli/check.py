"""`firegrid check`: every problem at once, or the time line of who is told when."""

from __future__ import annotations

import argparse

from gateway.app import problems_of, read
from gateway.care.own import furnished
from gateway.cli.main import BAD_CONFIGURATION, GOOD, add_config
from gateway.cli.told import timeline
from gateway.config.problems import Problem
from gateway.model.station import Station


def arguments(own: argparse.ArgumentParser) -> None:
    """Add what `check` takes."""
    add_config(own)
    own.add_argument("--language", choices=("zh", "en"), help="language of the messages (default: the station's)")


def run(options: argparse.Namespace) -> int:
    """Print problems, then warnings, then notes, and last who is told when; 2 when there is a problem."""
    loaded = read(options.config)
    language = options.language or loaded.language
    zh = language == "zh"
    found = problems_of(loaded)
    for problem in found:
        print(_head(problem, zh=zh) + problem.text(language))
    wrong = sum(not problem.note for problem in found)
    if wrong or loaded.station is None:
        print(f"共 {wrong} 个问题" if zh else f"{wrong} problem{'' if wrong == 1 else 's'}")
        return BAD_CONFIGURATION
    station = loaded.station
    for line in timeline(furnished(station), language):
        print(line)
    _print_counts(station, zh=zh)
    return GOOD


def _head(problem: Problem, *, zh: bool) -> str:
    if problem.warning:
        return "警告：" if zh else "warning: "
    return ("提示：" if zh else "note: ") if problem.note else ""


def _print_counts(station: Station, *, zh: bool) -> None:
    counts = (len(station.sources), len(station.devices), len(station.rules), len(station.contacts))
    good = "配置正确：{} 条接入链路、{} 台设备、{} 条规则、{} 位联系人"
    words = ("source", "device", "rule", "contact")
    named = ", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in zip(counts, words, strict=True))
    print(good.format(*counts) if zh else f"good: {named}")
