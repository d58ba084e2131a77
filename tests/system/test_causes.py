"""Causes that the lab cannot bring about: real programs that are ill, looked at as a playbook says.

The collectors are real, and nothing acts here. The programs are those of tests/recordings/causes, sick and healthy.
"""

import subprocess
import time
from dataclasses import replace

import pytest
from django.conf import settings

from sre_platform.catalog.domain import Target
from sre_platform.diagnosis import investigate
from sre_platform.embedded.parts import go
from sre_platform.kernel.clock import now
from sre_platform.kernel.errors import Unavailable
from sre_platform.playbook.schema import parse_playbook
from tests.diagnosis.scene import scene
from tests.recordings.causes.record import FOLDER, running

pytestmark = pytest.mark.system
SETTLES_S = 6.0
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    binary = tmp_path_factory.mktemp("causes") / "program"
    try:
        subprocess.run([go(), "build", "-o", binary, "."], cwd=FOLDER / "programs", check=True, timeout=300)
    except Unavailable as error:
        pytest.skip(str(error))
    return binary


def found(program, playbook, scenario):
    """The causes that the playbook names, the likeliest first."""
    book = parse_playbook((settings.BASE_DIR / "playbooks" / f"{playbook}.yaml").read_text())
    with running(program, scenario, GODEBUG="schedtrace=200") as ill:
        time.sleep(SETTLES_S)
        urls = {"metrics_url": f"http://{ill.address}/metrics", "pprof_url": f"http://{ill.address}/debug/pprof"}
        target = Target("orders", **urls, pid=ill.process.pid, log_files=(str(ill.log),))
        world = replace(scene(), opened_at=now())
        _, ranked = investigate.diagnose({"book": book}, {"orders": target}, "orders", world, list)
    return [item.finding.cause for item in ranked]


@pytest.mark.parametrize(
    ("playbook", "scenario", "cause"),
    [
        ("go/memory", "retention/sick", "go.mem.retention"),
        ("go/lock", "lock/sick", "go.lock.contention"),
        pytest.param("go/memory", "cache/sick", "go.mem.unbounded-cache", marks=slow),
        pytest.param("go/memory", "off-heap/sick", "go.mem.off-heap", marks=slow),
    ],
)
def test_the_cause_is_named_first(program, playbook, scenario, cause):
    assert found(program, playbook, scenario)[:1] == [cause]


@pytest.mark.parametrize(
    ("playbook", "scenario"),
    [
        ("go/lock", "lock/healthy"),
        *(pytest.param("go/memory", f"{name}/healthy", marks=slow) for name in ("retention", "cache", "off-heap")),
        pytest.param("go/memory", "cache/warming", marks=slow),
    ],
)
def test_healthy_twins_are_silent(program, playbook, scenario):
    assert found(program, playbook, scenario) == []
