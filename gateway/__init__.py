"""Gateway between the Toodego citizen-request platform and its members' request systems."""

__version__ = "0.1.0"
