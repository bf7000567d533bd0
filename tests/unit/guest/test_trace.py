"""The trace of an invocation, in the environment of the handler."""

import ctypes
import os

from torpor.guest.worker import _set_trace


def test_the_trace_is_in_the_variables_that_python_reads_and_no_others(monkeypatch):
    """`os.environ` has it; the process's own variables, where each value would stay for ever, are not touched."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "first")
    _set_trace("Root=1-2-3")
    assert os.environ["_X_AMZN_TRACE_ID"] == os.getenv("_X_AMZN_TRACE_ID") == "Root=1-2-3"
    assert dict(os.environ)["_X_AMZN_TRACE_ID"] == "Root=1-2-3"
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_char_p
    assert getenv(b"_X_AMZN_TRACE_ID") == b"first"
