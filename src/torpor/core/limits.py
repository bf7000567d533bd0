"""The limits of Lambda that torpor keeps, as defaults; every one can be set."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what users send and functions use. Sizes in bytes unless the name says otherwise."""

    sync_payload: int = 6 * MIB
    http_api_payload: int = 10 * MIB
    response_payload: int = 6291556
    stream_payload: int = 20 * MIB
    timeout_s: int = 900
    memory_min_mb: int = 128
    memory_max_mb: int = 10_240
    tmp_min_mb: int = 512
    tmp_max_mb: int = 10_240
    environment: int = 4096
    zip_direct: int = 50 * MIB
    layers: int = 5
    layers_unpacked: int = 250 * MIB  # of all layers of a function together
    bundle_files: int = 50_000
    bundle_unpacked: int = 10 * 1024 * MIB  # not Lambda's 250 MB: machine-learning dependencies break on that
    concurrency: int = 1000
    queue_per_function: int = 1000
    log_rate: int = 4 * MIB  # bytes of output per second an instance may write; more is held back at the writer
    log_burst: int = 8 * MIB
    instance_processes: int = 1024
    instance_files: int = 1024
