"""A lane's name is read from the text that it gives, and nothing else is taken for one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.core import lane_name
from gateway.core.lane_name import GruLane, LaneName, PortalLane, parse_lane


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (GruLane("69029", "voirie"), "gru:69029:voirie"),
        (PortalLane("toodego", "69029"), "portal:toodego:69029"),
    ],
)
def test_a_name_and_its_text_say_the_same(name: LaneName, text: str) -> None:
    assert str(name) == text
    assert parse_lane(text) == name
    assert name.commune == "69029"


@pytest.mark.parametrize("text", ["", "gru", "gru:69029", "gru:69029:", "portal::69029", "glc:a:b"])
def test_what_is_no_lane_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a lane"):
        parse_lane(text)


def test_a_portal_is_one_far_end_for_all_its_communes() -> None:
    assert PortalLane("toodego", "69029").far_end == PortalLane("toodego", "69266").far_end


def test_no_other_module_spells_a_name() -> None:
    room = Path(lane_name.__file__).parents[1]
    spelled = re.compile(r"""["'](gru|portal):["'{]""")
    found = [path.name for path in room.rglob("*.py") if spelled.search(path.read_text("utf-8"))]
    assert found == ["lane_name.py"]
