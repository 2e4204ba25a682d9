"""The shape of `personal_data` in a mapping file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Tag

from gateway.catalogue.scalars import StrictModel, Text, word_or_keys
from gateway.core.personal import DataCategory, LegalBasis


class PurposeFile(StrictModel):
    """The purpose of some fields, and the kind of data that they are."""

    purpose: Text
    category: DataCategory = DataCategory.REQUEST
    basis: LegalBasis | None = Field(None, description="Where it is another than that of all.")


class PersonalFile(StrictModel):
    """The data as the RGPD sees them: the register is made of it; nothing of it is sent."""

    purpose: Text = Field(description="Of the whole: what the commune does with a request.")
    basis: LegalBasis = LegalBasis.PUBLIC_TASK
    law: str = Field("", description="The text that the basis rests on.")
    persons: list[Text] = Field(["Usagers de la démarche"], min_length=1)
    kept: str = Field("", description="How long the commune keeps it, where it is known.")
    fields: dict[
        str,
        Annotated[
            Annotated[Text, Tag("<word>")] | Annotated[PurposeFile, Tag("<keys>")],
            word_or_keys("purpose_shape"),
        ],
    ] = Field(
        default_factory=dict,
        description="By path as the rules read it, for all below it;"
        " a `*` at its end stands for anything.",
    )
