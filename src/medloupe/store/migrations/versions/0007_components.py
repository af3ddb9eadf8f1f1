"""Check-ups that composed versions ask about what they find."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "components",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "version_id", sa.Integer, sa.ForeignKey("versions.id", ondelete="CASCADE"), nullable=False, unique=True
        ),
        sa.Column("backbone_blob", sa.String(64), nullable=False),
        sa.Column("head_blob", sa.String(64), nullable=False),
        sa.Column("tail_blob", sa.String(64), nullable=True),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("card", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("components")
