"""Tests a half-connector that a commune or its vendor wrote: plays our side of the pivot contract,
misbehaves as networks do, and judges the half-connector's answers and calls."""
