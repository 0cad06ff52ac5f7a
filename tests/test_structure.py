"""Imports point one way, and only the modules that own files touch them."""

import minerkit


def test_public_names_resolve():
    for name in minerkit.__all__:
        assert getattr(minerkit, name).__doc__
