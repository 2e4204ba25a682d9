"""The longest stall of the loop by a bad input, and the number of tries."""

#: In seconds.
MOST_STALLED = 0.05
#: A busy machine stalls the loop now and then, and more than once in a row; a bad input each time.
TRIES = 12
