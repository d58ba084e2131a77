"""What counts as the address of a service, in files and in the admin pages."""

from io import StringIO

import pytest
from django.contrib.admin.sites import site
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import RequestFactory

from sre_platform.catalog.models import Service

GOOD = ["http://orders:8082/metrics", "https://127.0.0.1/metrics", "http://[::1]:8082/", "http://orders.shop.svc:80"]
BAD = [
    "orders:8082/metrics",
    "ftp://orders/x",
    "http://",
    "http://:8082/",
    "http://a:99999/",
    "http://a:0/",
    "http://a b/",
]


@pytest.mark.parametrize("url", GOOD)
def test_a_host_may_be_one_word(url):
    service = Service(name="orders", metrics_url=url)
    service.clean_fields()
    assert service.metrics_url == url


@pytest.mark.parametrize("url", BAD)
def test_what_nobody_could_ask_is_refused(url):
    with pytest.raises(ValidationError, match="http://host:port/path"):
        Service(name="orders", metrics_url=url).clean_fields()


@pytest.mark.django_db
@pytest.mark.parametrize("url, good", [*[(url, True) for url in GOOD], ("ftp://orders/x", False)])
def test_the_admin_page_takes_the_same(url, good):
    form = site._registry[Service].get_form(RequestFactory().get("/"))
    assert ("metrics_url" not in form({"name": "orders", "metrics_url": url}).errors) is good


@pytest.mark.django_db
def test_no_migration_is_needed_for_it():
    said = StringIO()
    call_command("makemigrations", "catalog", check=True, dry_run=True, stdout=said)
    assert "No changes detected" in said.getvalue()
