"""The index that this machine's pip is configured to use is the one that uv installs from."""

import os
import subprocess
import sys

import pytest

from torpor.build.environments import Environments
from torpor.build.options import BuildOptions
from torpor.build.pip_settings import uv_variables

pytestmark = pytest.mark.full
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # this process's own


@pytest.fixture
def configured(data, run, tmp_path):
    """Environments with the machine's own pip configuration; skips where pip itself cannot fetch with it."""
    probe = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path / "probe"), "six"]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        pytest.skip("pip cannot fetch a package here, so there is no index to try")
    return Environments(data, run, BuildOptions(variables=uv_variables(os.environ)))


@pytest.mark.timeout(600)
async def test_scientific_packages_come_from_the_configured_index(configured, code, ask, run, data):
    """scikit-learn is resolved, installed and usable; built again, nothing is fetched."""
    folder = code(requirements__txt="scikit-learn\n")
    environment = await configured.ensure(folder, runtime=RUNTIME, source_builds=False)
    source = "from sklearn.linear_model import LinearRegression as L; print(L().fit([[0], [1]], [0, 1]).coef_.round())"
    assert await ask(environment, source) == "[1.]"
    run.commands.clear()
    (data / "envs" / f"{environment.digest}.json").unlink()
    assert await configured.ensure(folder, runtime=RUNTIME, source_builds=False) == environment
    assert run.count("pip", "install") == run.count("pip", "install", "--offline") == 1


async def test_the_base_environment_has_boto3(configured, code, ask):
    """Without requirements, boto3 is there and makes a client."""
    environment = await configured.ensure(code(), runtime=RUNTIME, source_builds=False)
    assert (
        await ask(environment, "import boto3; print(boto3.client('lambda', 'us-east-1').meta.region_name)")
        == "us-east-1"
    )
