"""Failed log-ins, counted by all servers of a store together."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make this step of the schema."""
    bind = op.get_bind()
    if sa.inspect(bind).has_table("login_failures"):  # servers made it themselves, as it is here
        return
    op.create_table(
        "login_failures",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        # Kept for an hour and lost without harm: it need not go through PostgreSQL's log.
        prefixes=["UNLOGGED"] if bind.dialect.name == "postgresql" else [],
    )


def downgrade() -> None:
    """Take this step of the schema back."""
    op.drop_table("login_failures")
