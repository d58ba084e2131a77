from django.apps import AppConfig


class GuardrailsConfig(AppConfig):
    name = "sre_platform.guardrails"
    label = "guardrails"
