"""The installed adapters: found by entry point, checked before use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from gateway.catalogue.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import Message
from gateway.sdk import SDK_VERSION, Adapter, Options, sdk_fits
from gateway.sdk.secrets import unread_secret

GROUP = "toodego_gru_gateway.adapters"


@dataclass(frozen=True, slots=True)
class AdapterSurvey:
    """The adapters by kind, and the faults of unusable ones by kind."""

    adapters: Mapping[str, type[Adapter]]
    faults: tuple[Fault, ...] = ()
    unfit: frozenset[str] = frozenset()


def installed(points: Iterable[EntryPoint] | None = None) -> Mapping[str, type[Adapter]]:
    """Return the adapters of all installed packages by kind. Raises ConfigurationFault with every
    unusable adapter; see `survey`."""
    found = survey(points)
    if found.faults:
        raise ConfigurationFault(found.faults)
    return found.adapters


def survey(points: Iterable[EntryPoint] | None = None) -> AdapterSurvey:
    """Check all that is installed. At fault is what cannot be imported, is no adapter, is made for
    another version of the SDK, or claims another package's kind."""
    found: dict[str, type[Adapter]] = {}
    owners: dict[str, str] = {}
    faults: list[Fault] = []
    unusable: set[str] = set()
    for point in sorted(entry_points(group=GROUP) if points is None else points):
        # The path may show one package twice: the same target is the same adapter.
        if owners.get(point.name) == point.value:
            continue
        where = f"entry point {point.value}"
        try:
            adapter = point.load()
        except Exception as error:
            unusable.add(point.name)
            said = say("adapter_broken", kind=point.name, error=_why(error))
            faults.append(Fault(where, 0, said))
            continue
        problem = unfit(adapter, point.name)
        if problem:
            unusable.add(point.name)
            faults.append(Fault(where, 0, problem))
        elif point.name in found:
            said = say("kind_twice", kind=point.name, owner=owners[point.name])
            faults.append(Fault(where, 0, said))
        else:
            found[point.name] = adapter
            owners[point.name] = point.value
    return AdapterSurvey(found, tuple(faults), frozenset(unusable))


def _why(error: Exception) -> str:
    """Return what could not be imported, or where the module failed, without the data it read."""
    name = type(error).__name__
    if isinstance(error, ImportError) and error.name:
        name = f"{name}: {error.name}"
    if isinstance(error, SyntaxError):
        return f"{name} at {error.filename}:{error.lineno}"
    trace, place = error.__traceback__, ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not module.startswith(("importlib", "gateway.catalogue")):
            place = f" at {module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return name + place


def unfit(adapter: object, kind: str) -> Message | None:
    """Return why it cannot be the adapter `kind`; None when it can."""
    if not (isinstance(adapter, type) and issubclass(adapter, Adapter)):
        return say("no_subclass", kind=kind)
    if not sdk_fits(adapter.sdk):
        return say("other_sdk", kind=kind, theirs=str(adapter.sdk), ours=SDK_VERSION)
    if getattr(adapter, "kind", None) != kind:
        return say("other_kind", kind=kind)
    options = getattr(adapter, "Options", None)
    if not (isinstance(options, type) and issubclass(options, Options)):
        return say("no_options", kind=kind)
    if field := unread_secret(options):
        return say("unread_secret", kind=kind, field=field)
    return None
