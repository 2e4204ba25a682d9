"""The places where others' texts are parsed, and their bounds.

A parser that is new, or stands in another module, makes a test fail until it is named here with
what bounds it. Numbers need no place here: Python reads none of over 4,300 digits.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import adapters
import gateway

ROOT = Path(__file__).resolve().parents[2]
#: Rooms that read what an operator or a developer wrote, at a command or beside the loop.
OPERATED = ("gateway/catalogue", "gateway/cli", "gateway/contracts", "gateway/demo", "gateway/sim")
#: What the database holds was bounded when it came in.
OURS = "gateway/store"
#: Names under which a parser, a decoder or what undoes a compression is called.
PARSERS = frozenset(
    {"loads", "load", "raw_decode", "json", "fromstring", "XML", "iterparse", "HTMLParser"}
    | {"ParserCreate", "Parse", "feed", "safe_load", "full_load", "unsafe_load", "literal_eval"}
    | {"decompress", "decompressobj", "GzipFile", "b64decode", "unescape", "parse_qs", "parse_qsl"}
    | {"read_document", "model_validate_json", "validate_json"}
    | {"message_from_bytes", "message_from_string", "reader", "DictReader"}
)
#: Module -> parser -> what bounds it, or where it runs.
BOUNDED: dict[str, dict[str, str]] = {
    "gateway/console/api.py": {
        "load": "a page's data, by our own use cases",
        "loads": "a call of at most 64 kB",
        "reader": "who calls; it parses nothing",
    },
    "gateway/console/gate.py": {
        "parse_qsl": "a form of at most 64 kB and 400 fields",
        "reader": "who has signed in; it parses nothing",
    },
    "gateway/console/router.py": {
        "load": "a page's data, by our own use cases",
        "reader": "who has signed in; it parses nothing",
    },
    "gateway/flow/alert_notes.py": {"reader": "who is told; it parses nothing"},
    "gateway/flow/canaries.py": {"json": "the intake's own answer"},
    "gateway/flow/console/sessions.py": {"reader": "who has signed in; it parses nothing"},
    "gateway/flow/incidents.py": {"reader": "who is told; it parses nothing"},
    "gateway/core/sealing.py": {
        "b64decode": "what we sealed ourselves, and an operator's own keys"
    },
    "gateway/core/richtext.py": {"unescape": "one entity of at most 33 characters"},
    "gateway/flow/erasure_ledger.py": {"loads": "a line of ours, of at most 400 characters"},
    "gateway/flow/keeping.py": {"b64decode": "a file that we wrote down ourselves"},
    "gateway/flow/links.py": {
        "b64decode": "what the database holds, that we sealed ourselves",
        "loads": "what the database holds, that we sealed ourselves",
    },
    "gateway/flow/reconcile.py": {
        "read_document": "a formdata, bounded; `beside` or at most 2 MiB"
    },
    "gateway/sdk/cursors.py": {"loads": "a cursor that we wrote down ourselves"},
    "gateway/sdk/inflate.py": {
        "decompress": "64 KiB come out of it at once, and all are bounded",
        "decompressobj": "undoes nothing by itself",
    },
    "gateway/sdk/oauth2.py": {"loads": "a file that we wrote down ourselves, bounded"},
    "gateway/sdk/reading.py": {
        "b64decode": "a text of an answer, bounded with it",
        "loads": "an answer, bounded in bytes",
        "ParserCreate": "an answer, bounded in bytes; entities are refused",
        "Parse": "an answer, bounded in bytes; entities are refused",
    },
    "gateway/sdk/matrix/wire.py": {"reader": "a test's own server; it parses nothing"},
    "gateway/sdk/webhook_signature.py": {"b64decode": "a secret of the operator's own"},
    "gateway/web/linking.py": {"parse_qsl": "a form of at most 16 kB and 20 fields"},
    "gateway/web/linking_api.py": {"parse_qsl": "a form of at most 20 kB and 10 fields"},
    "gateway/web/pivot_access.py": {
        "b64decode": "a header, bounded by the connection",
        "parse_qsl": "a form of at most 4096 bytes",
    },
    "gateway/web/senders.py": {"b64decode": "a header, bounded by the connection"},
    "gateway/wire/certificates.py": {
        "b64decode": "a file of the operator's own, read with the files"
    },
    "gateway/wire/files.py": {"b64decode": "of at most `max_file_bytes`, beside the loop if large"},
    "gateway/wire/formdata.py": {"read_document": "`beside`: in a thread unless small"},
    "gateway/sdk/publik/signature.py": {"b64decode": "of a query, bounded by the connection"},
    "gateway/wire/vault.py": {"b64decode": "an answer of at most 256 kB, twice a minute"},
    "gateway/wire/spool.py": {
        "b64decode": "a piece at a time, in a thread",
        "feed": "`BodyReader`'s own: finds where strings begin and end, in a thread",
        "loads": "a piece at a time, in a thread; `read_document` is named where it is called",
    },
    "gateway/sandbox/citizens.py": {"loads": "a shipped sample"},
    "gateway/sandbox/http.py": {"parse_qsl": "a form of at most 64 kB and 20 fields"},
    "gateway/sandbox/memory.py": {"loads": "the sandbox's own file"},
    "gateway/sandbox/pushing.py": {"loads": "our own messages"},
    "adapters/soap/answers.py": {
        "ParserCreate": "an answer that `read_xml` has read, to the first element of its body",
        "Parse": "an answer that `read_xml` has read, to the first element of its body",
    },
    "adapters/demo/ledger.py": {"model_validate_json": "the demonstration's own file"},
    "adapters/email/mailbox.py": {"reader": "a stream; it parses nothing"},
    "adapters/sftp/formats.py": {"reader": "a return, bounded in bytes, `beside`"},
    "adapters/sftp/options.py": {"b64decode": "a key of the server's, in the commune's file"},
    "adapters/sftp/packing.py": {"loads": "a manifest of at most 1 MB, `beside`"},
    "adapters/rest/changes.py": {
        "parse_qsl": "a webhook's body, bounded, and by its number of fields",
    },
    "adapters/rest/proof.py": {"b64decode": "a header of a webhook, bounded by the connection"},
}
#: What else goes through all of a text or of a file's bytes: no coroutine is to call it itself.
HEAVY = frozenset(
    {"read_json", "read_xml", "read_base64", "base64_bytes", "note_text", "decoded", "b64encode"}
    | {
        "dumps",
        "model_dump_json",
        "sha256",
        "new",
        "digest",
        "texts_in",
        "masked",
        "answered",
        "render",
        "clean",
    }
    | {"clean_text", "formdata_of", "without_form"}
    | {
        "news_of",
        "parse_formdata",
        "read_event",
        "difference",
        "content_of",
        "InMemory",
        "compress",
    }
)
#: Function -> parser, directly in an `async def`: why it may stand there.
ON_THE_LOOP: dict[str, str] = {
    "adapters/publik/polling.py run dumps": "a cursor of ours",
    "adapters/soap/signing.py digest_of digest": "a hash that was fed a piece at a time",
    "adapters/soap/signing.py digest_of sha256": "of nothing as yet",
    "gateway/console/api.py _asked loads": "a call of at most 64 kB",
    "gateway/console/api.py handle load": "a page's data, by our own use cases",
    "gateway/console/gate.py form parse_qsl": "a form of at most 64 kB and 400 fields",
    "gateway/console/router.py handle load": "a page's data, by our own use cases",
    "gateway/flow/canaries.py _push json": "the intake's own answer",
    "gateway/flow/decommission.py _note_wait dumps": "a few words of ours",
    "gateway/flow/tickets.py _take_answer masked": "a comment, cut before",
    "gateway/flow/tickets.py _take_answer sha256": "a comment, cut before",
    "gateway/flow/reconcile.py _documents read_document": "a formdata that was parsed before",
    "gateway/flow/attachments.py _try InMemory": "some bytes of ours",
    "gateway/flow/changes.py poll clean_text": "a cursor, which an adapter bounds",
    "gateway/flow/decommission.py _erase clean": "the database's own, in its threads",
    "gateway/flow/erase.py _flush clean": "the object store's own",
    "gateway/flow/retention.py apply_retention clean": "the database's own, in its threads",
    "gateway/flow/sealing.py seal_what_was_before clean": "the database's own, in its threads",
    "gateway/sdk/placeholders.py _base64 b64encode": "a piece at a time",
    "gateway/wire/deletions.py _read dumps": "a cursor of ours",
    "gateway/wire/identity_call.py _proven dumps": "five hundred accounts at most",
    "gateway/wire/identity_call.py prove b64encode": "our credentials",
    "gateway/wire/portal.py download InMemory": "no more than `LARGE`: the rest is taken by pieces",
    "gateway/wire/spool.py read_file InMemory": "no more than `LARGE`",
    "gateway/wire/spool.py read_file sha256": "of nothing as yet",
    "gateway/wire/sockets.py _through b64encode": "our credentials",
    "gateway/web/linking.py _form parse_qsl": "a form of at most 16 kB and 20 fields",
    "gateway/web/linking_api.py logged_out parse_qsl": "a form of at most 20 kB and 10 fields",
    "gateway/web/pivot_access.py give_token parse_qsl": "a form of at most 4096 bytes",
    "gateway/sdk/matrix/declaring.py secrets_hidden model_dump_json": "options, in a test",
    "gateway/sandbox/gate.py _claim dumps": "a claim of at most 1 MB, in the sandbox",
    "gateway/sandbox/http.py _read_object read_json": "a call of at most 64 kB",
    "gateway/sandbox/http.py _read_form parse_qsl": "a form of at most 64 kB and 20 fields",
    "gateway/sandbox/pushing.py _after loads": "our own message, in the sandbox",
    "gateway/sandbox/pushing.py _send dumps": "our own message, in the sandbox",
    "gateway/sandbox/pushing.py handle_async_request loads": "our own message, in the sandbox",
    "gateway/sandbox/sandbox.py _push dumps": "the gateway's answer to a filing: small",
    "adapters/demo/ledger.py __aexit__ model_dump_json": "the demonstration's own tickets",
    "adapters/email/mailbox.py login b64encode": "our credentials",
    "adapters/rest/items.py _file render": "an address, of numbers and words",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("gateway", "adapters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith((*OPERATED, OURS)):
                yield name, ast.parse(path.read_text("utf-8"))


def _parser(node: ast.AST, among: frozenset[str] = PARSERS) -> str | None:
    """The name of the parser that this is."""
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    return name if name in among else None


def _calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Parsers that are called, or handed on to be (`to_thread(json.loads)`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for one in (node.func, *node.args):
                if (name := _parser(one)) is not None:
                    yield name, node.lineno


def _on_the_loop(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Functions that are `async` and call a parser themselves, not in a function within."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            waiting: list[ast.AST] = list(node.body)
            while waiting:
                inner = waiting.pop()
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                    continue
                if (
                    isinstance(inner, ast.Call)
                    and (name := _parser(inner.func, PARSERS | HEAVY)) is not None
                ):
                    yield node.name, name
                waiting += ast.iter_child_nodes(inner)


def test_every_parser_of_others_texts_is_named_with_its_bound() -> None:
    found = {(file, name) for file, tree in _modules() for name, _ in _calls(tree)}
    named = {(file, name) for file, names in BOUNDED.items() for name in names}
    assert found - named == set(), "name these in BOUNDED with what bounds them"
    assert named - found == set(), "these are gone"


def test_no_coroutine_parses_but_those_that_are_named() -> None:
    found = {
        f"{file} {function} {name}"
        for file, tree in _modules()
        for function, name in _on_the_loop(tree)
        if file != "gateway/sdk/conformance.py"  # asks adapters, in a test
    }
    assert found - ON_THE_LOOP.keys() == set(), "parse beside the loop, or say why not"
    assert ON_THE_LOOP.keys() - found == set(), "these are gone"


@pytest.mark.parametrize(
    "text",
    [
        "async def take(body):\n    return json.loads(body)",
        "async def take(body):\n    if body:\n        return [orjson.loads(one) for one in body]",
        "async def take(answer):\n    return answer.json()",
        "async def take(item):\n    return read_base64(item['content'])",
        "async def send(file):\n    return hashlib.sha256(await file.read()).hexdigest()",
    ],
)
def test_the_ban_bites(text: str) -> None:
    assert list(_on_the_loop(ast.parse(text)))


def test_what_is_handed_to_a_thread_is_named_but_not_banned() -> None:
    tree = ast.parse("async def take(body):\n    return await asyncio.to_thread(json.loads, body)")
    assert list(_calls(tree))
    assert not list(_on_the_loop(tree))


# --- patterns ---------------------------------------------------------------------------------

LENGTH = 4_000
#: Seconds for a text of LENGTH. A linear search takes a tenth of it at most.
SEARCH = 0.01
#: Pattern -> why it may take longer.
SLOW: dict[str, str] = {
    "adapters.email.options._ADDRESS": "of an address of at most 200 characters, as a whole",
    "gateway.sdk.pieces._TOKEN": "matched where it stands, and never searched for",
    "gateway.wire.files._MARKUP": "matched at the beginning alone",
}
OPERATED_MODULES = tuple(room.replace("/", ".") for room in (*OPERATED, OURS))

Pattern = re.Pattern[str] | re.Pattern[bytes]


def _patterns() -> dict[str, Pattern]:
    found: dict[str, Pattern] = {}
    for package in (gateway, adapters):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if "__main__" in module.name or module.name.startswith(OPERATED_MODULES):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    found[f"{module.name}.{name}"] = value
    return found


def _texts(pattern: Pattern) -> Iterator[str]:
    """Long runs of what the pattern speaks of, which its end does not fit."""
    source = pattern.pattern
    spelled = source if isinstance(source, str) else source.decode("latin-1")
    signs = {c for c in spelled if not c.isalnum() and c.isprintable() and c not in "()|*+^$\\"}
    pieces = sorted(signs | set("a0 <") | set(re.findall(r"[A-Za-z]{2,}|\W{2,4}", spelled)[:6]))
    for piece in itertools.chain(pieces, map("".join, itertools.permutations(pieces, 2))):
        yield piece * (LENGTH // len(piece)) + "\x00"


def _seconds(pattern: Pattern, text: str) -> float:
    begun = time.thread_time()
    if isinstance(pattern.pattern, bytes):
        re.compile(pattern.pattern, pattern.flags).search(text.encode("latin-1", "replace"))
    else:
        re.compile(pattern.pattern, pattern.flags).search(text)
    return time.thread_time() - begun


def _slow(pattern: Pattern) -> str | None:
    """A text over which a search takes too long, also when it is tried again."""
    for text in _texts(pattern):
        if _seconds(pattern, text) > SEARCH and _seconds(pattern, text) > SEARCH:
            return text[:20]
    return None


def test_every_pattern_is_searched_in_linear_time() -> None:
    slow = {name: text for name, one in _patterns().items() if (text := _slow(one)) is not None}
    assert slow.keys() == SLOW.keys(), slow


@pytest.mark.parametrize("pattern", [r"\w+@\w", r"<!--.*?--\s*>", r"\s+$"])
def test_a_slow_pattern_is_seen(pattern: str) -> None:
    assert _slow(re.compile(pattern, re.DOTALL)) is not None
