"""Later events of the citizen: each reaches the GRU, and none twice."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from gateway.core.delivery import Kind
from gateway.store.rows import Reception
from tests.flow.rig import DOCUMENT_AFTER, SLUG, Rig, catalogue, request_id

DAY = 86_400
WORDS = "Toujours rien ?"


def comments(rig: Rig, request: str) -> list[str]:
    return [comment.text for comment in rig.ticket(request).comments]


@pytest.mark.parametrize("extra", [{}, {"evenement": "1-1-message-15"}], ids=["no key", "one key"])
async def test_the_same_words_a_week_later_are_a_new_message(
    rig: Rig, extra: dict[str, Any]
) -> None:
    """With no key, and with one that counts the characters of a text."""
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        for days in (0, 7):
            rig.advance(DAY * days + 60)
            rig.portal.say(SLUG, item.id, WORDS)  # w.c.s. writes it into the history
            for expected in (Reception.NEW, Reception.SAME):  # its call is repeated
                took = await rig.push(item, action="message", message=WORDS, **extra)
                assert took.reception is expected
                rig.advance(1200)
            await rig.rest(request)
    assert comments(rig, request) == [WORDS, WORDS]


async def test_one_key_for_two_messages_loses_neither(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send()
        for text in ("Bonjour ?", "Bonsoir ?"):
            rig.portal.say(SLUG, item.id, text)
            for expected in (Reception.NEW, Reception.SAME):
                took = await rig.push(item, action="message", evenement="m-9", message=text)
                assert took.reception is expected
            rig.advance(60)
            await rig.rest(request)
    assert comments(rig, request) == ["Bonjour ?", "Bonsoir ?"]


async def test_the_same_document_a_week_later_is_sent_again(rig: Rig) -> None:
    """The commune lost it, and asked for it again."""
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}}
    )
    file = {
        "filename": "justificatif.pdf",
        "content_type": "application/pdf",
        "content": base64.b64encode(b"%PDF-1.4 abc").decode(),
        "content_is_base64": True,
    }
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        for days in (0, 7):
            rig.advance(DAY * days + 60)
            for expected in (Reception.NEW, Reception.SAME):
                took = await rig.push(item, action="document", document=file)
                assert took.reception is expected
            await rig.rest(request)
        assert len(rig.ticket(request).documents) == 2


async def test_the_forms_own_files_do_not_go_again_with_a_document(rig: Rig) -> None:
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}}
    )
    photo = {
        "filename": "trou.jpg",
        "content_type": "image/jpeg",
        "content": base64.b64encode(b"\xff\xd8\xff" + b"z" * 50).decode(),
        "content_is_base64": True,
    }
    other = photo | {"filename": "devis.jpg", "content": base64.b64encode(b"\xff\xd8\xff").decode()}
    async with rig.gateway():
        item, request = await rig.send(photo=photo)
        await rig.rest(request)
        rig.advance(60)
        await rig.push(item, action="document", document=other)
        await rig.rest(request)
        names = [one.filename for one in rig.ticket(request).documents]
        assert names == ["trou.jpg", "devis.jpg"]


async def test_the_same_formdata_with_other_values_is_answered_with_an_error(rig: Rig) -> None:
    """Pushed again as a creation, after a correction: nothing is passed over in silence."""
    async with rig.gateway():
        item, request = await rig.send()
        item.fields["description"] = "Correction : c'est devant le 14, pas le 4."
        assert (await rig.push(item)).reception is Reception.CONFLICT
        await rig.rest(request)
        assert len(await rig.deliveries(request, Kind.SUBMIT)) == 1


async def test_the_same_photo_of_two_people_reaches_both(rig: Rig) -> None:
    create = {"external_id": "=reference", "files": "=files[].{n: filename, c: content_base64}"}
    rig.catalogue = catalogue(options={"files": {"mode": "inline"}, "create": {"body": create}})
    content = base64.b64encode(b"\xff\xd8\xff" + b"z" * 5000).decode()
    photo = {
        "filename": "image.jpg",
        "content_type": "image/jpeg",
        "content": content,
        "content_is_base64": True,
    }
    async with rig.gateway():
        first, one = await rig.send(photo=photo, photo_2=photo)
        _, other = await rig.send(photo=photo)
        await rig.rest(one, other)
        assert (await rig.push(first)).reception is Reception.SAME
        sent = {ref: [f["c"] for f in rig.ticket(ref).payload["files"]] for ref in (one, other)}
    assert sent == {one: [content, content], other: [content]}


async def test_many_pushes_at_once_make_one_ticket(rig: Rig) -> None:
    async with rig.gateway():
        item = rig.submit()
        got = await asyncio.gather(*[rig.push(item) for _ in range(8)])
        await rig.rest(request_id(got[0]))
        assert [one.reception for one in got].count(Reception.NEW) == 1
        rig.portal.say(SLUG, item.id, WORDS)
        said = [rig.push(item, action="message", message=WORDS, evenement="m-1") for _ in range(8)]
        got = await asyncio.gather(*said)
        assert [one.reception for one in got].count(Reception.NEW) == 1
        await rig.rest(request_id(got[0]))
    assert len(rig.gru.tickets) == 1
    assert comments(rig, request_id(got[0])) == [WORDS]


async def test_an_edit_tells_what_was_changed(rig: Rig) -> None:
    async with rig.gateway():
        item, request = await rig.send(description="Un trou", telephone="0199000000")
        await rig.rest(request)
        for text in ("Deux trous", "Trois trous"):
            item.fields["description"] = text
            took = await rig.push(item, action="modification", evenement=f"m-{text}")
            assert took.reception is Reception.NEW
            await rig.rest(request)
    told = "L'usager a modifié sa demande sur Toodego.\ndescription : "
    assert comments(rig, request) == [
        told + "« Un trou » → « Deux trous »",
        told + "« Deux trous » → « Trois trous »",
    ]


async def test_a_photo_that_an_edit_brings_goes_with_it(rig: Rig) -> None:
    rig.catalogue = catalogue(
        options={"files": {"mode": "after"}, "amend": {"document": DOCUMENT_AFTER}}
    )
    photo = {
        "filename": "trou.jpg",
        "content_type": "image/jpeg",
        "content": base64.b64encode(b"\xff\xd8\xff" + b"z" * 50).decode(),
        "content_is_base64": True,
    }
    async with rig.gateway():
        item, request = await rig.send(photo=photo)
        await rig.rest(request)
        item.fields["photo_2"] = photo | {
            "filename": "devis.jpg",
            "content": base64.b64encode(b"\xff\xd8\xff").decode(),
        }
        await rig.push(item, action="modification", evenement="m-1")
        await rig.rest(request)
        names = [one.filename for one in rig.ticket(request).documents]
    assert names == ["trou.jpg", "devis.jpg"]
    assert comments(rig, request)[0].endswith("photo_2 : vide → « devis.jpg »")
