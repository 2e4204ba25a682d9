"""Pure rules of the gateway: no clock, no I/O, no logger; time and randomness are arguments."""
