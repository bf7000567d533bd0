"""The program a sandbox starts: hands over to the guest that is mounted beside it.

It is guarded, since `multiprocessing` imports the main program again in every process that it spawns.
"""

from __future__ import annotations

import importlib

if __name__ == "__main__":
    importlib.import_module("_torpor_guest.guest.worker").main()
