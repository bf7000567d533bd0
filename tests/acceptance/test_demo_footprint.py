"""The demo's witness: it sees what a program leaves behind, whether or not its parent is still there."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"

pytestmark = pytest.mark.slow

ORPHAN = """
import os, subprocess, sys
from footprint import adopt_orphans, take_footprint
adopt_orphans()
before = take_footprint()
parent = subprocess.Popen(
    [sys.executable, "-c", "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=2).pid)"],
    stdout=subprocess.PIPE, text=True, start_new_session=True,
)
orphan = int(parent.communicate()[0])
def left(): return [line for line in take_footprint().beyond(before) if line.startswith("processes")]
print("\\n".join(left()))
os.kill(orphan, 9)
os.waitpid(orphan, 0)
print("then", left())
"""

PATH = """
import os, tempfile
from footprint import take_footprint
before = take_footprint()
def left(): return [line for line in take_footprint().beyond(before) if "torpor-left-" in line]
with tempfile.TemporaryDirectory(prefix="torpor-left-", dir="/dev/shm") as folder:
    print("\\n".join(left()))
print("then", left())
"""


def witnessed(program):
    """What the program prints, run beside the footprint module."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=TOOLS, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.splitlines()


def test_a_process_without_its_parent_is_seen():
    """A process whose parent has ended is adopted, reported with its command, and gone once it has ended."""
    left, then = witnessed(ORPHAN)
    assert left.startswith("processes: ")
    assert left.endswith("sleep 60")
    assert then == "then []"


def test_a_temporary_path_is_seen():
    """A folder of torpor's in a temporary place is reported until it is removed."""
    left, then = witnessed(PATH)
    assert left.startswith("paths: /dev/shm/torpor-left-")
    assert then == "then []"
