"""Reserved concurrency: how many invocations at a time a function has for itself, and no more."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("concurrency", sa.Integer, nullable=False),
    )
