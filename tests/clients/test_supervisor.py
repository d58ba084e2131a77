import xmlrpc.client

import pytest

from sre_platform.clients.supervisor import Supervisor
from sre_platform.kernel.errors import Malformed, Rejected, Unavailable
from tests.fakes.supervisor import supervising
from tests.fakes.wire import Answer, serving


def test_process_is_told_with_its_state_and_pid():
    with supervising("payments") as fake:
        seen = Supervisor(fake.url).process("payments")
        assert (seen.name, seen.state, seen.pid) == ("payments", "RUNNING", fake.processes["payments"].pid)
        assert seen.running
        assert seen.seen - seen.started >= 300
        fake.processes["payments"].die("EXITED", 3)
        gone = Supervisor(fake.url).process("payments")
        assert (gone.running, gone.pid, gone.exit_status) == (False, 0, 3)


def test_all_processes_are_named():
    with supervising("payments", "orders") as fake:
        assert Supervisor(fake.url).processes() == ["payments", "orders"]


def test_stop_and_start_are_idempotent():
    with supervising("payments") as fake:
        supervisor = Supervisor(fake.url)
        supervisor.stop("payments")
        supervisor.stop("payments")
        supervisor.start("payments")
        supervisor.start("payments")
        assert fake.effects == [("stop", "payments"), ("start", "payments")]


def test_only_what_its_supervisor_leaves_alone_is_at_rest():
    states = ("RUNNING", "STARTING", "BACKOFF", "STOPPING", "STOPPED", "EXITED", "FATAL", "UNKNOWN")
    with supervising("payments") as fake:
        supervisor = Supervisor(fake.url)
        at_rest = []
        for fake.processes["payments"].state in states:
            at_rest += [supervisor.process("payments").state] if supervisor.process("payments").at_rest else []
    assert at_rest == ["STOPPED", "EXITED", "FATAL"]


def test_why_it_could_not_be_started_is_told():
    with supervising("payments") as fake:
        fake.processes["payments"].complaint = "can't find command 'payments'"
        assert Supervisor(fake.url).process("payments").complaint == "can't find command 'payments'"


def test_the_end_of_what_a_process_wrote_is_that_of_stderr_or_else_of_stdout():
    with supervising("payments") as fake:
        supervisor, process = Supervisor(fake.url), fake.processes["payments"]
        with pytest.raises(Rejected, match="NO_FILE"):
            supervisor.output_tail("payments", 5)
        process.stdout = b"to stdout"
        assert supervisor.output_tail("payments", 6) == "stdout"
        process.stderr = b""
        assert supervisor.output_tail("payments", 6) == "stdout"
        process.stderr = b"to stderr"
        assert supervisor.output_tail("payments", 6) == "stderr"


def test_an_end_that_begins_within_a_character_is_read_from_the_next_one():
    with supervising("payments") as fake:
        fake.log = "ab\U0001f525end".encode()
        assert [Supervisor(fake.url).log_tail(size) for size in (3, 4, 5, 6, 7)] == ["end"] * 4 + ["\U0001f525end"]
        fake.log = b"\xff" * 20
        with pytest.raises(Unavailable, match=r"failed over supervisor\.readLog"):
            Supervisor(fake.url).log_tail(10)


def test_signals_reach_the_process():
    with supervising("payments") as fake:
        Supervisor(fake.url).signal("payments", "KILL")
        assert fake.processes["payments"].state == "EXITED"
        with pytest.raises(Rejected, match="NOT_RUNNING"):
            Supervisor(fake.url).signal("payments", "KILL")


def test_faults_are_rejections_with_the_supervisors_words():
    with supervising("payments") as fake:
        with pytest.raises(Rejected, match="BAD_NAME: nobody"):
            Supervisor(fake.url).process("nobody")
        fake.processes["payments"].can_start = False
        fake.processes["payments"].die()
        with pytest.raises(Rejected, match="SPAWN_ERROR"):
            Supervisor(fake.url).start("payments")


def test_user_and_password_are_decoded_and_never_shown():
    with supervising("payments") as fake:
        assert Supervisor(fake.url).process("payments").running
        with pytest.raises(Rejected, match="401") as caught:
            Supervisor(fake.url.replace("sre:", "mallory:")).process("payments")
        assert "mallory" not in str(caught.value)


def test_an_ipv6_address_keeps_its_brackets():
    with pytest.raises(Unavailable, match=r"http://\[::1\]:1/RPC2"):
        Supervisor("http://u:p@[::1]:1").process("payments")


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match="SRE_SUPERVISOR_URL"):
        Supervisor("").process("payments")
    with pytest.raises(Unavailable, match="refused"):
        Supervisor("http://127.0.0.1:1").process("payments")
    with supervising("payments") as fake:
        fake.down = True
        with pytest.raises(Unavailable, match="503"):
            Supervisor(fake.url).process("payments")


@pytest.mark.parametrize("said", [{}, {"statename": "RUNNING"}, 7, "", ["RUNNING"]])
def test_an_answer_that_does_not_say_how_a_process_is_is_malformed(said):
    body = xmlrpc.client.dumps((said,), methodresponse=True).encode()
    with serving(Answer(200, body)) as wire, pytest.raises(Malformed, match="does not say how payments is"):
        Supervisor(wire.url).process("payments")


@pytest.mark.parametrize("body", [b"<html>", b"<methodResponse/>", b"", b"not xml"])
def test_an_answer_that_is_no_xml_rpc_is_malformed(body):
    with serving(Answer(200, body)) as wire, pytest.raises(Malformed, match="not XML-RPC"):
        Supervisor(wire.url).process("payments")
