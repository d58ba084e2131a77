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
    assert receive.pending(10) == [delivery.pk]


def test_a_malformed_one_is_kept_in_part_with_the_reason_and_does_not_wait():
    with pytest.raises(Malformed) as caught:
        receive.receive("alertmanager", b"x" * 1_000_000)
    stored = Delivery.objects.get()
    assert (stored.state, stored.fate) == ("rejected", str(caught.value))
    assert bytes(stored.body) == b"x" * 4096
    assert receive.pending(10) == []


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(Unknown, match="There is no source 'nagios'; known are: alertmanager"):
        receive.receive("nagios", b"")
    assert not Delivery.objects.exists()


def test_pending_gives_the_oldest_first():
    keys = [receive.receive("alertmanager", body(alert(str(n)))).pk for n in range(3)]
    assert receive.pending(2) == keys[:2]


def test_a_delivery_is_claimed_once():
    key = receive.receive("alertmanager", body()).pk
    assert receive.claim(key).pk == key
    assert receive.claim(key) is None
    assert receive.claim(key + 1) is None
