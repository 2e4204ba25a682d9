"""A logo: an SVG file of a configuration's folder `files`."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator

from gateway.catalogue.texts import say
from gateway.sdk.config_files import ConfigFile
from gateway.sdk.refusing import refuse

#: Characters of a logo.
LARGEST_LOGO: Final = 64 * 1024


def _logo(file: ConfigFile) -> ConfigFile:
    text = file.text.lstrip("\ufeff \r\n\t")
    if not file.name.endswith(".svg") or len(text) > LARGEST_LOGO:
        raise refuse(say("no_svg", most=LARGEST_LOGO // 1024))
    return file


Logo = Annotated[ConfigFile, AfterValidator(_logo)]
