"""`make bench`: what the gateway does in a second, beside bare loops run in the same minutes."""
