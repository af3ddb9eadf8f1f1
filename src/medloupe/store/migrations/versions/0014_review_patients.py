"""Whose picture a review case is, where the person who sent it said so."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make this step of the schema."""
    op.add_column("review_cases", sa.Column("patient", sa.String(100), nullable=True))
    op.create_index("ix_review_cases_patient", "review_cases", ["patient"])


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_index("ix_review_cases_patient", "review_cases")
    op.drop_column("review_cases", "patient")
