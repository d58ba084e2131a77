"""The PostgreSQL that other tests stand on: it is there, and what it has committed survives kill -9."""

import os

import psycopg
import pytest

from sre_platform.kernel.errors import Unavailable
from tests.torture import postgres


@pytest.fixture(scope="module")
def server():
    try:
        postgres.binaries()
    except Unavailable as error:
        pytest.skip(str(error))
    with postgres.postgres() as started:
        yield started


def test_what_was_committed_survives_kill_9(server):
    with psycopg.connect(server.url) as connection:
        connection.execute("create table kept (number int)")
        connection.execute("insert into kept values (7)")
    killed = server.pid
    server.kill()
    assert not server.answers()
    server.start()
    assert server.pid != killed
    with psycopg.connect(server.url) as connection:
        assert connection.execute("select number from kept").fetchall() == [(7,)]
        assert connection.execute("show fsync").fetchone() == ("on",)


def test_backends_are_the_processes_of_other_connections(server):
    with psycopg.connect(server.url) as connection:
        assert server.backends() == [connection.info.backend_pid]


def test_it_leaves_no_process_and_no_folder():
    try:
        with postgres.postgres() as server:
            pid, folder = server.pid, server.folder
            assert folder.exists()
    except Unavailable as error:
        pytest.skip(str(error))
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
