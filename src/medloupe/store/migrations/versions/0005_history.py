"""What a history needs: a short name and the state of each answer, what was deleted but may come back, who asked."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make this step of the schema."""
    op.add_column("predictions", sa.Column("alias", sa.String(80), nullable=True))
    op.add_column("predictions", sa.Column("state", sa.String(16), nullable=False, server_default="answered"))
    op.add_column("predictions", sa.Column("deleted_at", sa.String(32), nullable=True))
    op.create_index("ix_predictions_deleted_at", "predictions", ["deleted_at"])
    op.create_index("ix_audit_actor", "audit", ["actor"])
    op.create_index("ix_audit_action", "audit", ["action"])
    # Older answers have no state: they were refused, or else nothing was decided of them. The text is JSON, in which
    # a quotation mark within a string is escaped: what is looked for can only be the entry itself.
    op.execute("UPDATE predictions SET state = 'refused' WHERE CAST(answer AS TEXT) LIKE '%\"refused\": {%'")


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_index("ix_audit_action", "audit")
    op.drop_index("ix_audit_actor", "audit")
    op.drop_index("ix_predictions_deleted_at", "predictions")
    for column in ("deleted_at", "state", "alias"):
        op.drop_column("predictions", column)
