"""Simulated far ends that speak the true wire: portal, GRUs, identity provider.

Each is a plain in-memory class with an ASGI `app`; `gateway.sim.server.run_server` serves one on a
loopback socket, `python -m gateway.sim` runs one in a process of its own.
"""
