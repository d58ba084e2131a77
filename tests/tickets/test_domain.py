from sre_platform.tickets.domain import compose

FINDING = {
    "cause": "chan_send_no_receiver",
    "service": "orders",
    "confidence": 0.97,
    "because": ["118 goroutines wait.", "The garbage collector proved it."],
    "advice": ["Give the channel a buffer of 1."],
    "site": {"file": "lab/orders/quote_v2.go", "line": 35, "function": "main.hedge"},
}
STEP = {
    "says": "Roll orders back from v2 to v1",
    "state": "kept",
    "result": "Orders runs again.",
    "action": "rollback_release",
    "undo": {"to": "v2"},
}
CHECKS = [
    {"name": "errors", "value": 0.00123456, "op": "<=", "threshold": 0.02, "met": True, "missing": ""},
    {"name": "P99", "value": 3.0, "op": "<=", "threshold": 0.5, "met": False, "missing": ""},
    {"name": "growth", "value": None, "op": "<=", "threshold": 5.0, "met": None, "missing": "nobody answered"},
]
FACTS = {
    "title": "Users see errors",
    "state": "resolved",
    "reason": "3 samples in a row met all criteria.",
    "url": "http://127.0.0.1:8000/incidents/1/",
    "findings": [FINDING, FINDING | {"cause": "bad_release", "site": None, "confidence": 0.85}],
    "steps": [STEP],
    "checks": CHECKS,
}


def test_a_ticket_tells_the_whole_story():
    assert (
        compose(FACTS)
        == """\
**Users see errors** is **resolved**. 3 samples in a row met all criteria.

Timeline and evidence: http://127.0.0.1:8000/incidents/1/

## Cause

1. `chan_send_no_receiver` in orders at `lab/orders/quote_v2.go:35` in `main.hedge` (confidence 0.97)
   - 118 goroutines wait.
   - The garbage collector proved it.
2. `bad_release` in orders (confidence 0.85)
   - 118 goroutines wait.
   - The garbage collector proved it.

## Action

- Roll orders back from v2 to v1: kept. Orders runs again. Undo: `rollback_release {'to': 'v2'}`.

## Verification (last sample)

- errors: 0.001235 (has to be <= 0.02): met
- P99: 3 (has to be <= 0.5): NOT met
- growth: nobody answered (has to be <= 5): not measured

## Advice

- Give the channel a buffer of 1.
"""
    )


def test_what_there_is_nothing_to_say_about_is_left_out():
    body = compose(FACTS | {"findings": [], "steps": [], "checks": []})
    assert body.count("\n\n") == 1
    assert "##" not in body


def test_an_action_without_an_undo_says_so():
    body = compose(FACTS | {"steps": [STEP | {"undo": None, "result": ""}]})
    assert "- Roll orders back from v2 to v1: kept. It cannot be undone.\n" in body
