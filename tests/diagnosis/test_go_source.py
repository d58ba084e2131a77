"""What a line of Go waits for, when its source is at hand."""

import pytest

from sre_platform.diagnosis.rca.go_source import cause_in_source
from sre_platform.engine.source_tree import SourceTree

SOURCE = """package shop

func (h *hub) loop(ctx context.Context) {
	for {
		select { // waits
		case m := <-h.in:
			h.deliver(m)
		case <-ctx.Done():
			return
		}
	}
}

func detached(in chan int) {
	ctx := context.Background()
	select { // detached
	case <-in:
	case <-ctx.Done():
	}
}

func deaf(in, out chan int) {
	select { // deaf
	case v := <-in:
		out <- v
	case <-time.After(time.Second): // ctx.Done() would help
	}
}

func (s *server) handle() {
	s.slots <- struct{}{} // acquire
	defer func() { <-s.slots }()
	s.work()
}

func notify(results chan int) {
	results <- 42 // result
}

func beat(every time.Duration) {
	t := time.NewTicker(every)
	for range t.C { // range
	}
	<-t.C // ticker
}

func later(t *time.Timer) {
	<-t.C // timer
}

func (c *conn) watch(ctx context.Context) {
	<-ctx.Done() // done
	c.Close()
}

func ticking(tick <-chan time.Time, in chan int) {
	select { // ticking
	case <-tick:
	case <-in:
	}
}
"""
LINES = SOURCE.split("\n")


def line_of(mark):
    return next(number for number, line in enumerate(LINES, start=1) if line.endswith(f"// {mark}"))


@pytest.mark.parametrize(
    ("mark", "state", "cause"),
    [
        ("waits", "select", "ctx_never_cancelled"),
        ("detached", "select", "context_not_propagated"),
        ("deaf", "select", "select_no_ctx_done"),
        ("ticking", "select", "ticker_never_stopped"),
        ("acquire", "chan send", "semaphore_not_released"),
        ("acquire", "chan operation", "semaphore_not_released"),
        ("result", "chan send", ""),
        ("ticker", "chan receive", "ticker_never_stopped"),
        ("timer", "chan receive", "timer_stopped_receive"),
        ("done", "chan receive", "ctx_never_cancelled"),
        ("done", "chan operation", "ctx_never_cancelled"),
        ("done", "IO wait", ""),
    ],
)
def test_line_names_the_cause(mark, state, cause):
    assert cause_in_source(LINES, line_of(mark), state) == cause


@pytest.mark.parametrize("line", [0, -3, len(LINES) + 1, 10**9])
def test_line_that_is_not_there_names_nothing(line):
    assert cause_in_source(LINES, line, "select") == ""


def test_select_without_end_is_read_only_so_far():
    assert cause_in_source(["select {"] + ["case <-a:"] * 100_000, 1, "select") == "select_no_ctx_done"


def test_tree_finds_the_longest_end_of_a_path(tmp_path):
    for folder in ("orders", "payments"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "main.go").write_text(f"// {folder}")
    (tmp_path / "orders" / "quote.go").write_text("// quote")
    tree = SourceTree(tmp_path)
    assert tree.lines("/build/src/shop/payments/main.go") == ["// payments"]
    assert tree.lines("C:\\build\\orders\\main.go") == ["// orders"]
    assert tree.lines("/elsewhere/quote.go") == ["// quote"], "the only one of its name"
    assert tree.lines("/elsewhere/main.go") == (), "one of two"
    assert SourceTree(None).lines("orders/main.go") == ()


def test_tree_is_not_left(tmp_path):
    secret = tmp_path / "secret.go"
    secret.write_text("// secret")
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "link.go").symlink_to(secret)
    tree = SourceTree(root)
    assert [tree.lines(name) for name in ("../secret.go", str(secret), "link.go", "", "/", "a\0b.go")] == [()] * 6
