"""Simulated far ends that speak the real protocols: portal, GRUs, identity provider.

Each one is a plain in-memory class with an ASGI `app`. `gateway.sim.server.run_server` serves one
on a loopback socket; `python -m gateway.sim` runs one in its own process.
"""
