"""Addresses of services. Unlike Django's own, they may name a host by one word, as containers name each other."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.db import models


def check_address(url: str) -> None:
    """Raise ValidationError unless ``url`` is an http or https address with a host and, if any, a possible port."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(letter.isspace() for letter in url):
        raise ValidationError(f"{url!r} is not of the form http://host:port/path.", code="invalid")


class AddressFormField(forms.URLField):
    default_validators = [check_address]


class AddressField(models.URLField):
    """A URLField that takes such addresses. For migrations it is a URLField: the column is the same."""

    default_validators = [check_address]

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{"form_class": AddressFormField, **kwargs})

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.URLField", args, kwargs
