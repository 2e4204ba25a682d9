"""What an adapter imports, and nothing else: the contract, the outcomes, HTTP classification."""

from gateway.core.moments import read_moment
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.reasons import About, Reason, Who
from gateway.core.reasons import of as reason_of
from gateway.core.request import EventKind
from gateway.sdk.adapter import (
    SDK_VERSION,
    Adapter,
    Amendment,
    Capabilities,
    Change,
    Changes,
    Context,
    Document,
    File,
    Files,
    Hook,
    Note,
    Options,
    Submission,
    Tracked,
)
from gateway.sdk.http import call, classify_error, classify_status, retry_after
from gateway.sdk.oauth2 import ClientCredentials, Token, TokenKeeper, not_granted, sendable
from gateway.sdk.reading import read_bounded
from gateway.sdk.standins import LARGE, StandIns

__all__ = [
    "LARGE",
    "SDK_VERSION",
    "About",
    "Absent",
    "Accepted",
    "Adapter",
    "Amendment",
    "CannotTell",
    "Capabilities",
    "Change",
    "Changes",
    "ClientCredentials",
    "Context",
    "Document",
    "EventKind",
    "File",
    "Files",
    "Finding",
    "Found",
    "Hook",
    "Misconfigured",
    "Note",
    "Options",
    "Outcome",
    "Reason",
    "Refused",
    "StandIns",
    "Submission",
    "Token",
    "TokenKeeper",
    "Tracked",
    "TryLater",
    "Unsure",
    "Who",
    "call",
    "classify_error",
    "classify_status",
    "not_granted",
    "read_bounded",
    "read_moment",
    "reason_of",
    "retry_after",
    "sendable",
]
