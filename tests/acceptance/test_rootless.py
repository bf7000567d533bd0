"""The same without root: an ordinary user installs, starts, deploys, invokes, and nothing is left after a kill -9."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = 54321  # an id that owns nothing

SCRIPT = """
set -eu
cd "$1"; export HOME="$1" TORPOR_DATA="$1/data" PATH="$1/venv/bin:$PATH"
torpor up --port 0 >up.out 2>up.err &
up=$!
for _ in $(seq 200); do grep -q '^ready' up.out && break; sleep 0.1; done
grep '^ready' up.out >&2 || { cat up.err >&2; exit 9; }
mkdir f
cat >f/app.py <<'END'
import os
def lambda_handler(event, context):
    tried = {}
    for path in ("/root", "/home", "/etc/shadow", os.environ.get("PROBE", "/nonexistent")):
        tried[path] = os.path.exists(path)
    try:
        os.kill(1, 9)
    except OSError:
        pass
    status = dict(l.split(":", 1) for l in open("/proc/self/status") if ":" in l)
    return {"pid": os.getpid(), "ppid": os.getppid(), "uid": os.getuid(), "tried": tried,
            "caps": status["CapEff"].strip(), "seccomp": status["Seccomp"].strip(),
            "pids": [p for p in os.listdir("/proc") if p.isdigit()]}
END
torpor deploy f --name mine >deploy.out
torpor invoke mine -d '{}'
echo
kill -9 $up
wait $up 2>/dev/null || true
"""


def _as_user(*command: str, **kwargs) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=USER,
        group=USER,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **kwargs,
    )


def _processes() -> list[str]:
    """What still runs as that user."""
    return [p.name for p in Path("/proc").glob("[0-9]*") if p.exists() and p.stat().st_uid == USER]


@pytest.fixture
def home(tmp_path_factory):
    """A folder of that user's own with torpor installed in it, on an interpreter that the user can reach."""
    if os.getuid() != 0:
        pytest.skip("these tests already run without root: every other one shows it")
    candidates = (
        "/usr/bin/python3",
        "/usr/bin/python3.11",
        "/usr/bin/python3.12",
        "/usr/bin/python3.13",
        sys.executable,
    )
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    python = next((p for p in candidates if Path(p).exists() and _as_user(p, "-c", probe).returncode == 0), None)
    if python is None:
        pytest.skip("no Python 3.11 or later that an ordinary user can reach")
    home = Path("/var/tmp") / f"torpor-rootless-{os.getpid()}"  # the tests' own folder is closed to others
    home.mkdir()
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    python_in = str(home / "venv/bin/python")
    for arguments in (
        ["venv", "-q", "--python", python, str(home / "venv")],
        [
            "pip",
            "install",
            "-q",
            "--link-mode=copy",
            "--python",
            python_in,
            "--require-hashes",
            "-r",
            str(ROOT / "requirements/runtime.txt"),
        ],
        ["pip", "install", "-q", "--python", python_in, "--no-deps", str(ROOT)],
    ):
        subprocess.run([uv, *arguments], check=True, timeout=300)
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, USER, USER, follow_symlinks=False)
    os.chown(home, USER, USER)
    yield home
    shutil.rmtree(home)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_an_ordinary_user_has_the_same_sandbox(home, eventually):
    """Without root: the worker is PID 2, sees two processes and no host file, has no capability, and leaves nothing."""
    done = _as_user("/bin/sh", "-c", SCRIPT, "sh", str(home), env={"PATH": "/usr/bin:/bin"}, cwd="/")
    assert done.returncode == 0, done.stderr
    eventually(lambda: not _processes(), bound_s=5)
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    assert seen["ppid"] in (0, 1)  # forked by a zygote, which lies outside; or by init
    assert (seen["pid"], seen["seccomp"], int(seen["caps"], 16)) == (2, "2", 0)
    assert sorted(seen["pids"]) == ["1", "2"]
    assert not any(seen["tried"].values())
