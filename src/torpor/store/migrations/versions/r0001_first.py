"""Functions, their URLs, roles, and the ledger's rows."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None


def upgrade() -> None:
    _functions()
    _urls_and_roles()
    _usage()


def _functions() -> None:
    op.create_table(
        "functions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, primary_key=True),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("bundle_digest", sa.Text, nullable=False),
        sa.Column("bundle_size", sa.Integer, nullable=False),
        sa.Column("environment", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_reason", sa.Text, nullable=False),
        sa.Column("state_reason_code", sa.Text, nullable=False),
        sa.Column("update_status", sa.Text, nullable=False),
        sa.Column("update_reason", sa.Text, nullable=False),
        sa.Column("update_reason_code", sa.Text, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("modified", sa.Text, nullable=False),
        sa.Column("serving", sa.Text),
    )


def _urls_and_roles() -> None:
    op.create_table(
        "function_urls",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("auth", sa.Text, nullable=False),
        sa.Column("cors", sa.Text),
        sa.Column("invoke_mode", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("modified", sa.Text, nullable=False),
    )
    op.create_table(
        "roles",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.Column("trust_policy", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("max_session_s", sa.Integer, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )


def _usage() -> None:
    op.create_table(
        "usage",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("function", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("depth", sa.Text, nullable=False),
        sa.Column("init_ms", sa.Float, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        sa.Column("billed_ms", sa.Integer, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("max_memory_mb", sa.Integer, nullable=False),
        sa.Column("cpu_ms", sa.Float, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
