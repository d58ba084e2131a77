"""Saturated dependencies: recordings of real programs, each limit from both sides, and evidence that is not there."""

import re
from dataclasses import replace

import pytest

from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.rca.window import Window
from sre_platform.diagnosis.rules.db_pool_exhausted import DbPoolExhausted
from sre_platform.diagnosis.rules.dns_slow import DnsSlow
from sre_platform.diagnosis.rules.redis_pool_exhausted import RedisPoolExhausted
from sre_platform.diagnosis.rules.retry_storm import RetryStorm
from sre_platform.diagnosis.rules.tls_handshake import TlsHandshake
from tests.diagnosis.recorded import dump, recorded, window
from tests.diagnosis.scene import OPENED

RULES = {
    "redis": (RedisPoolExhausted(), "dep.redis-pool-exhausted"),
    "db": (DbPoolExhausted(), "dep.db-pool-exhausted"),
    "dns": (DnsSlow(), "dep.dns-slow"),
    "tls": (TlsHandshake(), "dep.tls-handshake"),
    "retries": (RetryStorm(), "dep.retry-storm"),
}
# Sick by these values; each of them on its own is given as a near miss, one that is just not enough.
SICK = {
    "redis": {"redis_pool_used_ratio": 0.91, "redis_p99_seconds": 0.21},
    "db": {"db_pool_size": 10, "db_pool_in_use": 10, "db_waits_per_second": 50, "db_wait_seconds_per_second": 1.0},
    "dns": {"dns_mean_seconds": 0.08, "dns_lookups_per_second": 2},
    "tls": {"tls_handshakes_per_second": 100, "tls_handshake_timeouts_per_second": 1.1},
    "retries": {
        "requests_in_per_second": 100,
        "requests_out_per_second": [100.0] * 10 + [150.0] * 10,
        "requests_out_failed_ratio": 0.1,
    },
}
NEAR_MISSES = [
    ("redis", "redis_pool_used_ratio", 0.9),
    ("redis", "redis_p99_seconds", 0.2),
    ("db", "db_pool_size", 0),
    ("db", "db_pool_size", 12),
    ("db", "db_pool_in_use", 9),
    ("db", "db_wait_seconds_per_second", 0.99),
    ("dns", "dns_mean_seconds", 0.079),
    ("dns", "dns_lookups_per_second", 0),
    ("tls", "tls_handshakes_per_second", 110),
    ("tls", "tls_handshakes_per_second", 0),
    ("tls", "tls_handshake_timeouts_per_second", 0),
    ("retries", "requests_out_per_second", 150),  # a service that always asks twice
    ("retries", "requests_out_per_second", [100.0] * 10 + [149.0] * 10),
    ("retries", "requests_in_per_second", [100.0] * 10 + [150.0] * 10),  # there is more to do
    ("retries", "requests_in_per_second", 0),
    ("retries", "requests_in_per_second", [0.0] * 10 + [100.0] * 10),  # nothing to compare with
    ("retries", "requests_in_per_second", [100.0] * 10 + [0.0] * 10),
    ("retries", "requests_out_failed_ratio", 0.09),  # a release that asks more often
]


def judge(which, evidence):
    return RULES[which][0].judge("orders", evidence)


@pytest.mark.parametrize("which", RULES)
@pytest.mark.parametrize("scenario", [f"{cause}/{twin}" for cause in RULES for twin in ("sick", "healthy")])
def test_each_recorded_program_has_its_own_cause_and_no_other(which, scenario):
    finding = judge(which, recorded(scenario))
    assert (finding.cause if finding else None) == (RULES[which][1] if scenario == f"{which}/sick" else None)


@pytest.mark.parametrize("which", RULES)
def test_metrics_that_are_just_bad_enough(which):
    finding = judge(which, window(SICK[which]))
    assert (finding.family, finding.service, finding.evidence, finding.confidence) == (
        "dep", "orders", "metrics", 0.8,
    )  # fmt: skip
    assert any("goroutine dump" in said for said in finding.would_decide)


@pytest.mark.parametrize(("which", "name", "value"), NEAR_MISSES)
def test_near_misses(which, name, value):
    assert judge(which, window(SICK[which] | {name: value})) is None


@pytest.mark.parametrize(("which", "name"), [(which, name) for which in RULES for name in SICK[which]])
def test_what_was_not_measured_is_not_taken_for_bad(which, name):
    values = {other: value for other, value in SICK[which].items() if other != name}
    assert judge(which, window(values)) is None
    assert judge(which, window(values, **{name: "Prometheus says: parse error"})) is None
    assert judge(which, window(SICK[which] | {name: [float("nan")] * 20})) is None


@pytest.mark.parametrize("which", RULES)
@pytest.mark.parametrize(
    "data", [{}, {"queries": None}, {"queries": {"redis_pool_size": None, "dns_mean_seconds": {"series": [{}]}}}]
)
def test_no_evidence_is_no_finding(which, data):
    rule = RULES[which][0]
    assert rule.judge("orders", {}) is None
    assert judge(which, {"prometheus_window": Evidence("prometheus_window", "orders", OPENED, data)}) is None
    seen = window(SICK[which])["prometheus_window"]
    assert judge(which, {"prometheus_window": replace(seen, missing="Prometheus did not answer.")}) is None


CALLS = {
    "redis": [
        "github.com/redis/go-redis/v9/internal/pool.(*ConnPool).waitTurn",
        "github.com/redis/go-redis/v9.cmdable.Get",
    ],
    "db": ["database/sql.(*DB).conn", "database/sql.(*DB).query"],
    "dns": ["net.(*Resolver).lookupIPAddr"],
    "tls": ["internal/poll.runtime_pollWait", "crypto/tls.(*Conn).clientHandshake"],
    "retries": ["net/http.(*persistConn).roundTrip"],
}


@pytest.mark.parametrize("which", RULES)
def test_goroutines_that_wait_there_make_it_surer_and_name_the_line(which):
    finding = judge(which, window(SICK[which]) | dump(7, *CALLS[which]))
    assert (finding.confidence, finding.count) == (0.9, 7)
    assert (finding.site.function, finding.because[-1][:12]) == ("main.work", "7 goroutines")
    assert not finding.against


@pytest.mark.parametrize("which", RULES)
def test_few_goroutines_there_speak_against_it(which):
    finding = judge(which, window(SICK[which]) | dump(6, *CALLS[which]))
    assert (finding.confidence, finding.site, finding.count) == (0.8, None, None)
    assert finding.against[0].startswith("Only 6 goroutines")


def test_recorded_pool_of_redis():
    finding = judge("redis", recorded("redis/sick"))
    said = r"orders: 100% of the Redis pool is in use, and the P99 of its commands is [2-9]\d\d ms\."
    assert re.fullmatch(said, finding.because[0])
    assert finding.advice[0] == "Enlarge the Redis pool from 4 to 6 connections."
    assert "time-outs" in finding.advice[1]


def test_a_pool_of_unknown_size_gets_a_share_for_advice():
    finding = judge("redis", window(SICK["redis"] | {"redis_pool_timeouts_per_second": 3}))
    assert finding.advice[0] == "Enlarge the Redis pool to 150% of its size."
    assert "3 callers a second give up waiting for a connection." in finding.because
    assert any(said.startswith("redis_pool_size was not measured") for said in finding.would_decide)


def test_recorded_pool_of_a_database_with_both_signals():
    finding = judge("db", recorded("db/sick"))
    assert (finding.confidence, str(finding.site)) == (0.9, "causes/pools.go:76")
    assert finding.because[0].startswith("orders: 4 of 4 database connections are in use, 2")
    assert "SetMaxOpenConns from 4 to 6" in finding.advice[1]


def test_stacks_alone_tell_of_a_database_pool_less_surely():
    finding = judge("db", recorded("db/sick", "go_goroutines"))
    assert (finding.confidence, finding.evidence, str(finding.site)) == (0.7, "state", "causes/pools.go:76")
    assert len([said for said in finding.would_decide if "was not measured" in said]) == 4
    assert judge("db", recorded("db/healthy", "go_goroutines")) is None


def test_a_queue_in_one_dump_only_is_a_moments():
    both = dump(7, *CALLS["db"])["go_goroutines"]
    texts = both.texts | {"earlier": dump(6, *CALLS["db"])["go_goroutines"].texts["goroutine"]}
    assert judge("db", {"go_goroutines": replace(both, texts=texts)}) is None
    assert judge("db", {"go_goroutines": replace(both, texts=both.texts | {"earlier": both.texts["goroutine"]})})
    assert judge("db", {"go_goroutines": both}) is None


def test_goroutines_that_open_a_connection_do_not_wait_for_the_pool():
    opening = dump(30, "internal/poll.runtime_pollWait", "net.(*netFD).connect", *CALLS["db"])
    assert judge("db", window(SICK["db"]) | opening).confidence == 0.8


@pytest.mark.parametrize(("failed", "breaker"), [(0.5, False), (0.51, True)])
def test_the_breaker_is_advised_above_half_of_the_calls(failed, breaker):
    finding = judge("retries", window(SICK["retries"] | {"requests_out_failed_ratio": failed}))
    assert any("breaker" in said for said in finding.advice) is breaker
    assert any("1, 2 and 4 s" in said for said in finding.advice)
    assert any("429" in said for said in finding.advice)


def test_a_dump_that_cannot_be_read_is_none():
    seen = Evidence("go_goroutines", "orders", OPENED, {}, {"goroutine": "<html>"})
    finding = judge("dns", window(SICK["dns"]) | {"go_goroutines": seen})
    assert (finding.confidence, finding.against) == (0.8, [])


def test_of_several_series_the_worst_speaks_and_one_odd_scrape_does_not():
    series = [
        {"labels": {"pool": "a"}, "points": [[n, 0.2] for n in range(9)]},
        {"labels": {"pool": "b"}, "points": [[n, 0.95] for n in range(8)] + [[9, 0.0], [10, "x"], "bad"]},
    ]
    data = {"queries": {"used": {"query": "q", "series": series, "missing": ""}}}
    seen = Window(Evidence("prometheus_window", "orders", OPENED, data))
    assert (seen.recent("used"), seen.first("used"), len(seen.values("used"))) == (0.95, 0.95, 9)
    assert seen.missing("used", "other") == ["other was not measured: the playbook does not ask for it."]


def pool(idle, slow, size=16, given_up=0):
    """A page of metrics: of 1000 commands ``slow`` took between 250 and 500 ms, the others a millisecond."""
    return "".join(
        f"{line}\n"
        for line in (
            f"redis_pool_size {size}", f"redis_pool_conn_idle_current {idle}", f"redis_pool_timeout_total {given_up}",
            f'redis_command_duration_seconds_bucket{{le="0.001"}} {1000 - slow}',
            f'redis_command_duration_seconds_bucket{{le="0.25"}} {1000 - slow}',
            'redis_command_duration_seconds_bucket{le="0.5"} 1000',
            'redis_command_duration_seconds_bucket{le="+Inf"} 1000',
        )
    )  # fmt: skip


EMPTY = re.sub(r"(bucket.*) \d+", r"\1 0", pool(0, 0))


def pages(earlier, later, seconds_apart=2.0):
    texts = {"earlier": earlier, "metrics": later}
    return {"go_runtime": Evidence("go_runtime", "orders", OPENED, {"seconds_apart": seconds_apart}, texts)}


def test_without_prometheus_the_services_own_page_tells_of_the_pool():
    finding = judge("redis", pages(EMPTY, pool(1, 20, given_up=8)))
    assert (finding.cause, finding.confidence) == ("dep.redis-pool-exhausted", 0.8)
    assert finding.because == [
        "orders: 94% of the Redis pool is in use, and the P99 of its commands is 375 ms.",
        "4 callers a second give up waiting for a connection.",
    ]
    assert finding.advice[0] == "Enlarge the Redis pool from 16 to 24 connections."


def test_what_prometheus_does_not_show_yet_the_page_may():
    early = window(SICK["redis"] | {"redis_p99_seconds": 0.1})
    assert judge("redis", early) is None
    assert "100% of the Redis pool" in judge("redis", early | pages(EMPTY, pool(0, 20))).because[0]


@pytest.mark.parametrize(
    "seen",
    [
        pages(EMPTY.replace("idle_current 0", "idle_current 2"), pool(0, 20)),  # one crowded moment
        pages(EMPTY, pool(2, 20)),
        pages(EMPTY, pool(0, 5)),  # a P99 of a millisecond
        pages(pool(0, 20), pool(0, 20)),  # slow before, nothing since
        pages("", pool(0, 20)),
        pages(EMPTY, ""),
        pages("{", pool(0, 20)),
        pages(EMPTY, pool(0, 20, size=0)),
        pages(EMPTY, pool(17, 20)),
        pages(EMPTY, pool("NaN", 20)),
        window(SICK["redis"] | {"redis_p99_seconds": 0.1}) | pages(EMPTY, pool(2, 20)),
    ],
)
def test_pages_that_do_not_tell_of_an_exhausted_pool(seen):
    assert judge("redis", seen) is None


def calls(came, answered, failed):
    return (
        f'http_requests_total{{code="201"}} {came}\nhttp_requests_total{{code="502"}} 0\n'
        f'http_client_requests_total{{code="200",upstream="payments"}} {answered}\n'
        f'http_client_requests_total{{code="504",upstream="payments"}} {failed}\n'
    )


BEFORE = calls(1000, 1000, 0)


def test_without_a_window_the_services_own_page_is_held_against_its_average():
    finding = judge("retries", pages(BEFORE, calls(1100, 1080, 120)))
    assert (finding.cause, finding.confidence) == ("dep.retry-storm", 0.8)
    assert finding.because == [
        "orders: it sends 2.00 requests for each that it gets, 1.00 on average before.",
        "60% of the requests that it sends fail.",
    ]
    assert finding.advice[0].startswith("Trip the circuit breaker: 60%")


def test_the_windows_beginning_counts_more_than_the_average():
    always_twice = window(SICK["retries"] | {"requests_out_per_second": 200})
    assert judge("retries", always_twice | pages(BEFORE, calls(1100, 1080, 120))) is None
    early = window(SICK["retries"] | {"requests_out_per_second": 100})
    assert judge("retries", early) is None
    finding = judge("retries", early | pages(calls(1000, 1900, 100), calls(1100, 1980, 220)))
    assert "1.00 when the window began" in finding.because[0]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (BEFORE, calls(1100, 1040, 109)),  # 1.49
        (BEFORE, calls(1100, 1185, 15)),  # 7.5% fail
        (calls(1000, 1700, 300), calls(1100, 1780, 420)),  # it always asks twice
        (BEFORE, calls(1000, 1080, 120)),  # nobody asks it anything
        (BEFORE, calls(100, 120, 10)),  # it was started afresh in between
        (calls(0, 0, 0), calls(100, 80, 120)),  # nothing to compare with
        ("", calls(1100, 1080, 120)),
        (BEFORE, ""),
        (BEFORE, "{"),
        (BEFORE, calls("NaN", 1080, 120)),
        (BEFORE, calls(1100, 1080, "+Inf")),
    ],
)
def test_pages_that_do_not_tell_of_a_storm(earlier, later):
    assert judge("retries", pages(earlier, later)) is None
