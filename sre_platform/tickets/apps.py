from django.apps import AppConfig


class TicketsConfig(AppConfig):
    name = "sre_platform.tickets"
    label = "tickets"
