from django.apps import AppConfig


class VerificationConfig(AppConfig):
    name = "sre_platform.verification"
    label = "verification"
