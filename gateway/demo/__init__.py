"""The whole pass on one machine: the real daemon between a simulated portal and simulated GRUs.

`stage` sets it up, `scenarios` plays, `story` tells, `run` combines them. A new scenario is a
function in `scenarios` with the decorator `@scenario(name, text)`.
"""
