"""The pages in a real browser, where there is one: nothing violates the policy, nothing is wider than a phone."""

import re
from pathlib import Path

import pytest
from django.test import Client

from sre_platform.playbook.models import PlaybookVersion
from sre_platform.tickets.models import LocalTicket
from tests.web import factories, test_flame, test_goroutines, test_rollouts
from tests.web.test_ledger import sent

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = Path("/usr/bin/chromium")
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [360, 820, 1280])
def test_no_page_violates_the_policy_or_is_wider_than_the_window(live_server, staff, width):
    resolved, escalated = factories.resolved(), factories.escalated()
    client = Client()
    client.force_login(staff)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    pages = [f"/incidents/{story.incident.pk}/" for story in (resolved, escalated)]
    pages += [f"/tickets/{LocalTicket.objects.latest('pk').pk}/", "/", "/tickets/", "/hooks/alertmanager", "/login/"]
    pages += ["/admin/", f"/admin/playbook/playbookversion/{PlaybookVersion.objects.latest('pk').pk}/change/"]
    profile = test_flame.kept(**test_flame.PROFILES)
    heap = test_flame.address(profile, "heap")
    pages += [test_flame.address(profile, "cpu"), f"{heap}?against=heap.earlier&q=main&frame=2"]
    pages += ["/ledger/", "/ledger/?incident=x", f"/ledger/{sent(factories.alert()).pk}/"]
    looks = (test_goroutines.LEAK, {"goroutine": test_goroutines.LOCKED}, {})
    pages += [test_goroutines.address(test_goroutines.kept(look)) for look in looks]
    pages += ["/rollouts/", test_rollouts.page(test_rollouts.rollout(events=9))]
    assert _complaints(live_server.url, cookie, pages, width) == []


@pytest.fixture
def flame_page(live_server, staff):
    """A function that opens the page of the recorded CPU profile, with the script or without."""
    client = Client()
    client.force_login(staff)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    url = live_server.url + test_flame.address(test_flame.kept(**test_flame.PROFILES), "cpu")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)

        def opened(script=True):
            context = browser.new_context(java_script_enabled=script, viewport={"width": 1280, "height": 1200})
            context.add_cookies([cookie])
            page = context.new_page()
            page.goto(url)
            return page

        yield opened
        browser.close()


def _frame(page, name):
    return page.get_by_role("link", name=re.compile(f"^{re.escape(name)}, ")).first


@pytest.mark.django_db(transaction=True)
def test_a_flame_graph_is_walked_by_keys(flame_page):
    page = flame_page()
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.locator("#flame a[tabindex='0']").count() == 1
    page.locator("#flame a[tabindex='0']").focus()
    for key, name in [("ArrowDown", "runtime.main"), ("ArrowDown", "main.main"), ("ArrowUp", "runtime.main")]:
        page.keyboard.press(key)
        assert page.evaluate(focused).startswith(f"{name}, ")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused).startswith("runtime.gcBgMarkWorker, ")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(focused).startswith("runtime.gcBgMarkWorker, ")
    assert page.locator("#flame-says").text_content() == page.evaluate(focused)


@pytest.mark.django_db(transaction=True)
def test_a_flame_graph_zooms_and_goes_back(flame_page):
    page = flame_page()
    whole = page.locator("#flame").bounding_box()
    before = _frame(page, "main.render").bounding_box()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if request.is_navigation_request() else None)
    _frame(page, "main.render").focus()
    page.keyboard.press("Enter")
    assert _frame(page, "main.render").bounding_box()["width"] == pytest.approx(whole["width"], abs=6)
    assert "frame=" in page.url
    assert page.locator("#flame a.caller").count() == 8
    assert not _frame(page, "main.price").is_visible()
    page.keyboard.press("Escape")
    assert _frame(page, "main.serve").bounding_box()["width"] == pytest.approx(whole["width"], abs=6)
    page.go_back()
    page.go_back()
    assert _frame(page, "main.render").bounding_box() == pytest.approx(before, abs=6)
    assert requests == []


@pytest.mark.django_db(transaction=True)
def test_a_flame_graph_is_searched_while_typing_as_the_server_searches(flame_page):
    page = flame_page()
    page.fill("#flame-q", "slices")
    typed, hits = page.locator("#flame-found").text_content(), page.locator("#flame a.hit").count()
    page.keyboard.press("Enter")
    page.wait_for_url("**q=slices")
    assert page.locator("#flame-found").text_content() == typed
    assert page.locator("#flame a.hit").count() == hits > 0


@pytest.mark.django_db(transaction=True)
def test_a_flame_graph_works_without_its_script(flame_page):
    page = flame_page(script=False)
    assert not page.get_by_text("Arrow keys walk").is_visible()
    _frame(page, "main.render").click()
    page.wait_for_url("**frame=*")
    assert page.locator("#flame a.caller").count() == 8
    page.get_by_role("link", name="Whole graph").click()
    assert page.locator("#flame a.caller").count() == 0


def _complaints(base: str, cookie: dict[str, str], paths: list[str], width: int) -> list[str]:
    found: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        context = browser.new_context(viewport={"width": width, "height": 800})
        context.add_cookies([cookie])
        page = context.new_page()
        page.on(
            "console", lambda message: found.append(f"{page.url}: {message.text}") if message.type == "error" else None
        )
        page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
        for path in paths:
            page.goto(base + path)
            too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if too_wide > 0 and not path.startswith("/admin/"):
                found.append(f"{path} is {too_wide} px too wide")
        browser.close()
    return found
