"""Requests that were done under a key, so that one sent again is answered again and done once."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("prediction_id", sa.String(32), sa.ForeignKey("predictions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("reply", sa.JSON, nullable=False),
    )
    op.create_index("ix_idempotency_keys_at", "idempotency_keys", ["at"])
    op.create_index("ix_idempotency_keys_prediction_id", "idempotency_keys", ["prediction_id"])


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("idempotency_keys")
