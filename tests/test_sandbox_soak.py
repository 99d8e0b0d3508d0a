"""The soak in miniature; benchmarks/sandbox_soak.py is the long one."""

import sys

import pytest

from benchmarks import sandbox_soak


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes the Linux way")
@pytest.mark.parametrize("tier", ["auto", "unconfined"])
def test_nothing_is_left_of_many_sessions(tier: str) -> None:
    seen, _, _ = sandbox_soak.soak(120, 8, tier=tier, seed=1, at_once=3)
    assert sum(seen.values()) == 120 and len(seen) > 8
