"""The tail of a fine-tuned version."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make this step of the schema."""
    op.add_column("versions", sa.Column("tail_blob", sa.String(64), nullable=True))
