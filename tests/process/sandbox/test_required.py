"""Where the tests decide about a merge, nothing of the sandbox may be left untried."""

import os

import pytest

from torpor.runtime.launch import SandboxOptions, open_sandboxes


@pytest.mark.skipif(
    not os.environ.get("CI"), reason="a laptop without namespaces may skip the sandbox's tests; CI may not"
)
async def test_ci_has_sandboxes(tmp_path):
    """Sandboxes open in CI: else every test that skips without them would leave CI green with nothing tried."""
    sandboxes = await open_sandboxes(SandboxOptions(data_dir=tmp_path / "data", run_dir=tmp_path / "run", blanks=0))
    await sandboxes.close()
