from django.conf import settings
from django.urls import reverse

from sre_platform.tickets.domain import Draft
from sre_platform.tickets.models import LocalComment, LocalTicket


class Local:
    """Tickets as rows of the platform's own database, shown on its page."""

    name = "local"

    def open(self, draft: Draft) -> tuple[str, str]:
        row, _ = LocalTicket.objects.get_or_create(
            key=draft.key, defaults={"title": draft.title, "body": draft.body, "labels": list(draft.labels)}
        )
        return str(row.pk), settings.SRE_BASE_URL + reverse("ticket", args=[row.pk])

    def comment(self, reference: str, key: str, text: str) -> None:
        LocalComment.objects.get_or_create(ticket_id=int(reference), key=key, defaults={"text": text})

    def close(self, reference: str) -> None:
        LocalTicket.objects.filter(pk=int(reference)).update(closed=True)

    def reopen(self, reference: str) -> None:
        LocalTicket.objects.filter(pk=int(reference)).update(closed=False)
