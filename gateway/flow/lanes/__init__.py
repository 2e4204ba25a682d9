"""Lanes: each commune's bounded ways out, and what keeps them going.

A lane wakes when a delivery is queued on it, when one of its calls ends, or when its next delivery
is due. It holds only what it has claimed, so any process may take over at any time. An idle lane
costs nothing: a look over all lanes, now and then, finds what was missed.

    lanes       starts, changes and stops the lanes of a process
    loop        claims what a lane may send, and has it tried
    attempt     tries one delivery: prepare, call, conclude, record
    state       one lane: its bounds, breaker, breaks and calls
    registry    the lanes of a process by name, and what is remembered of all lanes
    ownership   which replica works on which lane
    leases      takes away claims whose owner is gone
    clock       notices that the machine's clock was set
    supervisor  follows replicas, people and the clock, and finds what was missed
    configured  the lanes that a configuration asks for
"""
