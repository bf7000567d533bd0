"""The policies of roles: ARNs of the managed ones attached, and the inline ones by name."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    op.add_column("roles", sa.Column("attached", sa.Text, nullable=False, server_default="[]"))
    op.add_column("roles", sa.Column("inline", sa.Text, nullable=False, server_default="{}"))
