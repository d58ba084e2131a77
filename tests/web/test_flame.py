"""The page of a profile: what is drawn, that it can be read without seeing it, and what is refused."""

import gzip
import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sre_platform.diagnosis import store
from sre_platform.diagnosis.domain import Evidence
from sre_platform.diagnosis.models import EvidenceRow
from sre_platform.diagnosis.parsers.flamegraph import flamegraph
from sre_platform.diagnosis.parsers.profile import parse
from sre_platform.diagnosis.parsers.profile_diff import difference
from sre_platform.diagnosis.parsers.profile_encode import encode
from sre_platform.diagnosis.parsers.profile_top import top
from sre_platform.kernel.errors import Unknown
from sre_platform.web.flame_drawing import CHANGES, draw, is_runtime, package, short
from tests.diagnosis.profiles import raw, recorded
from tests.diagnosis.test_flamegraph import SOME
from tests.diagnosis.test_profile_goroutines import made
from tests.web import factories

PROFILES = {name: name for name in ("heap", "heap.earlier", "cpu", "goroutine")}


def kept(texts=None, service="payments", **profiles):
    """Evidence of an incident that holds these documents; profiles are bytes or the name of a recorded one."""
    story = factories.opened()
    data = {name: raw(value) if isinstance(value, str) else value for name, value in profiles.items()}
    seen = Evidence("go_profiles", service, story.at, texts=texts or {}, profiles=data)
    store.keep(story.incident.pk, 1, store.pack([seen]))
    return EvidenceRow.objects.get(incident=story.incident)


@pytest.fixture
def row(db):
    return kept(**PROFILES)


def address(row, name, view="flame"):
    return reverse(view, args=[row.incident_id, row.pk, name])


class Frames(HTMLParser):
    """The frames of a page: their attributes, title and text by number."""

    def __init__(self, page):
        super().__init__()
        self.found, self.names, self.ids, self.inside = {}, [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names += [f"{tag}.{name}" for name in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "a" and "data-i" in attrs:
            self.at = self.found.setdefault(int(attrs["data-i"]), attrs)
        self.inside = tag
        if tag == "svg" and self.found and "x" in attrs:
            self.at["box"] = attrs

    def handle_data(self, data):
        if self.inside in ("title", "text") and self.found and data.strip():
            self.at[self.inside] = data

    def handle_endtag(self, tag):
        self.inside = ""


def frames(client, url, **query):
    answer = client.get(url, query)
    assert answer.status_code == 200
    return Frames(answer.content.decode())


# --- the page ---------------------------------------------------------------------------------------------------------


def test_every_frame_says_what_it_is(web, row):
    page = frames(web, address(row, "cpu"))
    graph = flamegraph(recorded("cpu"), limit=1_200)
    assert set(page.found) == set(range(len(graph.nodes)))
    (hot,) = [frame for frame in page.found.values() if frame["aria-label"].startswith("main.render,")]
    assert re.fullmatch(
        r"main\.render, shop/main\.go:\d+: itself \S+ \(\d+\.\d %\), with calls \d+ms \(\d+\.\d %\)", hot["aria-label"]
    )
    for frame in page.found.values():
        assert frame["href"].startswith("?")
        assert frame["title"] == frame["aria-label"] != ""
        assert re.fullmatch(r"\d+\.\d{4}%", frame["box"]["width"])


def test_nothing_is_inline_and_ids_are_unique(web, row):
    for query in ({}, {"against": "heap.earlier"}, {"q": "main"}):
        page = frames(web, address(row, "heap"), **query)
        assert not [name for name in page.names if name.endswith((".style", ".onclick", ".onload"))]
        assert len(page.ids) == len(set(page.ids))


def test_the_table_is_the_tool_s(web, row):
    page = unescape(web.get(address(row, "heap")).content.decode())
    table = top(recorded("heap"))
    for line in table.rows[:10]:
        flat, cum = table.amount(line.flat), table.amount(line.cum)
        assert f'<td class="right">{flat}</td><td class="right">{line.flat_percent:.1f} %</td>' in page
        assert f'<td class="right">{cum}</td>' in page
        assert f">{line.name}</a>" in page


def test_another_kind_of_values(web, row):
    page = web.get(address(row, "heap"), {"sample": "alloc_objects"}).content.decode()
    assert "heap profile, alloc_objects in count" in page
    assert '<a href="?sample=alloc_objects" aria-current="true">alloc_objects</a>' in page


def test_looking_at_a_frame(web, row):
    whole = frames(web, address(row, "cpu")).found
    (number,) = [n for n, frame in whole.items() if frame["aria-label"].startswith("main.render,")]
    found = frames(web, address(row, "cpu"), frame=number).found
    assert found[number]["box"]["width"] == "100.0000%"
    assert found[number]["box"]["x"] == "0.0000%"
    callers = [frame for frame in found.values() if "caller" in frame["class"]]
    assert next(frame["data-i"] for frame in callers) == "0"
    assert {frame["box"]["width"] for frame in callers} == {"100.0000%"}
    assert len(callers) < number
    assert len(found) < len(whole)


@pytest.mark.parametrize("frame", ["x", "-1", "99999", "9" * 4000, ""])
def test_a_frame_that_is_not_there_is_the_whole(web, row, frame):
    assert 'aria-label="root: ' in web.get(address(row, "cpu"), {"frame": frame}).content.decode()


def test_looking_for_a_name(web, row):
    page = web.get(address(row, "cpu"), {"q": "MAIN.PRICE"}).content.decode()
    found = [frame for frame in Frames(page).found.values() if "hit" in frame["class"]]
    assert found
    assert all("main.price" in frame["aria-label"] for frame in found)
    assert f"{len(found)} frame{' matches' if len(found) == 1 else 's match'}, " in page
    assert 'value="MAIN.PRICE"' in page


def test_what_is_kept_while_looking_around(web, row):
    page = frames(web, address(row, "heap"), against="heap.earlier", sample="inuse_objects", q="x")
    assert page.found[1]["href"] == "?sample=inuse_objects&against=heap.earlier&q=x&frame=1"


def test_against_an_earlier_one(web, row):
    page = web.get(address(row, "heap"), {"against": "heap.earlier"}).content.decode()
    found = Frames(page).found
    grown = next(frame for frame in found.values() if frame["aria-label"].startswith("main.newCart"))
    assert "more" in grown["class"]
    assert grown["data-s"].startswith("▲ ")
    assert re.search(r"before \S+, \+\S+$", grown["aria-label"])
    gone = next(frame for frame in found.values() if frame["aria-label"].startswith("bytes.Repeat"))
    assert "less" in gone["class"]
    assert gone["data-s"].startswith("▼ ")
    assert 'aria-label="Legend"' in page
    assert "Before</dt>" in page
    assert "Functions that changed most" in page


def test_what_it_can_be_compared_with(web, row):
    page = web.get(address(row, "heap")).content.decode()
    assert '<a href="?against=heap.earlier">heap.earlier</a>' in page
    assert "Compare with" not in web.get(address(row, "cpu")).content.decode()


def test_the_difference_as_a_file(web, row):
    answer = web.get(address(row, "heap"), {"against": "heap.earlier", "download": ""})
    assert parse(answer.content) == difference(recorded("heap.earlier"), recorded("heap"))
    assert answer["Content-Disposition"].endswith('heap-less-heap.earlier.pb.gz"')


def test_a_profile_in_which_nothing_was_measured(web, db):
    page = web.get(address(kept(heap=encode(made(kind="x"))), "heap")).content.decode()
    assert "Nothing was measured" in page
    assert "No function has any of it." in page


def test_names_do_not_become_markup(web, db):
    evil = "main.<script>alert(1)</script>\"'"
    page = web.get(address(kept(cpu=encode(made((1, (evil,))))), "cpu"), {"q": evil}).content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_number_of_queries_that_stays_the_same(web, row):
    def count(url, **query):
        with CaptureQueriesContext(connection) as seen:
            assert web.get(url, query).status_code == 200
        return len(seen)

    count(address(row, "heap"))
    alone = count(address(row, "heap"))
    assert count(address(row, "goroutine")) == alone
    assert count(address(row, "heap"), against="heap.earlier") <= alone + 2
    assert alone <= 10


def test_the_incident_links_to_it(web, row):
    page = web.get(reverse("incident", args=[row.incident_id])).content.decode()
    assert f'<a href="{address(row, "heap.earlier")}">heap.earlier</a>' in page


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["flame", "evidence"])
def test_a_login_is_needed(client, row, view):
    assert client.get(address(row, "heap", view))["Location"].startswith("/login/")
    assert client.post(address(row, "heap", view)).status_code in (302, 405)


@pytest.mark.parametrize("view", ["flame", "evidence"])
def test_it_belongs_to_its_incident_and_has_to_be_there(web, row, view):
    other = factories.opened()
    assert web.get(address(row, "nothing", view)).status_code == 404
    assert web.get(reverse(view, args=[other.incident.pk, row.pk, "heap"])).status_code == 404
    assert web.get(reverse(view, args=[row.incident_id, row.pk + 1, "heap"])).status_code == 404
    assert web.post(address(row, "heap", view)).status_code == 405


@pytest.mark.parametrize(
    ("name", "query", "says"),
    [
        ("text", {}, "not a pprof profile"),
        ("cut", {}, "gzip"),
        ("heap", {"against": "cpu"}, "cannot be compared"),
        ("heap", {"against": "text"}, "not a pprof profile"),
        ("heap", {"against": "cpu", "download": ""}, "cannot be compared"),
        ("heap", {"sample": "cpu"}, "it has: alloc_objects, alloc_space, inuse_objects, inuse_space"),
    ],
)
def test_what_cannot_be_drawn(web, name, query, says):
    row = kept({"text": "goroutine 1 [running]:\n"}, heap="heap", cpu="cpu", cut=raw("cpu")[:400])
    answer = web.get(address(row, name), query)
    assert answer.status_code == 400
    assert says in unescape(answer.content.decode())


def test_against_one_that_is_not_there(web, row):
    assert web.get(address(row, "heap"), {"against": "nothing"}).status_code == 404


# --- raw documents ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "ending"),
    [
        ("heap", "application/octet-stream", "pb.gz"),
        ("plain", "application/octet-stream", "pb"),
        ("status", "text/plain; charset=utf-8", "txt"),
        ("pressure/cpu", "text/plain; charset=utf-8", "txt"),
    ],
)
def test_raw(web, name, kind, ending):
    texts = {"status": "<script>alert(1)</script>\tü\n", "pressure/cpu": "some avg10=0.00\n"}
    row = kept(texts, 'a"b\r\nc', heap="heap", plain=gzip.decompress(raw("heap")))
    answer = web.get(address(row, name, "evidence"), {"download": ""})
    assert answer.content == row.document(name)
    assert answer["Content-Type"] == kind
    assert answer["X-Content-Type-Options"] == "nosniff"
    safe = f"incident-{row.incident_id}-a-b--c-{name.replace('/', '-')}.{ending}"
    assert answer["Content-Disposition"] == f'attachment; filename="{safe}"'


def test_documents(db):
    row = kept({"status": "ü"}, heap="heap")
    row = EvidenceRow.objects.get(pk=row.pk)
    assert (row.document("heap"), row.document("status")) == (raw("heap"), "ü".encode())
    assert (list(row.texts), list(row.profiles)) == (["status"], ["heap"])
    with pytest.raises(Unknown, match="known are: heap, status"):
        row.document("cpu")


# --- the drawing ------------------------------------------------------------------------------------------------------


def test_boxes():
    found = {box.short: box for box in draw(flamegraph(made(*SOME))).boxes}
    assert (found["root"].x, found["root"].width, found["root"].y) == ("0.0000%", "100.0000%", 0)
    assert (found["main.init"].x, found["main.main"].x) == ("0.0000%", "9.0909%")
    assert (found["main.cold"].x, found["main.hot"].x) == ("9.0909%", "36.3636%")
    assert (found["main.hot"].width, found["main.hot"].y, found["main.hot"].parent) == ("45.4545%", 60, 3)
    assert found["main.hot"].says == "main.hot, f.go:2: itself 5 (45.5 %), with calls 5 (45.5 %)"


def test_a_callee_stands_within_its_caller():
    graph = flamegraph(recorded("cpu"))
    boxes = {box.index: box for box in draw(graph).boxes}
    for box in boxes.values():
        if box.parent >= 0:
            above = boxes[box.parent]
            left, right = (float(above.left), float(above.left) + float(above.share))
            assert left - 1e-5 <= float(box.left) <= float(box.left) + float(box.share) <= right + 1e-5


def test_shares_of_what_is_found_count_nothing_twice():
    drawing = draw(flamegraph(made(*SOME)), words="main.")
    assert (drawing.found, drawing.found_share) == (5, "100.0 %")
    drawing = draw(flamegraph(made(*SOME)), words="F.GO")
    assert drawing.found == 5
    assert draw(flamegraph(made(*SOME)), words="zzz").found == 0


@pytest.mark.parametrize(
    ("now", "before", "kind", "sign"),
    [
        (1000, 1000, "same", ""),
        (1000, 996, "same", ""),
        (1000, 990, "more1", "▲ "),
        (1000, 900, "more2", "▲ "),
        (1000, 100, "more3", "▲ "),
        (990, 1000, "less1", "▼ "),
        (900, 1000, "less2", "▼ "),
        (100, 1000, "less3", "▼ "),
        (0, 1000, "less3", "▼ "),
    ],
)
def test_changes(now, before, kind, sign):
    (_, box) = draw(flamegraph(made((now, ("main.f",))), made((before, ("main.f",))))).boxes
    assert (box.kind, box.short) == (kind, f"{sign}main.f")
    assert len(CHANGES) == 3


@pytest.mark.parametrize(
    ("name", "where", "shown", "runtime"),
    [
        ("main.main", "main", "main.main", False),
        ("net/http.(*conn).serve", "net/http", "http.(*conn).serve", False),
        ("a.b/c/v2.F[go.shape.[]a/b.T]", "a.b/c/v2", "v2.F[go.shape.[]a/b.T]", False),
        ("runtime.gopark", "runtime", "runtime.gopark", True),
        ("internal/runtime/maps.newTable", "internal/runtime/maps", "maps.newTable", True),
        ("runtime/pprof.Do", "runtime/pprof", "pprof.Do", False),
        ("cmpbody", "cmpbody", "cmpbody", True),
    ],
)
def test_names(name, where, shown, runtime):
    assert (package(name), short(name), is_runtime(name)) == (where, shown, runtime)
