"""Lanes: each commune's bounded ways out, and what keeps them going."""
