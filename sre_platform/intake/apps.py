from django.apps import AppConfig


class IntakeConfig(AppConfig):
    name = "sre_platform.intake"
    label = "intake"
