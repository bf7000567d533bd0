"""Find and import the user's handler, with Lambda's own error for everything that can be wrong with it."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any, Callable  # not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from .faults import Fault

Handler = Callable[[Any, Any], Any]
_ASYNC = 0x80 | 0x200  # inspect's CO_COROUTINE and CO_ASYNC_GENERATOR; importing it would cost every start milliseconds


def find_handler(text: str) -> Handler:
    """Import `package.module.function` (slashes are dots, as in Lambda) and return the function. Raises Fault.

    What the module itself raises while it is imported, other than the errors of importing, passes through.
    """
    module_name, dot, name = text.rpartition(".")
    if not dot or not module_name or not name:
        raise Fault(
            "Runtime.MalformedHandlerName",
            f"Bad handler '{text}': not enough values to unpack (expected 2, got 1). "
            "A handler is written MODULE.FUNCTION, for example lambda_function.lambda_handler",
        )
    return _pick(_load(module_name), module_name, name)


def _load(module_name: str) -> object:
    if module_name.partition(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict", f"Cannot use built-in module {module_name} as a handler module")
    try:
        return importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}") from error
    except SyntaxError as error:
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        raise Fault(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}", [where]
        ) from error


def _pick(module: object, module_name: str, name: str) -> Handler:
    handler = getattr(module, name, None)
    if handler is None:
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'")
    if not callable(handler):
        raise Fault("Runtime.HandlerNotFound", f"Handler '{name}' on module '{module_name}' is not callable")
    return handler  # type: ignore[no-any-return]  # what it takes and returns is the user's matter


def is_async(handler: Handler) -> bool:
    """Whether the handler is written with `async def`: a function, a method, a partial, an object that is called."""
    called: Any = handler
    while isinstance(called, functools.partial):
        called = called.func
    code = getattr(called, "__code__", None) or getattr(type(called).__call__, "__code__", None)
    return code is not None and bool(code.co_flags & _ASYNC)
