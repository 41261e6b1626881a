"""What the words of reviews say, beside their stars."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("recommender", "0003_search")]

    operations = [
        migrations.AddField(
            "review",
            "sentiment",
            models.FloatField(blank=True, help_text="How surely its words praise: 0 to 1.", null=True),
        ),
        migrations.AddField(
            "review",
            "sentiment_at",
            models.DateTimeField(blank=True, help_text="When its words were judged.", null=True),
        ),
        migrations.AddField(
            "review",
            "points",
            models.JSONField(
                blank=True, default=list, help_text="Its sentences that speak of something."
            ),
        ),
        migrations.AddIndex("review", models.Index(fields=["sentiment_at"], name="review_judged")),
    ]
