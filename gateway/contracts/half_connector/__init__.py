"""Proves a half-connector that a commune or its vendor wrote: plays our side of the pivot contract
against it, misbehaves as networks do, and judges what it answers and tells."""
