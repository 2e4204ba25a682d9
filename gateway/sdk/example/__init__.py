"""An adapter as its author would write it: `gru-gateway adapter new` copies it under a new name."""
