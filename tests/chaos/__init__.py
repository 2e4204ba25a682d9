"""A seeded simulation of the whole gateway under virtual time: `python -m tests.chaos --seeds N`.

The code is the real one: the units of `gateway.store` on a SQLite file or a PostgreSQL (one
transaction each), the flow, the mappings and the adapters. The portal and the GRUs are the
project's simulators, called through in-memory transports. Clock, chance, identifiers, the order of
tasks and every fault come from the seed, so a seed replays step for step.

What a seed may do: kill a process between any two steps (SIGKILL), ask it to stop (SIGTERM), pause
it for longer than its lease, run several replicas whose clocks differ, set all their clocks wrong
by hours and right again; fail database calls before or after the commit, or make them slow; refuse
connections, cut them before or after the far end has done its work, answer 429 and 503 with
Retry-After, 500 before and after the commit, be slow, or commit after our timeout; leave a far end
dead for hours; answer a redirect, 408, 409, 429 or 5xx to what was done, or before it is (a proxy
gives up); date tickets up to a year ahead; leave rows out of a list, another one each time, tell
them twice, in another order, with one that is no ticket among them; tell our own words as the
commune's; lose, repeat and overlap pushes; repeat, delay, reorder and lose webhooks; keep the
portal busy (403); erase a person. People answer the questions by looking at the far end. Then the
storm ends, time goes on, and `checker` looks.

Bounds of the fault model. What lies outside them no client can survive without the far end's help,
and is not drawn:

- a far end commits within its timeout (20 s here) of getting a call, or within 1.9 timeouts when
  the client has timed out meanwhile and has not died;
- a commune's GRU was polled once, well, before the storm: a poll that has never been through
  begins at its oldest open request, and an older one that was closed by then is not asked about;
- a GRU that cannot be asked does not say 429 or 503 after it has done what was asked;
- a GRU that is read by a window of time tells each row in one of the polls whose windows hold it
  (the overlap is 30 min here, polls come every 4 min);
- the search by which a lost creation is found leaves nothing out;
- clocks of replicas differ by less than 1 s: they are set together.

Left out for speed, and tested elsewhere: threads, group commit and fsync of the real store
(`tests/store`), the HTTP side (`tests/web`), power loss, PostgreSQL transactions that run at the
same moment (`tests/replicas`). Replicas get no NOTIFY, so each finds the others' work by its own
looks alone; their heart beats slower (`SLOWER`). With SQLite replicas share its
file, which is faster, but which no installation does.
"""
