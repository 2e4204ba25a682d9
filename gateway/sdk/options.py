"""The base of an adapter's options, and what may be wrong with them where the gateway runs."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from gateway.core.messages import Message


class Options(BaseModel):
    """The base of an adapter's options, as a commune's file holds them. Unknown keys are refused.

    Declare a secret as `Secret`, or as `Secrets` where a sender may prove itself by either of two.
    The catalogue reads `env:NAME` and `file:PATH`, and refuses a secret in the file itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    def misplaced(self, public_url: str) -> Misplaced | None:
        """Return what does not fit a gateway that is reached at `public_url`."""
        return None


@dataclass(frozen=True, slots=True)
class Misplaced:
    """An option that does not fit where the gateway runs: its place, and why."""

    path: tuple[str | int, ...]
    said: Message


__all__ = ["Misplaced", "Options"]
