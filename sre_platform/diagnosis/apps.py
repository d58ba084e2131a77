from django.apps import AppConfig


class DiagnosisConfig(AppConfig):
    name = "sre_platform.diagnosis"
    label = "diagnosis"
