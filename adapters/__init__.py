"""Adapters shipped with the gateway, each found by entry point like a third party's."""
