"""Several findings of a picture: which of them are there, and which are not."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Make this step of the schema."""
    for table in ("dataset_items", "dataset_version_items"):
        op.add_column(table, sa.Column("labels", sa.JSON, nullable=True))


def downgrade() -> None:
    """Take this step of the schema back."""
    for table in ("dataset_items", "dataset_version_items"):
        op.drop_column(table, "labels")
