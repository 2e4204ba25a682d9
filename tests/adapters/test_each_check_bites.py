"""Each check of the matrix fails for a bug: none of them can only pass.

Here are the bugs of the checks that `test_seeded_bugs` and `test_conformance_bites` do not need.
"""

from __future__ import annotations

import pytest

from gateway.sdk.matrix import CHECKS, CheckState, run_check
from tests.adapters.test_conformance_bites import BROKEN
from tests.adapters.test_seeded_bugs import MADE, SEEDS, SENT, SUBMIT, seeded

SENT_AGAIN = (
    SENT.replace("return", "first =")
    + "        return await kit.call_far_end(client, whole, safe=safe, into=into)"
    " if isinstance(first, kit.Unsure) else first\n"
)
UNBOUNDED = (
    "        answer = await client.send(whole)\n        return into.model_validate(answer.json())\n"
)
TOO_LARGE = (
    "        if isinstance(made, kit.Unsure) and made.reason == 'answer_too_large':\n"
    '            return kit.Refused("refused")\n' + MADE
)
ABSENT = "        return kit.Found(ours[0].id) if ours else kit.Absent()"
HELD = "        return kit.Found(amendment.gru_reference) if held else kit.Absent()"
GONE = "return gone if isinstance(gone, kit.Outcome) else kit.Accepted(gru_reference)"
TOLD = "return kit.Changes([*changes([ticket])])"

#: The bug -> what stands in the right adapter, what stands in its place, the check that catches it.
SEEDS_OF_THE_OTHERS: dict[str, tuple[str, str, str]] = {
    "its kind is no word of a configuration": (
        'kind = "example"',
        'kind = "Example "',
        "declared.adapter",
    ),
    "it cannot be closed twice": (
        "    async def submit(",
        "    closed = False\n\n    async def aclose(self) -> None:\n"
        "        assert not self.closed\n        self.closed = True\n\n    async def submit(",
        "declared.constant",
    ),
    "our reference stays here": (
        SUBMIT,
        "        body = {**submission.payload}\n",
        "submit.reference_travels",
    ),
    "what the GRU knows already is refused": (
        MADE,
        "        if isinstance(made, kit.Unsure) and '409' in made.detail:\n"
        '            return kit.Refused("refused")\n' + MADE,
        "submit.conflict",
    ),
    "headers are read as ASCII": (
        SENT,
        "        answer = await kit.send(client, whole, safe=safe)\n"
        "        if not isinstance(answer, kit.Answer):\n            return answer\n"
        "        for _, value in answer.response.headers.raw:\n"
        '            value.decode("ascii")\n'
        "        return into.model_validate(answer.value)\n",
        "submit.header_not_ascii",
    ),
    "why nobody was reached is not told": (
        MADE,
        "        if isinstance(made, kit.TryLater):\n"
        '            return kit.TryLater("no_connection")\n' + MADE,
        "submit.certificate_expired",
    ),
    "a refusal is tried for ever": (
        MADE,
        '        if isinstance(made, kit.Refused):\n            return kit.TryLater("busy")\n'
        + MADE,
        "submit.refused",
    ),
    "an absence is never told": (
        ABSENT,
        ABSENT.replace("kit.Absent()", 'kit.CannotTell("unreadable_answer")'),
        "find.absent",
    ),
    "every event is found": (
        HELD,
        "        return kit.Found(amendment.gru_reference)",
        "amend.find",
    ),
    "an erasure is never done": (
        GONE,
        'return gone if isinstance(gone, kit.Outcome) else kit.Unsure("no_reference")',
        "erase.done",
    ),
    "what is erased cannot be erased again": (
        GONE,
        'return kit.Refused("refused") if gone == {} else kit.Accepted(gru_reference)',
        "erase.again",
    ),
    "the GRU's words are put into ours": (
        "status=one.status,",
        'status={"en_cours": "in_progress"}.get(one.status, one.status),',
        "poll.tells",
    ),
    "a webhook is only a sign to poll": (TOLD, "return kit.Changes()", "webhook.tells"),
    "the proof covers a part of the body": (
        "signature(secret, hook.body))",
        "signature(secret, hook.body.strip()))",
        "webhook.altered",
    ),
    "a call that comes again is refused": (
        TOLD,
        'seen = self.__dict__.setdefault("seen", set())\n'
        "            if right in seen:\n"
        '                return kit.Changes(failure=kit.Refused("unproven"))\n'
        f"            seen.add(right)\n            {TOLD}",
        "webhook.repeated",
    ),
    "a call that was overtaken is dropped": (
        TOLD,
        'latest = self.__dict__.get("latest", ticket.updated_at)\n'
        "            if ticket.updated_at < latest:\n                return kit.Changes()\n"
        f"            self.latest = ticket.updated_at\n            {TOLD}",
        "webhook.reordered",
    ),
    "a text that XML cannot write is an exception": (
        SUBMIT,
        SUBMIT + "        for text in kit.texts_in(body):\n"
        '            __import__("lxml.etree").etree.Element("text").text = text\n',
        "text.hostile",
    ),
    "a file's name is written into a head": (
        "url, json=body,",
        'url, content=(__import__("json").dumps(body) + "".join('
        "f'\\r\\nContent-Disposition: form-data; filename=\"{one.filename}\"\\r\\n'"
        " for one in files)).encode(),",
        "file.name",
    ),
    "an answer that is too large is a refusal": (MADE, TOO_LARGE, "answer.oversized"),
    "an answer that unfolds without end is a refusal": (MADE, TOO_LARGE, "answer.bomb"),
    "an answer may have rows without end": (SENT, UNBOUNDED, "answer.rows"),
    "a length is counted in characters": (
        '{self.options.key.get_secret_value()}"}\n',
        '{self.options.key.get_secret_value()}"}\n'
        "        if body is not None:\n"
        '            headers["content-length"] = str(len(str(body)) + 400)\n',
        "wire.well",
    ),
    "what was cut off is sent again": (SENT, SENT_AGAIN, "wire.committed_then_reset"),
    "what was answered by half a head is sent again": (SENT, SENT_AGAIN, "wire.half_a_head"),
    "what is answered too slowly is sent again": (SENT, SENT_AGAIN, "wire.slow_body"),
    "what nobody took may have been taken": (
        MADE,
        "        if isinstance(made, kit.TryLater):\n"
        '            return kit.Unsure("no_answer")\n' + MADE,
        "wire.refused",
    ),
}


@pytest.mark.parametrize("bug", SEEDS_OF_THE_OTHERS)
async def test_a_seeded_bug_is_caught_by_the_check_that_is_meant_for_it(bug: str) -> None:
    old, new, name = SEEDS_OF_THE_OTHERS[bug]
    result = await run_check(CHECKS[name], seeded(old, new))
    assert result.state is CheckState.FAILED, bug
    assert result.detail


def test_each_check_has_a_bug_that_it_catches() -> None:
    all_seeds = (*SEEDS.values(), *SEEDS_OF_THE_OTHERS.values())
    assert {name for _, _, name in all_seeds} | {*BROKEN} == {*CHECKS}
