"""The names that an adapter may import: the contract, the outcomes, the calls over HTTP."""

from gateway.core.expression import (
    BadExpression,
    Expression,
    ExpressionError,
    compile_expression,
)
from gateway.core.ids import REFERENCE, identifier
from gateway.core.messages import Message, Messages, Text
from gateway.core.moments import read_moment
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    ErasureAnswer,
    ErasureResult,
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
    Adapter,
    Amendment,
    Capabilities,
    Change,
    Changes,
    Context,
    Document,
    File,
    Files,
    Note,
    Submission,
    Tracked,
    WebhookCall,
)
from gateway.sdk.base_address import BaseAddress
from gateway.sdk.calling import call_far_end, cannot_tell
from gateway.sdk.config_files import ConfigFile
from gateway.sdk.connecting import Connector, Unreached, rehearse, unreached
from gateway.sdk.cursors import read_cursor
from gateway.sdk.duration import Duration
from gateway.sdk.exchange import PACE, Answer, Clock, UnusableAnswer, failure_of, send, unusable
from gateway.sdk.fetching import fetch_file, same_host
from gateway.sdk.filing import Filing, ServiceInCharge
from gateway.sdk.http import answered, classify_error, classify_status, retry_after
from gateway.sdk.links import FileLink, FileLinks
from gateway.sdk.oauth2 import (
    ClientAuthMethod,
    ClientCredentials,
    JwtBearer,
    RefreshToken,
    Token,
    TokenKeeper,
    not_granted,
    sendable,
)
from gateway.sdk.options import Misplaced, Options
from gateway.sdk.patience import Patience
from gateway.sdk.placeholders import LARGE, FilePlaceholders
from gateway.sdk.reading import (
    Html,
    TooManyValues,
    Unreadable,
    decoded,
    note_text,
    read_base64,
    read_json,
    read_xml,
)
from gateway.sdk.redaction import answer_text, masked, secrets_in, texts_in
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret, Secrets
from gateway.sdk.version import SDK_VERSION, sdk_fits
from gateway.sdk.work import TookTooLong, beside, by_turns, weight

__all__ = [
    "LARGE",
    "PACE",
    "REFERENCE",
    "SDK_VERSION",
    "About",
    "Absent",
    "Accepted",
    "Adapter",
    "Amendment",
    "Answer",
    "BadExpression",
    "BaseAddress",
    "CannotTell",
    "Capabilities",
    "Change",
    "Changes",
    "ClientAuthMethod",
    "ClientCredentials",
    "Clock",
    "ConfigFile",
    "Connector",
    "Context",
    "Document",
    "Duration",
    "ErasureAnswer",
    "ErasureResult",
    "EventKind",
    "Expression",
    "ExpressionError",
    "File",
    "FileLink",
    "FileLinks",
    "FilePlaceholders",
    "Files",
    "Filing",
    "Finding",
    "Found",
    "Html",
    "JwtBearer",
    "Message",
    "Messages",
    "Misconfigured",
    "Misplaced",
    "Note",
    "Options",
    "Outcome",
    "Patience",
    "Reason",
    "RefreshToken",
    "Refused",
    "Secret",
    "Secrets",
    "ServiceInCharge",
    "Submission",
    "Text",
    "Token",
    "TokenKeeper",
    "TooManyValues",
    "TookTooLong",
    "Tracked",
    "TryLater",
    "Unreached",
    "Unreadable",
    "Unsure",
    "UnusableAnswer",
    "WebhookCall",
    "Who",
    "answer_text",
    "answered",
    "beside",
    "by_turns",
    "call_far_end",
    "cannot_tell",
    "classify_error",
    "classify_status",
    "compile_expression",
    "decoded",
    "failure_of",
    "fetch_file",
    "identifier",
    "masked",
    "not_granted",
    "note_text",
    "read_base64",
    "read_cursor",
    "read_json",
    "read_moment",
    "read_xml",
    "reason_of",
    "refuse",
    "rehearse",
    "retry_after",
    "same_host",
    "sdk_fits",
    "secrets_in",
    "send",
    "sendable",
    "texts_in",
    "unreached",
    "unusable",
    "weight",
]
