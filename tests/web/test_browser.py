"""The pages in a real browser, where there is one: nothing violates the policy, nothing is wider than a phone."""

from pathlib import Path

import pytest
from django.test import Client

from sre_platform.playbook.models import PlaybookVersion
from sre_platform.tickets.models import LocalTicket
from tests.web import factories
from tests.web.test_goroutines import LEAK, LOCKED, address, kept
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
    pages += ["/ledger/", "/ledger/?incident=x", f"/ledger/{sent(factories.alert()).pk}/"]
    pages += [address(kept(LEAK)), address(kept({"goroutine": LOCKED})), address(kept({}))]
    assert _complaints(live_server.url, cookie, pages, width) == []


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
