"""The database's tables, as the newest migration leaves them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Times are ISO 8601 text in UTC, except in the ledger, where they are Unix seconds to be computed with.
functions = Table(
    "functions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),  # `$LATEST`, or a published version's number
    Column("config", Text, nullable=False),
    Column("bundle_digest", Text, nullable=False),
    Column("bundle_size", Integer, nullable=False),
    Column("environment", Text),
    Column("state", Text, nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("state_reason_code", Text, nullable=False),
    Column("update_status", Text, nullable=False),
    Column("update_reason", Text, nullable=False),
    Column("update_reason_code", Text, nullable=False),
    Column("revision_id", Text, nullable=False),
    Column("modified", Text, nullable=False),
    Column("serving", Text),  # what invocations run, while that is not what the row itself describes
    Column("source", Text, nullable=False, server_default=""),
)

# The last number given to a version. It outlives the function: numbers are never given twice.
version_numbers = Table(
    "version_numbers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last", Integer, nullable=False),
)


def _attached(table: str) -> Table:
    """Values as JSON; `key` is an alias's name, or the qualifier that the value is for (empty: none)."""
    return Table(
        table,
        metadata,
        Column("name", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("value", Text, nullable=False),
    )


aliases = _attached("aliases")
policies = _attached("policies")
event_invokes = _attached("event_invokes")
provisions = _attached("provisions")

function_urls = Table(
    "function_urls",
    metadata,
    Column("name", Text, primary_key=True),
    Column("qualifier", Text, primary_key=True),  # an alias, or empty
    Column("auth", Text, nullable=False),
    Column("cors", Text),
    Column("invoke_mode", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("modified", Text, nullable=False),
)

reservations = Table(
    "reservations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("concurrency", Integer, nullable=False),
)

http_apis = Table(
    "http_apis",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),
)

layers = Table(
    "layers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_version", Integer, nullable=False),
)

layer_versions = Table(
    "layer_versions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("document", Text, nullable=False),
)

roles = Table(
    "roles",
    metadata,
    Column("name", Text, primary_key=True),
    Column("path", Text, nullable=False),
    Column("role_id", Text, nullable=False),
    Column("trust_policy", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("max_session_s", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("attached", Text, nullable=False, server_default="[]"),
    Column("inline", Text, nullable=False, server_default="{}"),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("permissions", Text, nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created", Text, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("suffix", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("versions", Text, nullable=False),  # JSON: ids, stages, and each value sealed
    Column("created", Text, nullable=False),
    Column("changed", Text, nullable=False),
    Column("deletes", Text),
)

stacks = Table(
    "stacks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("sealed_document", LargeBinary, nullable=False),
)

log_groups = Table(
    "log_groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created", Text, nullable=False),
    Column("retention_days", Integer),
    Column("tags", Text, nullable=False),
    Column("explicit", Boolean, nullable=False),  # made by CreateLogGroup: it is there without a function
)

usage = Table(
    "usage",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("function", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("depth", Text, nullable=False),
    Column("init_ms", Float, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("billed_ms", Integer, nullable=False),
    Column("memory_mb", Integer, nullable=False),
    Column("max_memory_mb", Integer, nullable=False),
    Column("cpu_ms", Float, nullable=False),
    Column("result", Text, nullable=False),
    sqlite_autoincrement=True,  # ids never come back, so the oldest rows are those with the smallest
)

# Rows of `usage` that grew too old or too many live on here as sums, so that the bill is never lost.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("function", Text, primary_key=True),
    Column("hour", Integer, primary_key=True),  # Unix time of the hour's beginning
    Column("invocations", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("cold_starts", Integer, nullable=False),
    Column("init_ms", Float, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("billed_ms", Integer, nullable=False),
    Column("cpu_ms", Float, nullable=False),
    Column("megabyte_ms", Integer, nullable=False),  # billed_ms × memory_mb
    Column("max_memory_mb", Integer, nullable=False),
)
