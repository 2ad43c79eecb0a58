from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('imports', '0008_one_unit_one_account'),
    ]

    operations = [
        migrations.AddField(
            model_name='importrun',
            name='first_seen_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
