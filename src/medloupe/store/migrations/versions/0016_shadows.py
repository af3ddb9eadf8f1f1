"""Comparisons of two versions on live requests, of which one is shown and the other answers unseen."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "shadows",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("before", sa.Integer, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("started_by", sa.String(64), nullable=False),
        sa.Column("ended", sa.String(32), nullable=True),
        sa.Column("ended_by", sa.String(64), nullable=True),
        sa.Column("compared", sa.Integer, nullable=False, server_default="0"),
        sa.Column("dropped", sa.Integer, nullable=False, server_default="0"),
        sa.Column("failed", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_index("ix_shadows_model", "shadows", ["model"])
    op.create_index("ix_shadows_started", "shadows", ["started"])
    op.create_table(
        "shadow_answers",
        sa.Column(
            "prediction_id", sa.String(32), sa.ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("shadow_id", sa.String(32), sa.ForeignKey("shadows.id", ondelete="CASCADE"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("ms", sa.Integer, nullable=True),
    )
    op.create_index("ix_shadow_answers_shadow_id", "shadow_answers", ["shadow_id"])


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("shadow_answers")
    op.drop_table("shadows")
