import hashlib

import pytest

from sre_platform.intake import receive
from sre_platform.intake.models import Delivery
from sre_platform.kernel.errors import Malformed, Unknown
from tests.fakes.alertmanager import alert, body

pytestmark = pytest.mark.django_db


def test_a_webhook_is_kept_byte_for_byte_and_waits():
    text = body(alert())
    delivery = receive.receive("alertmanager", text)
    stored = Delivery.objects.get(pk=delivery.pk)
    assert (bytes(stored.body), stored.state, stored.fate) == (text, "pending", "")
    assert stored.digest == hashlib.sha256(text).hexdigest()
    assert receive.backlog(10) == 1


def test_a_malformed_one_is_kept_in_part_with_the_reason_and_does_not_wait():
    with pytest.raises(Malformed) as caught:
        receive.receive("alertmanager", b"x" * 1_000_000)
    stored = Delivery.objects.get()
    assert (stored.state, stored.fate) == ("rejected", str(caught.value))
    assert bytes(stored.body) == b"x" * 4096
    assert receive.backlog(10) == 0


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(Unknown, match="There is no source 'nagios'; known are: alertmanager"):
        receive.receive("nagios", b"")
    assert not Delivery.objects.exists()


def test_many_are_stored_in_one_transaction_each_with_its_own_fate(django_assert_num_queries):
    good, bad = receive.Arrived("alertmanager", body(alert()), "ann"), receive.Arrived("alertmanager", b"{")
    with django_assert_num_queries(1):
        rows = receive.receive_all([good, bad, good])
    assert [row.state for row in rows] == ["pending", "rejected", "pending"]
    assert len({row.pk for row in rows}) == 3
    assert (rows[0].sender, rows[0].received_at, rows[0].size) == ("ann", good.at, len(good.body))


def test_the_backlog_is_counted_up_to_a_limit():
    for n in range(3):
        receive.receive("alertmanager", body(alert(str(n))))
    assert (receive.backlog(2), receive.backlog(10)) == (2, 3)
