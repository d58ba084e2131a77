"""Stored playbooks: every version is kept, because an incident lives by the copy it was opened with."""

from functools import lru_cache

from django.core.exceptions import ValidationError
from django.db import models

from sre_platform.kernel.errors import Malformed
from sre_platform.playbook.schema import Playbook, parse_playbook

_parsed = lru_cache(maxsize=256)(parse_playbook)  # versions never change, and every batch of alerts asks for all


class PlaybookVersion(models.Model):
    """One version of a playbook's text. Rows are never changed, except for which version is in force."""

    name = models.CharField(max_length=100, editable=False)
    version = models.PositiveIntegerField(editable=False)
    text = models.TextField(help_text="The playbook as YAML.")
    digest = models.CharField(max_length=64, editable=False)
    in_force = models.BooleanField(default=True)
    source = models.CharField(max_length=200, blank=True, help_text="The file or the person this version came from.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="playbook_version_once"),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(in_force=True), name="playbook_one_version_in_force"
            ),
        ]
        ordering = ["name", "-version"]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    def clean(self) -> None:
        try:
            parse_playbook(self.text)
        except Malformed as error:
            raise ValidationError({"text": str(error)}) from error

    def as_value(self) -> Playbook:
        """The parsed playbook."""
        return _parsed(self.text, str(self))
