"""The sandbox of the pivot contract: the real gateway over an invented commune, for vendors."""
