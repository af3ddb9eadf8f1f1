"""Whose picture an answer is about, as a keyed hash, where that was told."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make this step of the schema."""
    op.add_column("predictions", sa.Column("patient", sa.String(32), nullable=True))
    op.create_index("ix_predictions_patient", "predictions", ["patient"])


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_index("ix_predictions_patient", "predictions")
    op.drop_column("predictions", "patient")
