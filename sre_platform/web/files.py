"""Raw evidence as files: texts that people read, and profiles under the ending that ``go tool pprof`` wants."""

from django.http import HttpResponse

from sre_platform.diagnosis.models import EvidenceRow

GZIP = b"\x1f\x8b"
LONGEST_NAME = 150


def as_file(row: EvidenceRow, name: str, data: bytes, is_text: bool, inline: bool = False) -> HttpResponse:
    """``data`` under a name that says whose it is. Never anything that a browser would run, whatever it holds."""
    answer = HttpResponse(data, content_type="text/plain; charset=utf-8" if is_text else "application/octet-stream")
    ending = "txt" if is_text else "pb.gz" if data.startswith(GZIP) else "pb"
    whose = f"incident-{row.incident_id}-{row.service}-{name}"
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in whose)[:LONGEST_NAME]
    how = "inline" if inline and is_text else "attachment"
    answer.headers["Content-Disposition"] = f'{how}; filename="{safe}.{ending}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
