"""The refusal of a validator of options, in both languages."""

from __future__ import annotations

from pydantic_core import PydanticCustomError

from gateway.core.messages import Message

#: Names the errors made here, in pydantic's list of errors.
REFUSED = "refused"


def refuse(said: Message) -> PydanticCustomError:
    """Return the error to raise: `raise refuse(say("word"))`. Its texts must not hold a secret."""
    return PydanticCustomError(REFUSED, "{what}", {"what": said.told(), "said": said})
