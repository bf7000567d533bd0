"""The guest's initialisation: what it reports of the modules that it loaded."""

from __future__ import annotations

import sys
from types import ModuleType
from unittest.mock import patch

import pytest

from torpor.guest import initialise
from torpor.guest.settings import GuestSettings

SETTINGS = GuestSettings("app.handler", "/var/task")


def module(name: str, origin: str | None) -> ModuleType:
    one = ModuleType(name)
    one.__spec__ = None if origin is None else type("Spec", (), {"origin": origin})()  # type: ignore[assignment]
    return one


class Unread(ModuleType):
    """A module that nobody may look at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"{name} of a module that was there before was read")


def test_what_was_loaded_is_reported_in_order_without_the_bundles_own() -> None:
    """Modules of interpreter and environment are named in the order of their import; the function's own are not."""
    loaded = {
        "there": Unread("there"),
        "numpy": module("numpy", "/env/numpy/__init__.py"),
        "app": module("app", "/var/task/app.py"),
        "made_up": module("made_up", None),
        "json": module("json", "/usr/lib/json/__init__.py"),
    }
    with patch.object(sys, "modules", loaded):
        assert initialise._loaded(1, SETTINGS) == ("numpy", "json")


@pytest.mark.parametrize("before", [2, 5])
def test_a_handler_that_unloads_modules_is_reported_on_all_the_same(before: int) -> None:
    """Fewer modules than before are no reason to fail."""
    with patch.object(sys, "modules", {"there": Unread("there"), "more": Unread("more")}):
        assert initialise._loaded(before, SETTINGS) == ()
