"""One round of the reconciler, for the state machine; and rounds until nothing is left, for the command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from dask_regions.aws.configuration import load_configuration
from dask_regions.errors import RequestError
from dask_regions.join.executor import apply
from dask_regions.join.observation import Observation
from dask_regions.join.observing import observe
from dask_regions.join.planning import plan
from dask_regions.settings import Settings

__all__ = ["Round", "clean", "join_regions", "leave"]

#: Pause between two rounds, in seconds; a peering connection takes seconds, an attachment minutes.
PAUSE_SECONDS = 15.0
#: Rounds after which a command gives up: some quarter of an hour.
MAX_ROUNDS = 60


@dataclass(frozen=True)
class Round:
    """What one round saw and did.

    Attributes
    ----------
    action
        ``settled``: nothing is left to do; ``again``: look again; ``mend``: nothing is left to do but what
        ``refused`` says.
    round
        Its number, from 1.
    joined, absent
        Regions that are, or are going to be, joined; those that are configured and not deployed yet.
    done, pending, refused
        Calls that were made; what is waited for; what somebody has to mend.
    """

    action: Literal["settled", "again", "mend"]
    round: int
    joined: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do or to mend."""
        return self.action == "settled"


def join_regions(event: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Run one round of the state machine ``join_regions``.

    Parameters
    ----------
    event
        ``{}``, or ``{"leave": [Region, ...]}`` for Regions to take out though they are configured, or
        ``{"join": [Region, ...]}`` for Regions that left and are to come back; or the round before.
    settings
        Name of the system, and where its configuration is.

    Returns
    -------
    dict
        The fields of :class:`Round`, ``settled``, ``leave`` and ``join``.

    Raises
    ------
    RequestError
        Where ``leave`` or ``join`` are no lists of Regions, or the client Region is to leave.
    ConfigurationError, UnavailableError
        As :func:`dask_regions.join.observing.observe` does.
    """
    leaving, returning = _regions(event, "leave"), _regions(event, "join")
    configuration = load_configuration(settings, max_age_seconds=0.0)
    client = configuration.client_region.name
    if client in leaving:
        raise RequestError("leave", f"{client} is the client Region, which the others are joined with")
    observation = observe(
        settings.system_name,
        client,
        (region.name for region in configuration.regions),
        leaving=leaving,
        returning=returning,
    )
    number = int(event.get("round", 0)) + 1
    outcome = _run(settings.system_name, observation, number)
    return {**asdict(outcome), "settled": outcome.settled, "leave": leaving, "join": returning}


def leave(
    system: str,
    client_region: str,
    configured: Iterable[str],
    regions: Sequence[str],
    *,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Round]:
    """Take Regions out of a system, while the others stay joined.

    They stay out, though they are configured, until their stacks are deployed anew or they are told to join.

    Parameters
    ----------
    configured
        Regions of ``datasets.yaml``.
    regions
        Those to take out.
    pause
        Waits some seconds between two rounds.

    Yields
    ------
    Round
        The last one says how it ended; where that is ``again``, AWS has not come to an end in a quarter of
        an hour, and the command may be repeated.
    """
    names = tuple(configured)
    yield from _repeat(system, lambda: observe(system, client_region, names, leaving=regions), pause)


def clean(
    system: str, regions: Iterable[str], *, pause: Callable[[float], None] = time.sleep
) -> Iterator[Round]:
    """Separate all Regions of a system, also when some of its stacks are gone; yields as :func:`leave`."""
    visited = tuple(regions)
    yield from _repeat(system, lambda: observe(system, "", visited), pause)


def _repeat(system: str, look: Callable[[], Observation], pause: Callable[[float], None]) -> Iterator[Round]:
    for number in range(1, MAX_ROUNDS + 1):
        outcome = _run(system, look(), number)
        yield outcome
        if outcome.action != "again":
            return
        pause(PAUSE_SECONDS)


def _run(system: str, observation: Observation, number: int) -> Round:
    planned = plan(observation)
    applied = apply(system, planned.calls)
    pending = (*planned.pending, *applied.pending)
    refused = (*planned.refused, *applied.refused)
    action: Literal["settled", "again", "mend"] = "settled"
    if applied.done or pending:
        action = "again"
    elif refused:
        action = "mend"
    return Round(
        action=action,
        round=number,
        joined=planned.joined,
        absent=planned.absent,
        done=tuple(applied.done),
        pending=pending,
        refused=refused,
    )


def _regions(event: Mapping[str, Any], name: str) -> list[str]:
    value = event.get(name) or []
    if not isinstance(value, list) or not all(isinstance(region, str) for region in value):
        raise RequestError(name, f'is {value!r}; write a list of Regions, e.g. {{"{name}": ["us-east-1"]}}')
    return value
