"""Published versions, aliases, resource policies, asynchronous invocation's settings, and URLs of aliases."""

import sqlalchemy as sa
from alembic import op

revision = "r0010"
down_revision = "r0009"


def upgrade() -> None:
    op.add_column("functions", sa.Column("source", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "version_numbers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    for table in ("aliases", "policies", "event_invokes"):
        op.create_table(
            table,
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("value", sa.Text, nullable=False),
        )
    _qualify_urls()


def _qualify_urls() -> None:
    """SQLite cannot change a table's key: a new table takes the old one's place."""
    op.rename_table("function_urls", "function_urls_before")
    op.create_table(
        "function_urls",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("qualifier", sa.Text, primary_key=True),
        sa.Column("auth", sa.Text, nullable=False),
        sa.Column("cors", sa.Text),
        sa.Column("invoke_mode", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("modified", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO function_urls (name, qualifier, auth, cors, invoke_mode, created, modified) "
        "SELECT name, '', auth, cors, invoke_mode, created, modified FROM function_urls_before"
    )
    op.drop_table("function_urls_before")
