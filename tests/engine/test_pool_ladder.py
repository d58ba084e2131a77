"""An exhausted Redis pool by the real playbook's ladder: enlarged by half; if that does not help, put back first."""

import pytest
import yaml
from django.conf import settings as site

from sre_platform.incidents.domain import State
from sre_platform.playbook import library
from tests.engine.story import drive, events, fire, install, sound
from tests.fakes.control import TOKEN, TOKEN_ENV, controlling
from tests.fakes.wire import Answer, serving

pytestmark = pytest.mark.django_db
FILE = site.BASE_DIR / "playbooks" / "dependency" / "redis-pool.yaml"
QUICK = {"initial_delay_s": 0, "interval_s": 0.1, "count": 2, "failure_limit": 1}
EXHAUSTED = """redis_pool_size 16
redis_pool_conn_idle_current 0
redis_command_duration_seconds_bucket{{le="0.25"}} 5
redis_command_duration_seconds_bucket{{le="0.5"}} {slow}
redis_command_duration_seconds_bucket{{le="+Inf"}} {slow}
"""
POOL, TIMEOUT = "settings/redis_pool_size", "settings/redis_timeout_ms"


@pytest.fixture
def control(shop, monkeypatch):
    """payments with a pool of 16 that is exhausted, and the playbook, with less patience than it has in the lab."""
    monkeypatch.setenv(TOKEN_ENV, TOKEN)

    def page(call):
        return Answer(200, shop.page(call).body + EXHAUSTED.format(slow=100 * len(shop.scrapes)).encode())

    with controlling() as fake, serving(page) as wire:
        fake.set(POOL, value=16, min=1, max=256, unit="connections")
        fake.set(TIMEOUT, value=300, min=10, max=2000, unit="ms")
        bounds = {"redis_pool_size": {"min": 8, "max": 64}, "redis_timeout_ms": {"min": 50, "max": 450}}
        handle = {"url": fake.url, "token_env": TOKEN_ENV, "settings": bounds}
        install(shop, metrics_url=f"{wire.url}/metrics", handles={"settings": handle})
        book = yaml.safe_load(FILE.read_text())
        collect = [{"go_runtime": {"seconds_apart": 0.05}}]
        library.store(yaml.safe_dump(book | {"verify": QUICK, "collect": collect}), "tests")
        yield fake


def written(control):
    return [(url.rpartition("/")[2], body["value"]) for _, url, body in control.writes]


def test_half_as_many_connections_again_and_nothing_else(shop, control):
    shop.bad = lambda: 0 if control.value(POOL) == 24 else 1
    incident = drive(fire(name="RedisPoolExhausted"))
    assert (incident.state, incident.findings.first().cause) == (State.RESOLVED, "dep.redis-pool-exhausted")
    assert written(control) == [("redis_pool_size", 24)]
    assert sound(incident)


def test_what_does_not_help_is_put_back_and_then_the_clients_time_out_is_halved(shop, control):
    shop.bad = lambda: 0 if (control.value(POOL), control.value(TIMEOUT)) == (16, 150) else 1
    incident = drive(fire(name="RedisPoolExhausted"), most=60)
    assert incident.state == State.RESOLVED, events(incident)
    assert written(control) == [("redis_pool_size", 24), ("redis_pool_size", 16), ("redis_timeout_ms", 150)]


def test_when_nothing_helps_everything_is_as_it_was_and_people_are_asked(shop, control):
    shop.bad = lambda: 1
    incident = drive(fire(name="RedisPoolExhausted"), most=60)
    assert incident.state == State.ESCALATED
    assert (control.value(POOL), control.value(TIMEOUT)) == (16, 300)
    assert len(control.writes) == 4
