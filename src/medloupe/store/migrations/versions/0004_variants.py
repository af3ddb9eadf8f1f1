"""Versions in another precision."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "variants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "version_id", sa.Integer, sa.ForeignKey("versions.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("precision", sa.String(8), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("backbone_blob", sa.String(64), nullable=False),
        sa.Column("head_blob", sa.String(64), nullable=False),
        sa.Column("tail_blob", sa.String(64), nullable=True),
        sa.Column("card", sa.JSON, nullable=False),
        sa.UniqueConstraint("version_id", "precision"),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("variants")
