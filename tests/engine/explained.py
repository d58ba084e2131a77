"""Asking ``manage.py explain``, and making sure that it only reads."""

import json
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.db import connection

from sre_platform.incidents.domain import State
from tests.engine.story import drive, fire, install, strict

RESTART = ("--service", "payments", "--cause", "hung_service", "--action", "restart_service")


@contextmanager
def reading_only(shop):
    """Fails when a statement is anything but a plain SELECT, or when the supervisor is asked for more than a state."""
    statements, told, answer = [], [], shop.supervisor._call
    before = _as_it_is(shop)

    def look(execute, sql, params, many, context):
        statements.append(sql)
        return execute(sql, params, many, context)

    def listen(method, args):
        told.append(method)
        return answer(method, args)

    with connection.execute_wrapper(look), patch.object(shop.supervisor, "_call", listen):
        yield statements
    assert statements, "it looked into the database"
    assert [
        sql for sql in statements if not sql.lstrip().upper().startswith("SELECT") or "FOR UPDATE" in sql.upper()
    ] == []
    assert set(told) <= {"getProcessInfo"}
    assert _as_it_is(shop) == before


def _as_it_is(shop):
    """The world: what the supervisor was made to do, the process, the release, and every file with its last change."""
    files = [(str(path), path.lstat().st_mtime_ns, path.lstat().st_ino) for path in sorted(shop.folder.rglob("*"))]
    return list(shop.supervisor.effects), shop.process.state, shop.process.pid, shop.release, files


def explained(shop, capsys, *words):
    with reading_only(shop), pytest.raises(SystemExit) as ended:
        call_command("explain", *map(str, words))
    return ended.value.code, capsys.readouterr().out


def document(shop, capsys, *words):
    code, said = explained(shop, capsys, *words, "--json")
    told = json.loads(said)
    assert code == (0 if told["allowed"] else 1)
    return told


def diagnosed(shop, mode="auto"):
    install(shop, mode)
    strict()
    return drive(fire(), State.DIAGNOSED)
