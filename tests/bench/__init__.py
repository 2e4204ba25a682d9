"""`make bench`: the gateway's work in a second, beside bare loops run in the same minutes."""
