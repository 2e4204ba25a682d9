"""How long a bad input may stall the loop, and how often it is tried."""

#: In seconds.
MOST_STALLED = 0.05
#: A busy machine stalls the loop now and then, and more than once in a row; a bad input each time.
TRIES = 12
