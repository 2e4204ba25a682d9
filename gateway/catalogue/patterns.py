"""The patterns of names in our files; `config_faults.PATTERNS` has them in words."""

from __future__ import annotations

from typing import Final

NAME: Final = r"^[a-z0-9][a-z0-9-]*$"
SLUG: Final = r"^[a-z0-9][a-z0-9_-]*$"
#: `teleservice/name`.
MAPPING: Final = r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$"
#: A form's field, a file within a block: `photo`, `enfants_raw[*].carnet`.
FIELD: Final = r"^[^\s.\[\]]+((\[\*\])?\.[^\s.\[\]]+)*$"
WORD: Final = r"^[A-Za-z][A-Za-z0-9_]*$"
#: A server's name or address alone, without `https://`, port or path.
HOST: Final = r"^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+)$"
#: One address to send to, without a name beside it.
MAIL_ADDRESS: Final = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$"
#: A claim of OpenID: `email`, `urn:exemple:niveau`.
CLAIM: Final = r"^[A-Za-z][A-Za-z0-9_:./-]{0,79}$"
