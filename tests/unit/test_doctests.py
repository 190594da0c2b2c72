"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import seedream_cli

WITH_EXAMPLES = 6
"""Modules, at least: else none would be found, and nobody would notice."""


def test_examples_in_docstrings_are_true() -> None:
    """Every `>>>` of the package gives what stands below it."""
    tried = []
    for module in pkgutil.walk_packages(seedream_cli.__path__, "seedream_cli."):
        if module.name.endswith("__main__"):
            continue
        results = doctest.testmod(importlib.import_module(module.name))
        assert not results.failed, module.name
        tried += [module.name] if results.attempted else []
    assert len(tried) >= WITH_EXAMPLES, tried
