"""Generates the clients of the pivot contract from its OpenAPI document.

`python -m clients.generate .` writes `clients/python/toodego_pivot` and `clients/php/src`. What the
document cannot say is written by hand beside it: transport, memory of the token, signatures.
"""
