from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imports', '0005_lists_by_index'),
    ]

    operations = [
        migrations.AddField(
            model_name='account',
            name='listing_doubted_since',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='account',
            name='sync_again_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='account',
            name='unlisted_count',
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='importdefinition',
            name='not_listed_since',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name='importdefinition',
            index=models.Index(
                condition=models.Q(('not_listed_since__isnull', False)),
                fields=['account', 'not_listed_since'],
                name='definition_unlisted',
            ),
        ),
    ]
