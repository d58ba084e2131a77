"""The texts that stood packed in each row of evidence become blobs, and go back when this is undone."""

import hashlib
import json
import zlib

from django.db import migrations
from django.db.models import Prefetch

A_FEW = 20  # rows at a time: each may hold dumps of many megabytes


def into_blobs(apps, schema_editor):
    row_model, blob_model, document_model = _models(apps)
    for row in row_model.objects.exclude(packed_texts=b"").order_by("pk").iterator(chunk_size=A_FEW):
        for name, text in sorted(json.loads(zlib.decompress(row.packed_texts)).items()):
            content = text.encode("utf-8", "replace")
            digest = hashlib.sha256(content).hexdigest()
            known = {"size": len(content), "packed": zlib.compress(content, 1), "created_at": row.collected_at}
            blob_model.objects.get_or_create(sha256=digest, defaults=known)
            document_model.objects.create(
                evidence=row, blob_id=digest, name=name[:100], kind="text", size=len(content)
            )


def back_into_rows(apps, schema_editor):
    row_model, blob_model, document_model = _models(apps)
    texts = Prefetch("documents", document_model.objects.filter(kind="text").select_related("blob"), "texts_kept")
    for row in row_model.objects.order_by("pk").prefetch_related(texts).iterator(chunk_size=A_FEW):
        if row.texts_kept:
            texts_by_name = {item.name: zlib.decompress(item.blob.packed).decode() for item in row.texts_kept}
            row.packed_texts = zlib.compress(json.dumps(texts_by_name).encode(), 1)
            row.save(update_fields=["packed_texts"])
    document_model.objects.all().delete()


def _models(apps):
    return [apps.get_model("diagnosis", name) for name in ("EvidenceRow", "EvidenceBlob", "EvidenceDocument")]


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0002_blobs'),
    ]

    operations = [
        migrations.RunPython(into_blobs, back_into_rows),
    ]
