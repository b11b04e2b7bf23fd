"""What a connection remembers of a request, so that the next one like it costs less.

Clients send the same bytes again and again, but for a few. A *shape* knows such a request by comparing bytes
(`protocol.produce_shape`, `protocol.fetch_shape`); a handler that has a short way says with `learn` what to remember,
and works off what is recognised. The codec and the ordinary way stay the ones that decide what a request means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from protocol.fetch_shape import FetchShape
    from protocol.produce_shape import ProduceShape

#: A client whose requests change their shape this often, while it is connected, gains nothing from their being
#: remembered.
SHAPES_LEARNED_MAX: Final = 64


class ShortWay(NamedTuple):
    """How the next request like the one remembered is worked off."""

    shape: ProduceShape | FetchShape
    handle_alike: Callable[..., bool]
    """Takes the broker, the connection, the shape, and what the shape recognised: a correlation id, and what else may
    differ. False, with nothing done, when the ordinary way has to look at the request.
    """


Learn: TypeAlias = "Callable[[Any, memoryview, Any, int], ShortWay | None]"
"""Takes the broker, the frame, the request that the codec read from it, and its version; None when there is no short
way.
"""
