import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    """How many visitors an experiment needs, and what it found: answers are pruned, the finding stays."""

    dependencies = [("recommender", "0006_serving")]

    operations = [
        migrations.AlterModelOptions(name="answer", options={"verbose_name_plural": "outcomes"}),
        migrations.AddField(
            model_name="experiment",
            name="baseline",
            field=models.FloatField(
                blank=True,
                help_text="The control's rate as expected; left empty, it is measured when the experiment starts.",
                null=True,
                validators=[
                    django.core.validators.MinValueValidator(0.0001),
                    django.core.validators.MaxValueValidator(0.9999),
                ],
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="needed",
            field=models.PositiveIntegerField(
                blank=True, help_text="Visitors of each variant, computed as it started.", null=True
            ),
        ),
        migrations.AddField(
            model_name="experiment",
            name="report",
            field=models.JSONField(blank=True, default=dict, help_text="What had been found when it stopped."),
        ),
    ]
