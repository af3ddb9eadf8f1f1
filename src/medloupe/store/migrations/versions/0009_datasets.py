"""Data sets: their pictures, what was changed in them, their versions, and files on their way."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def _said() -> list[sa.Column]:
    """Make the columns of what is said of one picture."""
    return [
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("file", sa.String(255), nullable=False),
        sa.Column("label", sa.String(100), nullable=True),
        sa.Column("patient", sa.String(100), nullable=True),
        sa.Column("site", sa.String(100), nullable=True),
        sa.Column("split", sa.String(8), nullable=True),
        sa.Column("boxes", sa.JSON, nullable=True),
    ]


def _of(table: str, column: str, kind: type = sa.String) -> sa.Column:
    """Make a column that names the row whose part this is."""
    key = sa.String(32) if kind is sa.String else kind
    return sa.Column(column, key, sa.ForeignKey(f"{table}.id", ondelete="CASCADE"), nullable=False)


def upgrade() -> None:
    """Make this step of the schema."""
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "dataset_items",
        sa.Column("id", sa.String(32), primary_key=True),
        _of("datasets", "dataset_id"),
        sa.Column("key", sa.String(80), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("origin", sa.JSON, nullable=False),
        sa.Column("left_out", sa.Boolean, nullable=False),
        sa.Column("added", sa.Integer, nullable=False),
        *_said(),
        sa.UniqueConstraint("dataset_id", "key"),
    )
    op.create_index("ix_dataset_items_dataset_added", "dataset_items", ["dataset_id", "added"])
    op.create_table(
        "dataset_changes",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("datasets", "dataset_id"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("by", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("undone", sa.Boolean, nullable=False),
        sa.UniqueConstraint("dataset_id", "number"),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("datasets", "dataset_id"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("ordered", sa.Boolean, nullable=False),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("job", sa.String(32), nullable=True),
        sa.UniqueConstraint("dataset_id", "number"),
    )
    op.create_index("ix_dataset_versions_job", "dataset_versions", ["job"])
    op.create_table(
        "dataset_version_items",
        sa.Column("id", sa.Integer, primary_key=True),
        _of("dataset_versions", "version_id", sa.Integer),
        sa.Column("item_id", sa.String(32), nullable=False),
        sa.Column("erased", sa.String(32), nullable=True),
        *_said(),
        sa.UniqueConstraint("version_id", "item_id"),
    )
    op.create_index("ix_dataset_version_items_item_id", "dataset_version_items", ["item_id"])
    for table in ("dataset_items", "dataset_version_items"):
        for column in ("digest", "patient"):
            op.create_index(f"ix_{table}_{column}", table, [column])
    op.create_table(
        "dataset_uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        _of("datasets", "dataset_id"),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("meta", sa.JSON, nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("error", sa.Text, nullable=False),
    )
    for column in ("dataset_id", "created"):
        op.create_index(f"ix_dataset_uploads_{column}", "dataset_uploads", [column])


def downgrade() -> None:
    """Take this step of the schema back."""
    for table in (
        "dataset_uploads",
        "dataset_version_items",
        "dataset_versions",
        "dataset_changes",
        "dataset_items",
        "datasets",
    ):
        op.drop_table(table)
