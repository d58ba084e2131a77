"""The diagnosis held against the labelled corpus of dumps of real programs. Rates, so that a single case may go wrong.

The bounds are those that the offline diagnosis is built for, a little lower for kernels, whose dumps hold less.
"""

import gzip
import json
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

from sre_platform.diagnosis.parsers.goroutines import parse
from sre_platform.diagnosis.rca.goroutine_report import no_source, report
from sre_platform.engine.source_tree import SourceTree

CORPUS = Path(__file__).parents[1] / "recordings" / "goroutines"
SOURCES = SourceTree(CORPUS / "services")


@cache
def cases(suite):
    with gzip.open(CORPUS / f"{suite}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def reported(case, proven, source=no_source):
    later, earlier, leaked = (
        parse(case[name]) if case.get(name) else None for name in ("goroutine", "earlier", "leakprofile")
    )
    return report(later, earlier, leaked if proven else None, source)


def names_root(case, cause):
    at = (PurePosixPath(cause.site.file).name, cause.site.line) if cause.site else None
    return at in {(root["file"], root["line"]) for root in case["roots"]}


def rates(suite, proven, source=no_source):
    """The shares of cases that are detected, whose root line comes first, and whose cause comes first."""
    found = [(case, reported(case, proven, source)) for case in cases(suite)]
    first = [(case, told.causes[0]) for case, told in found if told.causes]
    shown = [case["culprit_in_dump"] for case in cases(suite)]
    lines = sum(names_root(case, cause) for case, cause in first if case["culprit_in_dump"])
    causes = sum(cause.cause == case["root_cause"] for case, cause in first)
    detected = sum(told.leak is not False and bool(told.causes) for _, told in found)
    return detected / len(found), lines / sum(shown), causes / len(found)


@pytest.mark.parametrize("proven", [False, True], ids=["dump only", "with leak profile"])
def test_healthy_services_are_never_reported(proven):
    told = {case["id"]: reported(case, proven) for case in cases("healthy")}
    assert [name for name, said in told.items() if said.leak is not False or said.causes] == []


@pytest.mark.parametrize("proven", [False, True], ids=["dump only", "with leak profile"])
def test_services(proven):
    detected, lines, causes = rates("service", proven)
    assert (detected >= 0.98, lines >= 0.97, causes >= 0.9) == (True,) * 3, (detected, lines, causes)


@pytest.mark.parametrize("proven", [False, True], ids=["dump only", "with leak profile"])
def test_kernels(proven):
    detected, lines, causes = rates("kernel", proven)
    assert (detected, lines >= 0.9, causes >= 0.8) == (1, True, True), (detected, lines, causes)


@pytest.mark.parametrize("proven", [False, True], ids=["dump only", "with leak profile"])
def test_kernels_of_the_second_batch(proven):
    detected, lines, causes = rates("kernel2", proven)
    assert (detected, lines >= 0.95, causes >= 0.85) == (1, True, True), (detected, lines, causes)


@pytest.mark.parametrize("suite", ["kernel", "kernel2", "service"])
def test_source_tells_more(suite):
    with_source, without = rates(suite, False, SOURCES.lines), rates(suite, False)
    assert with_source[2] > without[2], (with_source, without)
    assert with_source[2] >= 0.85
