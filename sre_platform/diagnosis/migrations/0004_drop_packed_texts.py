from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('diagnosis', '0003_texts_into_blobs'),
    ]

    operations = [
        migrations.RemoveField(
            model_name='evidencerow',
            name='packed_texts',
        ),
    ]
