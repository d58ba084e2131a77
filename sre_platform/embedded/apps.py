from django.apps import AppConfig


class EmbeddedConfig(AppConfig):
    name = "sre_platform.embedded"
    label = "embedded"
