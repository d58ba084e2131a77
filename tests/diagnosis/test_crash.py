"""The last words of processes: what Go 1.26 and Python 3.11 printed, what stands around it, and anything at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sre_platform.diagnosis.domain import Site
from sre_platform.diagnosis.parsers.crash import CRASHES, LONGEST_SAID, MOST_FRAMES, crashes
from sre_platform.diagnosis.rca.crash_site import crash_site
from tests.diagnosis.mutation import mutated

STARTS = '{"time":"2026-11-21T22:00:15Z","level":"INFO","msg":"stop","service":"payments"}\n'
PANIC = """panic: assignment to entry in nil map

goroutine 1 [running]:
main.limits(...)
\tlab/payments/config_v4.go:11
main.main()
\tlab/payments/main.go:20 +0x14a
"""
SIGNAL = """panic: runtime error: invalid memory address or nil pointer dereference [recovered]
\tpanic: cannot go on: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f3c6]

goroutine 7 [running]:
main.cleanUp()
\t/src/shop/main.go:31 +0x9c
panic({0x4b1060?, 0x5593c0?})
\t/usr/local/go/src/runtime/panic.go:787 +0x132
encoding/json.(*Decoder).Decode(0xc000012345, {0x4b1060, 0x0})
\t/usr/local/go/src/encoding/json/stream.go:63 +0x79
main.(*cart).total(...)
\t/src/shop/cart.go:12
main.main()
\t/src/shop/main.go:20 +0x46

goroutine 9 [chan receive]:
main.wait()
\t/src/shop/wait.go:4 +0x11
"""
DEADLOCK = """fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
\t/src/shop/main.go:8 +0x28
"""
TRACEBACK = """Traceback (most recent call last):
  File "/app/shop/config.py", line 7, in limits
    return rates["USD"]
           ~~~~~^^^^^^^
KeyError: 'USD'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/serve.py", line 30, in <module>
    main()
  File "/app/shop/main.py", line 12, in main
    limits()
  File "/usr/lib/python3.11/site-packages/pricing/rates.py", line 90, in convert
    raise RuntimeError("no rate")
  File "/usr/lib/python3.11/contextlib.py", line 81, in inner
    return func(*args, **kwds)
RuntimeError: no rate
"""
REAL = (PANIC, SIGNAL, DEADLOCK, TRACEBACK)


def last(text):
    return crashes(text)[-1]


def test_a_panic_is_told_with_its_line_even_when_it_was_inlined():
    crash = last(STARTS + PANIC)
    assert (crash.language, crash.said, len(crash.frames)) == ("go", "panic: assignment to entry in nil map", 2)
    assert crash_site(crash) == Site("main.limits", "lab/payments/config_v4.go", 11)


def test_a_panic_in_a_deferred_call_is_told_with_the_last_message_and_the_line_where_it_began():
    crash = last(SIGNAL)
    assert crash.said == "panic: cannot go on: runtime error: invalid memory address or nil pointer dereference"
    assert crash_site(crash) == Site("main.(*cart).total", "/src/shop/cart.go", 12)


def test_a_fatal_error_is_one_too():
    assert last(DEADLOCK).said == "fatal error: all goroutines are asleep - deadlock!"
    assert crash_site(last(DEADLOCK)) == Site("main.main", "/src/shop/main.go", 8)


def test_chained_tracebacks_are_one_crash_told_with_the_innermost_line_of_the_owner():
    [crash] = crashes(TRACEBACK)
    assert (crash.language, crash.said) == ("python", "RuntimeError: no rate")
    assert crash_site(crash) == Site("main", "/app/shop/main.py", 12)


def test_a_crash_in_a_library_alone_is_told_with_the_librarys_line():
    text = TRACEBACK.split("occurred:\n\n")[1]
    own = text.replace("/app/serve.py", "<string>").replace("/app/shop/main.py", "/usr/lib/python3.11/runpy.py")
    assert crash_site(last(own)) == Site("convert", "/usr/lib/python3.11/site-packages/pricing/rates.py", 90)
    assert crash_site(last(own.replace("site-packages", "email"))) is None


def test_each_crash_of_a_loop_is_told_and_what_came_after_it():
    text = PANIC + STARTS + DEADLOCK + STARTS * 3
    assert [(one.said.partition(":")[0], one.lines_after) for one in crashes(text)] == [
        ("panic", 10),
        ("fatal error", 4),
    ]
    assert len(crashes(PANIC * (CRASHES + 9))) == CRASHES


def test_crashes_that_stand_directly_below_each_other_are_told_apart():
    assert [one.said for one in crashes(PANIC * 2 + DEADLOCK)][1:] == [last(PANIC).said, last(DEADLOCK).said]
    assert all(len(one.frames) == 2 for one in crashes(PANIC * 3))


def test_a_message_alone_is_no_crash_and_a_stack_that_is_cut_has_the_frames_that_are_left():
    assert crashes("panic: tea is late\n" + STARTS * 60) == []
    assert crashes("Traceback (most recent call last):\nKeyError: 3\n") == []
    assert crashes('Traceback (most recent call last):\n  File "a.py", line 3, in f\n') == []
    assert [frame.line for frame in last(PANIC.partition("main.main")[0]).frames] == [11]


def test_a_message_without_its_stack_does_not_hide_the_crash_below_it():
    assert [one.said for one in crashes("panic: one\n" + PANIC)] == ["panic: assignment to entry in nil map"]
    assert [one.language for one in crashes("Traceback (most recent call last):\n" + TRACEBACK)] == ["python"]


def test_what_is_kept_is_bounded():
    deep = "Traceback (most recent call last):\n" + '  File "/app/a.py", line 3, in f\n' * 5000 + "E: " + "x" * 5000
    crash = last(deep)
    assert (len(crash.frames), len(crash.said)) == (MOST_FRAMES, LONGEST_SAID)


@given(text=st.sampled_from(REAL).flatmap(mutated) | st.text() | st.sampled_from(REAL).map(lambda t: t * 3))
def test_any_text_has_crashes_or_none(text):
    found = crashes(text)
    assert len(found) <= CRASHES
    for crash in found:
        assert crash.frames
        assert len(crash.said) <= LONGEST_SAID
        assert crash_site(crash) is None or crash_site(crash).line >= 0


@pytest.mark.parametrize(
    "piece", ["panic: x\n", "Traceback (most recent call last):\n", "goroutine 1 [running]:\n", "\t", "\n"]
)
@pytest.mark.timeout(20)
def test_a_megabyte_of_beginnings_takes_no_longer_than_reading_it(piece):
    assert crashes(piece * (1_000_000 // len(piece))) == []
