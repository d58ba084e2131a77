from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "sre_platform.catalog"
    label = "catalog"
