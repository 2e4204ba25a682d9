"""The whole pass on one machine: the real daemon between a simulated portal and simulated GRUs.

`stage` starts them, `scenarios` holds the scenarios, `story` prints what happens, `run` combines
them. To add a scenario, write a function in `scenarios` with the decorator `@scenario(name, text)`.
"""
