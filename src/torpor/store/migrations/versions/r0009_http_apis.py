"""HTTP APIs, one document each: routes, integrations, stages and deployments."""

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0007"


def upgrade() -> None:
    op.create_table(
        "http_apis",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
