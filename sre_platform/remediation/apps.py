from django.apps import AppConfig


class RemediationConfig(AppConfig):
    name = "sre_platform.remediation"
    label = "remediation"
