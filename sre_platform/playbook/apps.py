from django.apps import AppConfig


class PlaybookConfig(AppConfig):
    name = "sre_platform.playbook"
    label = "playbook"
