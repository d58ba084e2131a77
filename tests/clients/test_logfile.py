import os

import pytest

from sre_platform.clients import logfile
from sre_platform.kernel.errors import Rejected, Unavailable


def test_the_last_whole_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("first line\nsecond line\nthird")
    assert logfile.tail(str(log), 100) == b"first line\nsecond line\nthird"
    assert logfile.tail(str(log), 20) == b"second line\nthird"[-17:]
    assert logfile.tail(str(log), 8) == b"third"
    assert logfile.size(str(log)) == 28


def test_what_is_no_log(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Rejected, match="not a regular file"):
        logfile.tail(str(tmp_path / "pipe"), 10)
    for path in (tmp_path, tmp_path / "nothing", "a\0b"):
        with pytest.raises((Unavailable, Rejected)):
            logfile.size(str(path))
