"""Cases that people look at again, and what each reader said."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "review_cases",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("prediction_id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=True),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("answer", sa.JSON, nullable=False),
        sa.Column("said", sa.JSON, nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("basis", sa.String(16), nullable=False),
        sa.Column("basis_by", sa.String(64), nullable=False),
        sa.Column("basis_at", sa.String(32), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("outcome", sa.JSON, nullable=True),
        sa.Column("dataset", sa.String(32), nullable=True),
        sa.Column("item", sa.String(32), nullable=True),
        sa.Column("why", sa.String(32), nullable=False),
        sa.UniqueConstraint("prediction_id"),
    )
    for column in ("model", "digest", "created", "state"):
        op.create_index(f"ix_review_cases_{column}", "review_cases", [column])
    op.create_table(
        "review_opinions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.String(32), sa.ForeignKey("review_cases.id", ondelete="CASCADE"), nullable=False),
        sa.Column("reader", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("boxes", sa.JSON, nullable=True),
        sa.UniqueConstraint("case_id", "reader"),
    )
    op.create_index("ix_review_opinions_case_id", "review_opinions", ["case_id"])


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("review_opinions")
    op.drop_table("review_cases")
