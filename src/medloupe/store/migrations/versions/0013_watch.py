"""What answers are watched by, where they were asked, and pilots in which they are not shown."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make this step of the schema."""
    op.add_column("predictions", sa.Column("watched", sa.LargeBinary, nullable=True))
    op.add_column("predictions", sa.Column("site", sa.String(64), nullable=True))
    op.add_column("predictions", sa.Column("ms", sa.Integer, nullable=True))
    op.add_column("predictions", sa.Column("pilot", sa.String(32), nullable=True))
    op.create_index("ix_predictions_pilot", "predictions", ["pilot"])
    op.create_table(
        "pilots",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("started_by", sa.String(64), nullable=False),
        sa.Column("ended", sa.String(32), nullable=True),
        sa.Column("ended_by", sa.String(64), nullable=True),
        sa.Column("plan", sa.JSON, nullable=True),
    )
    op.create_index("ix_pilots_started", "pilots", ["started"])
    op.create_table(
        "pilot_references",
        sa.Column(
            "prediction_id", sa.String(32), sa.ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("pilot_references")
    op.drop_table("pilots")
    op.drop_index("ix_predictions_pilot", "predictions")
    for column in ("pilot", "ms", "site", "watched"):
        op.drop_column("predictions", column)
