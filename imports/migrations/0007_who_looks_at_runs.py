from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imports', "0006_listings_doubted"),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='disabled_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='importrun',
            name='unwatched_seconds',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='worker',
            name='started_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
