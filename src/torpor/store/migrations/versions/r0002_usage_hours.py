"""Sums by the hour, for the ledger's rows that are no longer kept one by one."""

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.create_table(
        "usage_hours",
        sa.Column("function", sa.Text, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("invocations", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("cold_starts", sa.Integer, nullable=False),
        sa.Column("init_ms", sa.Float, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("billed_ms", sa.Integer, nullable=False),
        sa.Column("cpu_ms", sa.Float, nullable=False),
        sa.Column("megabyte_ms", sa.Integer, nullable=False),
        sa.Column("max_memory_mb", sa.Integer, nullable=False),
    )
