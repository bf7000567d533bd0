"""Stacks: what was deployed from templates, one sealed document each."""

import sqlalchemy as sa
from alembic import op

revision = "r0014"
down_revision = "r0013"


def upgrade() -> None:
    op.create_table(
        "stacks",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("sealed_document", sa.LargeBinary, nullable=False),
    )
