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


@pytest.mark.parametrize("body", [b"<html>", b"<methodResponse/>", b"", b"not xml"])
def test_an_answer_that_is_no_xml_rpc_is_malformed(body):
    with serving(Answer(200, body)) as wire, pytest.raises(Malformed, match="not XML-RPC"):
        Supervisor(wire.url).process("payments")
