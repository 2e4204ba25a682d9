"""The language of w.c.s., for the portal and for a commune whose own GRU is one: signed queries,
times without an offset, and what one formdata says of its actions."""
