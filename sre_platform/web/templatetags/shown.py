"""How values are shown: durations, numbers, moments, places in code."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from django import template
from django.utils.safestring import SafeString

from sre_platform.kernel.clock import now
from sre_platform.web import markdown as md
from sre_platform.web.seen import NOTHING

register = template.Library()

STATES = {
    "open": ("busy", "ring"),
    "diagnosed": ("busy", "search"),
    "awaiting_approval": ("warn", "diamond"),
    "approved": ("busy", "play"),
    "remediated": ("busy", "pulse"),
    "unhealthy": ("warn", "undo"),
    "resolved": ("good", "check"),
    "escalated": ("bad", "person"),
}
ROLLOUTS = {
    "pending": ("plain", "dot"),
    "starting": ("busy", "play"),
    "walking": ("busy", "ring"),
    "analysing": ("busy", "search"),
    "waits_for_person": ("warn", "person"),
    "promoting": ("busy", "play"),
    "rolling_back": ("warn", "undo"),
    "promoted": ("good", "check"),
    "rolled_back": ("bad", "undo"),
    "aborted": ("warn", "undo"),
    "failed": ("bad", "cross"),
}
MARKS = {
    "done": "check",
    "failed": "cross",
    "waiting": "diamond",
    "busy": "ring",
    "todo": "dot",
    "skipped": "dash",
}
STEPS = {
    "prepared": ("plain", "dot", "prepared, not begun"),
    "applying": ("busy", "ring", "being carried out"),
    "applied": ("good", "check", "carried out"),
    "failed": ("bad", "cross", "failed"),
    "undoing": ("warn", "undo", "being taken back"),
    "undone": ("warn", "undo", "taken back"),
    "kept": ("good", "check", "carried out, stays"),
    "cancelled": ("plain", "dash", "cancelled"),
}
FATES = {
    "opened": ("bad", "bell"),
    "joined": ("busy", "link"),
    "storm": ("warn", "pulse"),
    "duplicate": ("plain", "dash"),
    "resolved": ("good", "check"),
    "quiet": ("plain", "pause"),
    "not needed": ("plain", "dash"),
}
DELIVERIES = {"pending": ("busy", "ring"), "digested": ("good", "check"), "rejected": ("bad", "cross")}
ANSWERS = {"allow": ("good", "check"), "ask": ("warn", "diamond"), "deny": ("bad", "cross")}
ICONS = {
    "alert": "bell",
    "evidence": "search",
    "cause": "target",
    "decision": "shield",
    "action": "play",
    "verification": "pulse",
    "rollback": "undo",
    "ticket": "ticket",
    "note": "dot",
}


@register.filter
def duration(seconds: float | None) -> str:
    """``3.4 s``, ``2 min 05 s``, ``1 h 04 min``, ``2 d 3 h``."""
    if seconds is None:
        return NOTHING
    if abs(seconds) < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if hours < 1:
        return f"{minutes} min {whole % 60:02d} s"
    return f"{hours} h {minutes % 60:02d} min" if days < 1 else f"{days} d {hours % 24} h"


@register.filter
def number(value: float | None) -> str:
    """Four significant digits."""
    return NOTHING if value is None else f"{value:.4g}"


@register.filter
def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


@register.filter
def ago(moment: datetime | None) -> str:
    """``12 s ago``, ``5 min ago``, ``3 h ago``, ``4 d ago``."""
    if moment is None:
        return NOTHING
    seconds = max(0, int((now() - moment).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


@register.filter
def since(moment: datetime, until: datetime | None = None) -> float:
    """Seconds from ``moment`` to ``until``, or to now."""
    return ((until or now()) - moment).total_seconds()


@register.filter
def absolute(moment: datetime | None) -> str:
    """``2025-01-31 12:00:03.120 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC" if moment else ""


@register.filter
def epoch(moment: datetime) -> str:
    """Unix milliseconds, for the clocks that run in the browser."""
    return str(int(moment.timestamp() * 1000))


@register.filter
def folder(path: str) -> str:
    """The folder of a source file with a slash, shortened from the left to its last part."""
    parts = [part for part in PurePosixPath(path).parent.parts if part not in ("/", ".")]
    return f"{'…/' if len(parts) > 1 else ''}{parts[-1]}/" if parts else ""


@register.filter
def basename(path: str) -> str:
    return PurePosixPath(path).name


@register.filter
def unsaid(site: dict[str, Any] | None, lines: Sequence[str]) -> bool:
    """Whether none of ``lines`` names the place in code."""
    return site is not None and not any(f"{site['file']}:{site['line']}" in line for line in lines)


@register.filter
def step_words(state: str) -> str:
    """The state of a step in words."""
    return STEPS[state][2] if state in STEPS else words(state)


@register.filter
def beyond(reason: str, step: Any) -> str:
    """``reason`` without the sentence of the step (None: there is none) before it, where that has just been shown."""
    rest = reason.removeprefix(f"{step}: ")
    return rest[:1].upper() + rest[1:]


@register.filter
def words(text: str) -> str:
    """``awaiting_approval`` as ``awaiting approval``."""
    return str(text).replace("_", " ")


@register.filter
def markdown(text: str) -> SafeString:
    return md.render(text)


@register.filter
def undo_sentence(step: Any) -> str:
    """How a step is taken back, or why it cannot be."""
    if step.undo is None:
        return f"Cannot be taken back: {step.irreversible or 'no undo is known'}."
    return call_sentence(step.undo, step.action)


@register.filter
def as_json(value: Any) -> str:
    """A value as it goes over the wire."""
    return json.dumps(value, ensure_ascii=False, default=str)


@register.filter
def call_sentence(params: dict[str, Any], action: str) -> str:
    """An action with its parameters."""
    return " ".join([action, *(f"{key}={value}" for key, value in params.items())])


@register.inclusion_tag("parts/badge.html")
def state_badge(state: str) -> dict[str, str]:
    tone, icon = STATES.get(state, ("plain", "dot"))
    return {"tone": tone, "icon": icon, "text": words(state)}


@register.inclusion_tag("parts/badge.html")
def rollout_badge(state: str) -> dict[str, str]:
    tone, icon = ROLLOUTS.get(state, ("plain", "dot"))
    return {"tone": tone, "icon": icon, "text": words(state)}


@register.inclusion_tag("parts/badge.html")
def step_badge(state: str) -> dict[str, str]:
    tone, icon, text = STEPS.get(state, ("plain", "dot", state))
    return {"tone": tone, "icon": icon, "text": text}


@register.inclusion_tag("parts/badge.html")
def answer_badge(answer: str) -> dict[str, str]:
    tone, icon = ANSWERS.get(answer, ("plain", "dot"))
    return {"tone": tone, "icon": icon, "text": answer}


@register.inclusion_tag("parts/badge.html")
def fate_badge(fate: str) -> dict[str, str]:
    tone, icon = FATES.get(fate, ("plain", "dot"))
    return {"tone": tone, "icon": icon, "text": fate}


@register.inclusion_tag("parts/badge.html")
def delivery_badge(state: str) -> dict[str, str]:
    tone, icon = DELIVERIES.get(state, ("plain", "dot"))
    return {"tone": tone, "icon": icon, "text": state}


@register.inclusion_tag("parts/badge.html")
def badge(tone: str, icon: str, text: str) -> dict[str, str]:
    return {"tone": tone, "icon": icon, "text": text}


@register.inclusion_tag("parts/icon.html")
def icon(name: str) -> dict[str, str]:
    return {"name": name}


@register.inclusion_tag("parts/icon.html")
def mark_icon(mark: str) -> dict[str, str]:
    return {"name": MARKS[mark]}


@register.inclusion_tag("parts/icon.html")
def kind_icon(kind: str) -> dict[str, str]:
    return {"name": ICONS.get(kind, "dot")}


@register.inclusion_tag("parts/met.html")
def met_mark(met: bool | None) -> dict[str, Any]:
    return {"met": met}


@register.inclusion_tag("parts/place.html")
def place(site: dict[str, Any] | None) -> dict[str, Any]:
    """A place in code: ``file:line`` with the full path as its title."""
    return {"site": site}
