"""The page of one look at a service's goroutines, from recorded dumps to what people read."""

import re
import zlib
from html import escape
from pathlib import Path

import pytest
from django.urls import reverse

from sre_platform.diagnosis import store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import EvidenceRow, FindingRow
from sre_platform.web import goroutine_look, goroutines
from sre_platform.web.wait_drawing import NARROW, WIDE, draw
from sre_platform.web.wait_graph import wait_graph
from tests.web import factories
from tests.web.test_pages import EVIL, queries, text

pytestmark = pytest.mark.django_db
RECORDED = Path(__file__).parent.parent / "recordings" / "go"
LEAK = {path.stem: path.read_text() for path in (RECORDED / "leak").glob("*.txt") if path.stem != "goroutine_debug1"}
HEALTHY = {path.stem: path.read_text() for path in (RECORDED / "healthy").glob("*.txt")}
HEDGE = "lab/orders/quote_v2.go:35"
LOCK = "internal/sync.(*Mutex).lockSlow({0:#x})\n\t/usr/local/go/src/internal/sync/mutex.go:149 +0x15a\n"
BOARD = 0xC000100000


def stuck(id_: int, state: str, function: str, line: int, before: str = "", address: int = BOARD) -> str:
    """One goroutine of debug=2 in a method that has the object at ``address`` in hand."""
    call = f"{function}({address:#x})\n\t/src/shop/board.go:{line} +0x1d\n"
    created = "created by main.start in goroutine 7\n\t/src/shop/start.go:5 +0x4f\n"
    return f"goroutine {id_} [{state}, {id_ % 7 + 1} minutes]:\n{before}{call}{created}\n"


def waiter(id_: int, function: str = "main.(*Board).Drop", line: int = 38, address: int = BOARD) -> str:
    return stuck(id_, "sync.Mutex.Lock", function, line, LOCK.format(address), address)


HOLDER = stuck(11, "chan send", "main.(*Board).Set", 45)
LOCKED = HOLDER + "".join(waiter(n) for n in (12, 13, 14)) + waiter(15, "example.com/shop%2ev2.(*Board).Show", 52)


def kept(texts: dict[str, str], **fields) -> EvidenceRow:
    """A row of evidence with these raw texts."""
    story = factories.opened()
    data = fields.pop("data", {"seconds_apart": 1.01})
    seen = Evidence("go_goroutines", "orders", story.at, data, texts, **fields)
    store.keep(story.incident.pk, 1, store.pack([seen]))
    return EvidenceRow.objects.latest("pk")


def address(row: EvidenceRow) -> str:
    return reverse("goroutines", args=[row.incident_id, row.pk])


def shown(web, texts: dict[str, str], question: str = "") -> str:
    return text(web, address(kept(texts)) + question)


def listed(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li class="cluster [a-z]+" value="(\d+)"', page)]


def test_it_needs_a_login(client):
    assert client.get("/incidents/1/evidence/1/goroutines")["Location"].startswith("/login/")


def test_the_incident_leads_to_it(web):
    story = factories.diagnosed()
    seen, unseen = story.incident.evidence.filter(collector="go_goroutines").order_by("missing")
    page = text(web, reverse("incident", args=[story.incident.pk]))
    assert f'href="{address(seen)}"' in page
    assert f'href="{address(unseen)}"' not in page
    assert "Goroutines of payments" in text(web, address(seen))


def test_a_leak_is_shown_with_its_figures_its_line_and_its_proof(web):
    page = shown(web, LEAK)
    for said in ("It leaks", "The garbage collector proved", "131", "1.0 s before", "+39", "cause 1", "leaked"):
        assert said in page
    assert "growth not known" not in page
    [blamed] = re.findall(r'<li class="own blamed">(.*?)</li>', page)
    assert "main.(*cashier).hedge" in blamed
    assert HEDGE in blamed


def test_suspects_come_first_and_the_rest_by_size(web):
    seen = goroutine_look.look(LEAK)
    page = shown(web, LEAK)
    counts = [int(n) for n in re.findall(r'<span class="size"><strong>(\d+)</strong>', page)]
    assert counts == [118, *sorted(counts[1:], reverse=True)]
    assert len(counts) == len(seen.later.buckets) == len(listed(page))


def test_one_suspect_of_few_stands_before_many_idle_ones(web):
    idle = "".join(f"goroutine {n} [select]:\nmain.serve()\n\t/src/shop/serve.go:{3}\n\n" for n in range(100, 150))
    page = shown(web, {"goroutine": idle + LOCKED})
    clusters = page[page.index('class="clusters"') :]
    assert clusters.index("main.(*Board).Set") < clusters.index("main.(*Board).Drop") < clusters.index("main.serve")


def test_growth_is_counted_cluster_by_cluster(web):
    page = shown(web, {"earlier": waiter(1) + waiter(2), "goroutine": waiter(1)})
    assert "−1" in page
    assert "1 fewer than" in page


def test_without_an_earlier_dump_growth_is_not_known_and_said_so(web):
    page = shown(web, {"goroutine": LEAK["goroutine"]})
    assert "Cannot be told" in page
    assert "there is no earlier dump to compare with" in page
    assert 'title="growth not known"' in page
    assert "+118" not in page


def test_what_a_cut_dump_lacks_is_not_growth(web):
    cut = LEAK["earlier"][: len(LEAK["earlier"]) // 2]
    page = shown(web, {"earlier": cut, "goroutine": LEAK["goroutine"]})
    assert "The earlier dump was cut: its counts are lower bounds." in page
    assert re.findall(r">\+\d+<", page) == []


def test_dumps_of_two_forms_are_compared_only_where_the_diagnosis_can(web):
    summary = (RECORDED / "leak" / "goroutine_debug1.txt").read_text()
    more = LEAK["goroutine"] + "".join(stuck(9000 + n, "chan send", "main.f", 3) for n in range(9))
    page = shown(web, {"earlier": summary, "goroutine": more})
    grown = re.findall(r'<span class="grew[^"]*">([^<]+)<', page)
    assert grown == ["Growth", "+9"]  # the head of the column, and the one suspect
    assert page.count('title="growth not known"') >= 10


def test_a_healthy_service_has_no_cause_and_no_suspect(web):
    page = shown(web, HEALTHY)
    assert "No leak" in page
    for absent in ("Who waits for whom", "What is to blame", "cause 1", "blamed", '<svg class="wait-graph'):
        assert absent not in page


def test_who_waits_for_a_lock_is_drawn_and_told(web):
    page = shown(web, {"goroutine": LOCKED})
    assert page.count('<svg class="wait-graph') == 2
    assert page.count('class="edge"') == 2 * 2  # two kinds of waiters, in two drawings
    assert "Goroutine 11, in chan send, has the lock&#x27;s object in hand (by address)" in page
    assert "4 goroutines wait for it" in page
    assert "shop.v2.(*Board).Show" in page  # without its folder, and with Go's escapes undone
    for label in re.findall(r'aria-labelledby="(graph-[^"]+)"', page):
        assert [page.count(f'id="{part}"') for part in label.split()] == [1, 1]


def circle(first_id: int, one: int, other: int) -> str:
    """Two goroutines, each with one lock in hand and waiting for the other's."""
    first = waiter(first_id, "main.(*Till).Take", first_id, other)
    first = first.replace("created", f"main.(*Cart).Pay({one:#x})\n\t/src/shop/cart.go:30 +0x1\ncreated")
    second = waiter(first_id + 1, "main.(*Cart).Show", first_id + 1, one)
    return first + second.replace("created", f"main.(*Till).Close({other:#x})\n\t/src/shop/till.go:5 +0x1\ncreated")


def test_a_circle_of_locks_has_an_edge_each_way(web):
    page = shown(web, {"goroutine": circle(11, 0xC000100000, 0xC000200000)})
    assert "It hangs" in page
    assert page.count('class="edge"') == 2 * 2
    assert "It waits for 2." in page
    assert "It waits for 1." in page


def test_two_circles_are_not_one():
    seen = goroutine_look.look(
        {"goroutine": circle(11, 0xC000100000, 0xC000200000) + circle(21, 0xC000300000, 0xC000400000)}
    )
    roots = wait_graph(seen.report, {})
    lines = {root.number: root.crowd.site.line for root in roots}
    assert {frozenset((lines[root.number], lines[root.others[0]])) for root in roots} == {
        frozenset((11, 12)),
        frozenset((21, 22)),
    }


def test_who_holds_its_own_lock_waits_for_itself(web):
    own = waiter(11, "main.(*Page).init", 20)
    own = own.replace("created", f"main.(*Page).Render({BOARD:#x})\n\t/src/shop/page.go:30 +0x1\ncreated")
    page = shown(web, {"goroutine": own})
    assert "mutex double lock" in page
    assert "It waits for itself." in page
    assert page.count('class="edge"') == 2


def test_many_waiters_are_drawn_as_some_and_more_but_all_are_told(web):
    crowd = "".join(waiter(100 + n, f"main.(*Board).Do{n}", 100 + n) for n in range(20))
    page = shown(web, {"goroutine": HOLDER + crowd})
    assert "and 14 more, 14 goroutines" in page
    assert page.count('class="edge"') == 2 * 7
    told = page[page.index("20 goroutines wait for it") :]
    assert all(f"(*Board).Do{n}</code>" in told for n in range(20))


@pytest.mark.parametrize("shape", [WIDE, NARROW])
@pytest.mark.parametrize("width", [1, 120])
def test_no_box_is_outside_the_drawing_or_on_another_one(shape, width):
    crowds = "".join(waiter(100 + n, f"main.(*{'B' * width}).Do{n}", 100 + n) for n in range(9))
    other = circle(31, 0xC000300000, 0xC000400000)
    drawing = draw(wait_graph(goroutine_look.look({"goroutine": HOLDER + crowds + other}).report, {}), shape)
    for number, box in enumerate(drawing.boxes):
        assert box.x > 0
        assert box.x + box.width < drawing.width
        assert box.y > 0
        assert box.y + box.height < drawing.height
        assert all(box.y < line.y < box.y + box.height for line in box.texts)
        assert all(len(line.text) * 6.9 < box.width for line in box.texts)
        for following in drawing.boxes[number + 1 :]:
            apart_x = box.x + box.width <= following.x or following.x + following.width <= box.x
            assert apart_x or box.y + box.height <= following.y or following.y + following.height <= box.y
    assert len(drawing.boxes) == 7 + 1 + 2


@pytest.mark.parametrize("question", ["HEDGE", "quote_v2", "chan send", " hedge "])
def test_clusters_can_be_narrowed_down(web, question):
    page = shown(web, LEAK, f"?q={question}")
    assert listed(page) == [1]
    assert "1 of 11 clusters fits" in page
    assert f'value="{question.strip()}"' in page


def test_a_number_stays_with_its_cluster_when_the_list_is_narrowed(web):
    page = shown(web, LEAK, "?q=serveAll.func1")
    assert len(listed(page)) == 1
    assert listed(page) != [1]
    assert 'href="#cluster-' not in page  # the cause is not among those that are listed


def test_nothing_that_fits_is_said(web):
    assert "Nothing fits" in shown(web, LEAK, "?q=nobody")


def test_a_long_list_and_a_deep_stack_are_cut_and_said_to_be(web):
    frames = "".join(f"main.f{n}()\n\t/src/f.go:{n + 1}\n" for n in range(90))
    many = "".join(f"goroutine {n} [select]:\nmain.g{n}()\n\t/src/g.go:{n}\n\n" for n in range(1, 61))
    page = shown(web, {"goroutine": f"goroutine 99 [select]:\n{frames}\n" + many})
    assert len(listed(page)) == goroutines.CLUSTERS_SHOWN
    assert "and 11 more: filter by what you look for" in page
    assert "and 30 more calls" in shown(web, {"goroutine": f"goroutine 99 [select]:\n{frames}\n"})


def test_code_of_the_owner_is_told_from_libraries_and_go(web):
    calls = (
        "internal/poll.runtime_pollWait(0x1)\n\t/usr/local/go/src/runtime/netpoll.go:351 +0x85\n"
        "github.com/lib/pq.(*conn).recv(0x1)\n\t/root/go/pkg/mod/github.com/lib/pq@v1.10.9/conn.go:9 +0x1\n"
        "example.com/shop.load(0x1)\n\t/src/shop/load.go:7 +0x1\n"
    )
    page = shown(web, {"goroutine": f"goroutine 9 [IO wait]:\n{calls}\n"})
    assert re.findall(r'<li class="(go|library|own)[^"]*"><code class="function">([^<]+)', page) == [
        ("go", "internal/poll.runtime_pollWait"),
        ("library", "github.com/lib/pq.(*conn).recv"),
        ("own", "example.com/shop.load"),
    ]


def test_of_a_line_that_calls_itself_the_innermost_call_is_blamed(web):
    again = f"main.(*Board).Set({BOARD:#x})\n\t/src/shop/board.go:45 +0x1d\n"
    page = shown(web, {"goroutine": LOCKED.replace("created", f"{again}created", 1)})
    [stack] = re.findall(r'id="cluster-1".*?<ol class="stack">(.*?)</ol>', page, re.DOTALL)
    assert re.findall(r'<li class="([^"]+)"', stack) == ["own blamed", "own"]


def test_those_who_wait_for_several_locks_at_one_line_are_one_crowd():
    boards = [BOARD + 0x10000 * n for n in range(3)]
    holders = "".join(stuck(10 + n, "chan send", "main.(*Board).Set", 45, "", at) for n, at in enumerate(boards))
    waiters = "".join(waiter(20 + n, "main.(*Board).Drop", 38, at) for n, at in enumerate(boards))
    seen = goroutine_look.look({"goroutine": holders + waiters})
    assert len(seen.report.victims) > 1, "one for each lock"
    crowds = [waiter.bucket.key for root in wait_graph(seen.report, {}) for waiter in root.waiters]
    assert len(crowds) == len(set(crowds)) == 1


def test_what_only_the_leak_profile_holds_is_listed_as_well(web):
    late = LEAK["goroutineleak"].replace("total 118", "total 120") + (
        "\n2 @ 0x48d3aa 0x418f5c\n#\t0x73d7cd\tmain.(*cashier).late+0x16d\tlab/orders/late.go:9\n"
    )
    page = shown(web, LEAK | {"goroutineleak": late}, "?q=late.go")
    assert len(listed(page)) == 1
    assert "main.(*cashier).late" in page


def test_hostile_names_do_not_become_markup(web):
    evil = LOCKED.replace("main.(*Board).Set", f"main.{EVIL}").replace("board.go", f"{EVIL}.go")
    evil = evil.replace("main.start", f"main.{EVIL}").replace("chan send", f"chan send{EVIL}")
    page = shown(web, {"goroutine": evil + LOCKED}, f"?q={EVIL}")
    assert EVIL not in page
    assert "<script>" not in page
    assert escape(f"main.{EVIL}") in page


def test_endless_names_are_clipped(web):
    page = shown(web, {"goroutine": HOLDER.replace("Set", "S" * 200_000)})
    assert len(page) < 50_000


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "No goroutine dump is kept with this evidence"),
        ({"earlier": LEAK["earlier"]}, "No goroutine dump is kept with this evidence"),
        ({"goroutine": "404 page not found"}, "This is not a goroutine profile"),
        ({"goroutine": ""}, "This is not a goroutine profile"),
    ],
)
def test_a_dump_that_is_not_there_or_cannot_be_read_is_said(web, texts, said):
    page = shown(web, texts)
    assert "cannot be shown" in page
    assert said in page


def test_a_look_that_saw_nothing_says_why(web):
    row = kept({}, missing="The catalog names no pprof_url for orders.")
    assert "Not seen: The catalog names no pprof_url for orders." in text(web, address(row))


@pytest.mark.parametrize("error", [zlib.error("Error -3"), UnicodeDecodeError("utf-8", b"x", 0, 1, "invalid")])
def test_a_stored_dump_that_is_damaged_is_said(web, monkeypatch, error):
    def damaged(_row):
        raise error

    row = kept(LEAK)
    monkeypatch.setattr(EvidenceRow, "texts", property(damaged))
    assert "The stored dumps are damaged" in text(web, address(row))


def test_an_unreadable_earlier_dump_costs_only_the_growth(web):
    page = shown(web, LEAK | {"earlier": "gone"})
    assert "The earlier dump could not be used: This is not a goroutine profile" in page
    assert "It leaks" in page  # by the garbage collector's proof


def test_of_a_dump_that_is_too_long_for_a_page_the_beginning_is_read(web, monkeypatch):
    between = LEAK["goroutine"].index("\n\ngoroutine", 20_000) + 2  # what comes before it looks like a whole dump
    monkeypatch.setattr(goroutine_look, "MOST_READ", between)
    page = shown(web, LEAK)
    assert "its first 0 MiB are read here: counts are lower bounds." in page
    assert "at least" in page
    assert re.findall(r">\+\d+<", page) == []


def test_only_so_many_clusters_are_judged(web, monkeypatch):
    monkeypatch.setattr(goroutine_look, "MOST_JUDGED", 3)
    page = shown(web, LEAK)
    assert "Of the dump, the largest 3 of 11 clusters are judged." in page
    assert listed(page) == [1, 2, 3]


def test_each_text_is_read_once(web, monkeypatch):
    read = []
    parse = goroutine_look.parse
    monkeypatch.setattr(goroutine_look, "parse", lambda said: read.append(said) or parse(said))
    shown(web, LEAK)
    assert sorted(map(len, read)) == sorted(map(len, LEAK.values()))


def test_it_takes_as_many_queries_however_much_was_seen(web):
    small, large = kept({"goroutine": HOLDER}), kept(LEAK)
    assert queries(web, address(small)) == queries(web, address(large)) <= 8


def test_what_is_not_there_is_not_found(web):
    row, other = kept(LEAK), factories.diagnosed()
    health = other.incident.evidence.get(collector="health")
    assert web.get(reverse("goroutines", args=[other.incident.pk, row.pk])).status_code == 404
    assert web.get(reverse("goroutines", args=[row.incident_id, 999_999])).status_code == 404
    assert web.get(address(health)).status_code == 404


REASONS = ["What supports it", "What speaks against it", "What would decide it"]


def test_a_finding_says_what_speaks_for_it_against_it_and_what_would_decide_it(web):
    story = factories.diagnosed()
    said = {"against": ["It does not grow."], "would_decide": ["A second dump."], "in_dump": False}
    FindingRow.objects.filter(incident=story.incident, rank=1).update(content=factories.FINDING | said)
    page = text(web, reverse("incident", args=[story.incident.pk]))
    for shown_once in (*REASONS[1:], "It does not grow.", "A second dump.", "The guilty call is not in the dump"):
        assert page.count(shown_once) == 1
    assert page.count(REASONS[0]) == 2  # the second finding has reasons as well


def test_older_findings_lack_what_speaks_against_them(web):
    story = factories.diagnosed()
    page = text(web, reverse("incident", args=[story.incident.pk]))
    assert [page.count(reason) for reason in REASONS] == [2, 0, 0]
    assert "The guilty call is not in the dump" not in page
