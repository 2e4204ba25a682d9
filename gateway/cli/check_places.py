"""The places of what `check` finds: the key of the file that a line is about."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from gateway.catalogue.bundle import SETTINGS, read_bundle
from gateway.catalogue.release import commune_files
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.check_own import CheckLine
from gateway.cli.setting import located
from gateway.core.lane_name import GruLane, LaneName, parse_lane, portal_of


def placed_lines(
    lines: tuple[CheckLine, ...], config: Path, mappings: Path
) -> tuple[CheckLine, ...]:
    """Return what is not well with its place: that of the key that it is about, or where the far
    end is described."""
    if all(line.level == "ok" for line in lines):
        return lines
    bundle = read_bundle(config, mappings)
    files = commune_files(bundle)
    read = lru_cache(lambda file: load_yaml(bundle[file], file))

    def placed(line: CheckLine) -> CheckLine:
        file, path = SETTINGS, (line.far_end, *line.at)
        if (portal := portal_of(line.far_end)) is not None:
            path = ("portals", portal)
        elif isinstance(lane := _lane(line.far_end), GruLane):
            file, path = files[lane.commune], ("gru", lane.gru, "options", *line.at)
        if line.level == "ok" or (file == SETTINGS and path[0] not in read(file).value):
            return line
        return replace(
            line, place=located(read(file).fault(path, line.said), config, mappings).place
        )

    return tuple(map(placed, lines))


def _lane(far_end: str) -> LaneName | None:
    try:
        return parse_lane(far_end)
    except ValueError:
        return None  # GLC, the scanner, the relay


__all__ = ["placed_lines"]
