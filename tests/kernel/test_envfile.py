import os
import stat
import threading

from sre_platform.kernel.envfile import env_lines, read_env_file, write_private


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read(tmp_path):
    values = {"SRE_URL": "http://u:p=x@h:1/?a=b#c", "EMPTY": "", "SPACED": "two words"}
    write_private(tmp_path / "env", env_lines(values))
    assert read_env_file(tmp_path / "env") == values


def test_comments_and_empty_lines_are_left_out_and_no_file_is_no_values(tmp_path):
    (tmp_path / "env").write_text("# left by make demo\n\n  A=1  \n#B=2\n")
    assert read_env_file(tmp_path / "env") == {"A": "1"}
    assert read_env_file(tmp_path / "none") == {}


def test_only_the_owner_may_read_it_whatever_the_umask_and_the_file_before(tmp_path):
    path = tmp_path / "env"
    path.write_text("old")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(path, "new")
    finally:
        os.umask(before)
    assert (mode(path), path.read_text()) == (0o600, "new")


def test_what_a_crash_left_behind_is_replaced_not_trusted(tmp_path):
    path, half = tmp_path / "env", tmp_path / "env.next"
    half.write_text("half")
    half.chmod(0o666)
    write_private(path, "whole")
    assert (mode(path), path.read_text(), half.exists()) == (0o600, "whole", False)


def test_a_reader_sees_the_old_file_or_the_new_one_and_never_a_part(tmp_path):
    path, seen, done = tmp_path / "env", set(), threading.Event()
    texts = {letter * 200_000 for letter in "ab"}
    write_private(path, max(texts))

    def read():
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        for text in texts:
            write_private(path, text)
    done.set()
    reader.join()
    assert seen
    assert seen <= texts
