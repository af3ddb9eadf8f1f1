"""Frozen tests of data sets, candidates made of corrections, and when they are made."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make this step of the schema."""
    dataset = sa.ForeignKey("datasets.id", ondelete="CASCADE")
    op.create_table(
        "frozen_tests",
        sa.Column("dataset_id", sa.String(32), dataset, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("dataset_version", sa.Integer, nullable=False),
        sa.Column("model_version", sa.Integer, nullable=False),
    )
    frozen = sa.ForeignKey("frozen_tests.dataset_id", ondelete="CASCADE")
    op.create_table(
        "frozen_test_items",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("dataset_id", sa.String(32), frozen, nullable=False),
        sa.Column("item_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("patient", sa.String(100), nullable=True),
        sa.Column("erased", sa.String(32), nullable=True),
        sa.UniqueConstraint("dataset_id", "item_id"),
    )
    op.create_index("ix_frozen_test_items_item_id", "frozen_test_items", ["item_id"])
    op.create_table(
        "candidates",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("dataset_id", sa.String(32), sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("dataset_version", sa.Integer, nullable=False),
        sa.Column("job", sa.String(32), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("production", sa.Integer, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("decided", sa.String(32), nullable=True),
        sa.Column("decided_by", sa.String(64), nullable=True),
        sa.Column("figures", sa.JSON, nullable=True),
        sa.UniqueConstraint("job"),
    )
    op.create_index("ix_candidates_dataset_created", "candidates", ["dataset_id", "created"])
    op.create_table(
        "retrain_rules",
        sa.Column("dataset_id", sa.String(32), sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("corrections", sa.Integer, nullable=True),
        sa.Column("days", sa.Float, nullable=True),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    for table in ("retrain_rules", "candidates", "frozen_test_items", "frozen_tests"):
        op.drop_table(table)
