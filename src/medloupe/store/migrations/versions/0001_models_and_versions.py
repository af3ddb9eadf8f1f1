"""Models and their versions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "models",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), nullable=False, unique=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model_id", sa.Integer, sa.ForeignKey("models.id"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("backbone_blob", sa.String(64), nullable=False),
        sa.Column("head_blob", sa.String(64), nullable=False),
        sa.Column("card", sa.JSON, nullable=False),
        sa.UniqueConstraint("model_id", "number"),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("versions")
    op.drop_table("models")
