"""The version of `gateway.sdk`, and which adapters fit it."""

from __future__ import annotations

import re

#: MAJOR.MINOR, apart from the gateway's own. A minor one adds names, and fields with defaults; a
#: major one takes away or alters.
SDK_VERSION = "1.0"


def sdk_fits(made_for: object) -> bool:
    """Does an adapter that was built for this version of the SDK run with ours?

    It does if the major version is the same and the minor version is not newer.
    """
    if not isinstance(made_for, str):
        return False
    told = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})", made_for)
    if told is None:
        return False
    ours = [int(part) for part in SDK_VERSION.split(".")]
    return int(told[1]) == ours[0] and int(told[2]) <= ours[1]


__all__ = ["SDK_VERSION", "sdk_fits"]
