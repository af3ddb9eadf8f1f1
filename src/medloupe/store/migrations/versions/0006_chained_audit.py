"""An audit log whose lines are chained and sealed, and a mark by which a store knows its database."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make this step of the schema. The chain itself begins when the store's key is at hand."""
    op.add_column("audit", sa.Column("number", sa.Integer, nullable=True))
    op.add_column("audit", sa.Column("hash", sa.String(64), nullable=True))
    op.create_index("ix_audit_number", "audit", ["number"], unique=True)
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
    )
    op.create_table(
        "audit_seals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("mac", sa.String(64), nullable=False),
        sa.Column("removed_at", sa.String(32), nullable=True),
        sa.Column("removed_mac", sa.String(64), nullable=True),
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("store", sa.String(32), nullable=False),
        sa.Column("key_digest", sa.String(64), nullable=False),
        sa.Column("made", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    for table in ("identity", "audit_seals", "audit_head"):
        op.drop_table(table)
    op.drop_index("ix_audit_number", "audit")
    op.drop_column("audit", "hash")
    op.drop_column("audit", "number")
