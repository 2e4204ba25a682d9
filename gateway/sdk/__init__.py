"""What an adapter imports, and nothing else: the contract, the outcomes, HTTP classification."""

from gateway.core.ids import REFERENCE, identifier
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
from gateway.sdk.duration import Duration
from gateway.sdk.fetching import Fetched, fetch_file, same_host
from gateway.sdk.http import call, classify_error, classify_status, retry_after
from gateway.sdk.oauth2 import ClientCredentials, Token, TokenKeeper, not_granted, sendable
from gateway.sdk.reading import (
    Html,
    Unreadable,
    decoded,
    note_text,
    read_base64,
    read_bounded,
    read_json,
    read_xml,
)
from gateway.sdk.redaction import discreet, texts_in
from gateway.sdk.standins import LARGE, StandIns

__all__ = [
    "LARGE",
    "REFERENCE",
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
    "Duration",
    "EventKind",
    "Fetched",
    "File",
    "Files",
    "Finding",
    "Found",
    "Hook",
    "Html",
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
    "Unreadable",
    "Unsure",
    "Who",
    "call",
    "classify_error",
    "classify_status",
    "decoded",
    "discreet",
    "fetch_file",
    "identifier",
    "not_granted",
    "note_text",
    "read_base64",
    "read_bounded",
    "read_json",
    "read_moment",
    "read_xml",
    "reason_of",
    "retry_after",
    "same_host",
    "sendable",
    "texts_in",
]
