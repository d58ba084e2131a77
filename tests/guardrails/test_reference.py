"""The reference names every guard, and what it shows as YAML is what can be read."""

import re

import pytest
import yaml
from django.conf import settings

from sre_platform.engine.syncing import sync_catalog
from sre_platform.engine.work import GUARDS
from sre_platform.guardrails.models import ActionLimit, FreezeWindow, RemediationPolicy

PAGE = settings.BASE_DIR / "docs" / "reference" / "guards.md"


def test_every_guard_has_its_row_in_the_reference_and_no_other_has():
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), flags=re.MULTILINE)
    assert rows == GUARDS.names()


@pytest.mark.django_db
def test_what_the_reference_shows_can_be_synced(tmp_path):
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    shown = {key: value for block in blocks for key, value in yaml.safe_load(block).items()}
    file = tmp_path / "catalog.yaml"
    file.write_text("\n".join(blocks))
    sync_catalog(file)
    for model, key in ((RemediationPolicy, "policies"), (ActionLimit, "limits"), (FreezeWindow, "freeze_windows")):
        assert model.objects.count() == len(shown[key])
    [policy] = RemediationPolicy.objects.all()
    assert [call.name for call in policy.as_value().plan] == ["set_breaker", "restart_service"]
