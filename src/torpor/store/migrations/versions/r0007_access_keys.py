"""Access keys besides the owner's: who may do what, and each secret, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0004"


def upgrade() -> None:
    op.create_table(
        "access_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("permissions", sa.Text, nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
