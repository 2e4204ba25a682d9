"""Bugs that authors of adapters make, seeded into a right adapter: the matrix catches each of them,
by the check that is meant for it.

A seed replaces a piece of the example's text, so that it is the bug as somebody would write it.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from gateway.sdk.example import adapter as right
from gateway.sdk.example.conformance import ExampleUnderTest
from gateway.sdk.matrix import CHECKS, CheckState, run_check

SOURCE = Path(right.__file__).read_text("utf-8")
SENT = "        return await kit.call_far_end(client, whole, safe=safe, into=into, sent=sent)\n"
SUBMIT = '        body = {**submission.payload, "external_id": submission.reference}\n'
MADE = "        return made if isinstance(made, kit.Outcome) else kit.Accepted(made.id)\n"
FOUND = "            return kit.cannot_tell(found)\n        ours"
PROOF = 'if not hmac.compare_digest(right, hook.headers.get("x-signature", "").encode()):'
OWN = SOURCE[SOURCE.index("message=kit.note_text") : SOURCE.index("sender_key=entry.key,") + 21]
ENTRY_AT = "                at=entry.at,\n"

#: The bug -> what stands in the right adapter, what stands in its place, the check that catches it.
SEEDS: dict[str, tuple[str, str, str]] = {
    "a creation is taken for safe": (
        'safe = method != "POST"',
        "safe = True",
        "submit.lost_reply",
    ),
    "a lost reply is sent again": (
        SENT,
        SENT.replace("return", "first =")
        + "        return await kit.call_far_end(client, whole, safe=safe, into=into)"
        " if isinstance(first, kit.Unsure) else first\n",
        "submit.sent_once",
    ),
    "what is unsure is told as a refusal": (
        MADE,
        '        if isinstance(made, kit.Unsure):\n            return kit.Refused("refused")\n'
        + MADE,
        "submit.proves_nothing",
    ),
    "a success that cannot be read is a refusal": (
        MADE,
        '        if isinstance(made, kit.Unsure) and made.reason == "unreadable_answer":\n'
        '            return kit.Refused("refused")\n' + MADE,
        "submit.unreadable_success",
    ),
    "any 2xx is a success": (
        "    id: str = Field(min_length=1)\n",
        '    id: str = "0"\n',
        "submit.error_within_200",
    ),
    "a date in Retry-After is not read": (
        SENT,
        "        answer = await kit.send(client, whole, safe=safe)\n"
        '        told = answer.headers.get("retry-after", "")\n'
        '        return kit.Unsure("busy", after=float(told) if told.isdigit() else None)\n',
        "submit.retry_after_date",
    ),
    "a token that was refused is kept for ever": (
        SENT,
        '        if getattr(self, "refused", False):\n'
        '            return kit.Misconfigured("access_denied")\n'
        + SENT.replace("return", "came =")
        + "        self.refused = isinstance(came, kit.Misconfigured)\n        return came\n",
        "submit.token_expired",
    ),
    "a cancellation is swallowed": (
        SENT,
        "        try:\n    " + SENT + "        except BaseException:\n"
        '            return kit.Unsure("no_answer")\n',
        "submit.cancelled",
    ),
    "redirects are followed": (
        SENT,
        "        answer = await client.send(whole, follow_redirects=True)\n"
        "        return into.model_validate(answer.json())\n",
        "submit.stays_here",
    ),
    "the GRU's words are the detail": (
        MADE,
        "        if isinstance(made, kit.Unsure | kit.Refused | kit.TryLater):\n"
        "            return type(made)(made.reason, made.answer or '')\n" + MADE,
        "private.answer",
    ),
    "state is kept between requests": (
        SUBMIT,
        SUBMIT + "        self.body = body\n",
        "private.kept",
    ),
    "two requests share one state": (
        SUBMIT,
        "        self.now = submission\n"
        '        await __import__("asyncio").sleep(0)\n' + SUBMIT.replace("submission", "self.now"),
        "submit.apart",
    ),
    "the payload is logged": (
        SUBMIT,
        SUBMIT + '        __import__("structlog").get_logger().info("sent", body=body)\n',
        "private.logs",
    ),
    "the payload is printed": (
        SUBMIT,
        SUBMIT + "        print(body)\n",
        "private.logs",
    ),
    "a name stands in an address": (
        'self._call("POST", "tickets", ExampleTicket, body',
        'self._call("POST", f"tickets?who={body[\'name\']}", ExampleTicket, body',
        "private.addresses",
    ),
    "a secret is a plain text": (
        "    key: kit.Secret",
        "    key: str",
        "declared.secrets_hidden",
    ),
    "a mistyped option is taken": (
        "class ExampleOptions(kit.Options):\n",
        'class ExampleOptions(kit.Options, extra="allow"):\n',
        "declared.unknown_options",
    ),
    "check creates a ticket": (
        '"GET", "tickets", list[ExampleTicket], params={"external_id": "TDG-0"}',
        '"POST", "tickets", Any, {"subject": "essai"}',
        "check.alters_nothing",
    ),
    "any hit is ours": (
        "if ticket.external_id == reference]",
        "]",
        "find.no_other",
    ),
    "an error is an absence": (
        FOUND,
        "            return kit.Absent()\n        ours",
        "find.error",
    ),
    "an absence is remembered": (
        "        return kit.Found(ours[0].id) if ours else kit.Absent()",
        "        fresh = kit.Found(ours[0].id) if ours else kit.Absent()\n"
        "        self.seen = getattr(self, 'seen', fresh)\n"
        "        return self.seen",
        "find.lags",
    ),
    "the key of an event does not travel": (
        '"key": amendment.key, ',
        "",
        "amend.key_travels",
    ),
    "an erasure is believed": (
        "        return gone if isinstance(gone, kit.Outcome) else kit.Accepted(gru_reference)",
        "        return kit.Accepted(gru_reference)",
        "erase.not_proven",
    ),
    "a failed poll is an empty one": (
        "return kit.Changes(cursor=cursor, failure=found)",
        "return kit.Changes(cursor=cursor)",
        "poll.status",
    ),
    "the cursor moves past a failure": (
        "return kit.Changes(cursor=cursor, failure=found)",
        'return kit.Changes(cursor="2027", failure=found)',
        "poll.cursor_stays",
    ),
    "what bears the cursor's time is skipped": (
        "return kit.Changes([*changes(found)],",
        "return kit.Changes([one for one in changes(found)"
        " if not cursor or one.at.isoformat() > cursor],",
        "poll.list_shifts",
    ),
    "a status that is not known breaks the poll": (
        "status=one.status,",
        'status={"en_cours": "en_cours", "ouvert": "ouvert"}[one.status],',
        "poll.unknown_status",
    ),
    "an internal note is public": (
        "public=entry.public,",
        "public=True,",
        "poll.internal_note",
    ),
    "our own words come back as the GRU's": (
        OWN,
        OWN.replace("entry.key", "None").replace(
            "kit.note_text(entry.text)", "'Vous : ' + entry.text"
        ),
        "poll.own_words",
    ),
    "a text loses what is not Latin": (
        "message=kit.note_text(entry.text),",
        'message=entry.text.encode("latin-1", "replace").decode("latin-1"),',
        "poll.hostile_text",
    ),
    "a time has no offset": (
        ENTRY_AT,
        ENTRY_AT.replace("entry.at", "entry.at.replace(tzinfo=None)"),
        "poll.times",
    ),
    "the hour that comes twice is read once": (
        ENTRY_AT,
        ENTRY_AT.replace(
            "entry.at",
            'entry.at.astimezone(__import__("zoneinfo").ZoneInfo("Europe/Paris")).replace(fold=0)'
            ".astimezone(__import__('datetime').UTC)",
        ),
        "poll.times",
    ),
    "a proof is compared as a text": (
        PROOF,
        'if right != hook.headers.get("x-signature", "").encode():',
        "webhook.constant_time",
    ),
    "a proof is not looked at": (PROOF, "if False:", "webhook.forged"),
    "half a proof is enough": (
        PROOF,
        'if not right.startswith(hook.headers.get("x-signature", "").encode()):',
        "webhook.forged",
    ),
    "a body is read before its proof": (
        "        secret = self.options.webhook_secret",
        "        ExampleTicket.model_validate_json(hook.body)\n"
        "        secret = self.options.webhook_secret",
        "webhook.hostile",
    ),
    "a file is held whole": (
        '"content": places.of(one, base64=True)}',
        '"content": __import__("base64").b64encode(await one.read()).decode()}',
        "file.large",
    ),
    "a body is Latin": (
        "url, json=body,",
        'url, content=__import__("json").dumps(body, ensure_ascii=False)'
        '.encode("latin-1", "replace"),',
        "text.travels",
    ),
    "a creation is sent again after a 408": (
        SENT,
        SENT.replace("return", "first =")
        + "        if isinstance(first, kit.Unsure) and '408' in first.detail:\n    "
        + SENT.replace(", sent=sent", "")
        + "        return first\n",
        "submit.sent_once",
    ),
    "a redirect is followed with the token": (
        SENT,
        "        answer = await client.send(whole)\n"
        "        if answer.is_redirect:\n"
        "            there = answer.headers['location']\n"
        "            again = client.build_request(method, there, json=body, headers=headers)\n"
        "            answer = await client.send(again)\n"
        "        return into.model_validate(answer.json())\n",
        "submit.stays_here",
    ),
    "a webhook without a proof is kept": (
        PROOF,
        'proof = hook.headers.get("x-signature", "").encode()\n'
        "        if proof and not hmac.compare_digest(right, proof):",
        "webhook.forged",
    ),
    "a status that is not known is taken for accepted": (
        "status=one.status,",
        'status=one.status if one.status in ("en_cours", "ouvert") else "ouvert",',
        "poll.unknown_status",
    ),
    "an event that may be there is sent again": (
        "        return made if isinstance(made, kit.Outcome) else"
        " kit.Accepted(amendment.gru_reference)\n",
        "        if isinstance(made, kit.Unsure):\n"
        '            made = await self._call("POST", path, Any, body, amendment.files)\n'
        "        return made if isinstance(made, kit.Outcome) else"
        " kit.Accepted(amendment.gru_reference)\n",
        "amend.sent_once",
    ),
    "an event that may be there is refused": (
        "        return made if isinstance(made, kit.Outcome) else"
        " kit.Accepted(amendment.gru_reference)\n",
        "        if isinstance(made, kit.Unsure):\n"
        '            return kit.Refused("refused")\n'
        "        return made if isinstance(made, kit.Outcome) else"
        " kit.Accepted(amendment.gru_reference)\n",
        "amend.proves_nothing",
    ),
    "a note has another key at each reading": (
        "key=entry.id,",
        "key=f'{entry.id}-{id(entry)}',",
        "poll.repeats",
    ),
    "a poll that is cancelled tells nothing": (
        '        found = await self._call("GET", "tickets", list[ExampleTicket], params=since)\n',
        "        try:\n            found = await self._call(\n"
        '                "GET", "tickets", list[ExampleTicket], params=since\n            )\n'
        "        except BaseException:\n            return kit.Changes(cursor=cursor)\n",
        "poll.cancelled",
    ),
    "check says that all is well": (
        'return [kit.Note.fault(say("tickets"), found, aloud=not self.context.production)]',
        'return [kit.Note("ok", say("tickets"))]',
        "check.tells_status",
    ),
    "an error while asking for an event is an absence": (
        "            return kit.cannot_tell(found)\n        held",
        "            return kit.Absent()\n        held",
        "find.error",
    ),
    "the client is used by itself": (
        SENT,
        "        answer = await client.send(whole)\n"
        "        return into.model_validate(answer.json())\n",
        "wire.truncated",
    ),
}


def seeded(old: str, new: str) -> ExampleUnderTest:
    assert SOURCE.count(old) >= 1, old
    module = types.ModuleType("seeded")
    sys.modules["seeded"] = module  # where pydantic looks names up
    exec(compile(SOURCE.replace(old, new), "seeded.py", "exec"), module.__dict__)
    made = type("Seeded", (ExampleUnderTest,), {"adapter_class": module.ExampleAdapter})
    suite = made()
    assert isinstance(suite, ExampleUnderTest)
    return suite


@pytest.mark.parametrize("bug", SEEDS)
async def test_a_seeded_bug_is_caught_by_the_check_that_is_meant_for_it(bug: str) -> None:
    old, new, name = SEEDS[bug]
    result = await run_check(CHECKS[name], seeded(old, new))
    assert result.state is CheckState.FAILED, bug
    assert result.detail


@pytest.mark.parametrize("name", [name for name in CHECKS if not name.startswith("answer.")])
async def test_the_right_adapter_passes(name: str) -> None:
    result = await run_check(CHECKS[name], seeded("", ""))
    assert result.state is CheckState.PASSED, result.detail


def test_the_seeds_are_many_and_of_each_area() -> None:
    assert len(SEEDS) >= 20
    areas = {name.partition(".")[0] for _, _, name in SEEDS.values()}
    assert areas >= {"submit", "find", "amend", "erase", "poll", "webhook", "private", "file"}
