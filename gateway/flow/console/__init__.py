"""The console's people: accounts, sign-in, sessions, tokens."""
