from django.contrib import admin
from django.db import models

from sre_platform.catalog.models import Change, Service


@admin.register(Service)
class ServiceAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "process", "depends_on", "metrics_url", "pprof_url"]
    list_filter = ["owner"]
    search_fields = ["name", "owner", "process"]
    # What is run or read on the workers' machines comes from the catalog file: who may edit pages may not run commands.
    readonly_fields = ["exec", "replicas", "repository", "source_root", "log_file"]
    formfield_overrides = {models.URLField: {"assume_scheme": "http"}}  # metrics and pprof are rarely behind TLS
    fieldsets = [
        (None, {"fields": ["name", "owner", "depends_on"]}),
        ("Where it is seen", {"fields": ["metrics_url", "health_url", "pprof_url", "pprof_auth", "replicas"]}),
        ("What is known of its code", {"fields": ["repository", "source_root", "log_file", "baseline"]}),
        ("How it is handled", {"fields": ["process", "pid", "exec", "release_link", "releases_dir"]}),
        ("What its users are owed", {"fields": ["objectives"]}),
    ]


@admin.register(Change)
class ChangeAdmin(admin.ModelAdmin):
    list_display = ["at", "service", "kind", "before", "after", "by"]
    list_filter = ["kind", "service"]
    search_fields = ["service", "before", "after", "by"]
    date_hierarchy = "at"
