"""`manage.py demo --once`, the way `make demo ONCE=1` calls it, with each way to get alerts."""

import json
import shutil
import socket

import pytest

from sre_platform.embedded.stack import running_supervisor
from sre_platform.kernel.envfile import read_env_file
from tests.system.stack import START_S, fresh, manage

pytestmark = [pytest.mark.system, pytest.mark.timeout(START_S + 60)]


@pytest.mark.parametrize("alerting", ["prometheus", "embedded"])
def test_the_demo_heals_the_leak_and_leaves_nothing_behind(alerting: str) -> None:
    if alerting == "prometheus" and not shutil.which("prometheus"):
        pytest.skip("prometheus and alertmanager are not on PATH")
    data = fresh("test-demo")
    done = manage(data, "demo", "--once", "--json", "--alerting", alerting, timeout_s=START_S)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["outcome"], report["cause"]["where"]) == ("healed", "lab/orders/quote_v2.go:35")
    assert "Incident page: http://127.0.0.1:" in done.stderr
    assert running_supervisor(data) == 0
    urls = [url for url in read_env_file(data / "run" / "env").values() if url.startswith("http://127.0.0.1:")]
    ports = [int(url.rpartition(":")[2]) for url in urls]
    assert ports
    assert not [port for port in ports if _listens(port)]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
