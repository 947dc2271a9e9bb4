"""Which topics a partition's state was folded from.

Offsets alone do not tell: a topic that was deleted and made anew may have grown past the offset that the state has
folded, and the state would go on with what is not its own past. So the ids of the topics are kept with it.
"""

from __future__ import annotations

from .store import PartitionState

ORIGIN = b"\0o"
"""A local key: the state's own, on no changelog."""


def is_folded_from(state: PartitionState, origin: str) -> bool:
    """False when the state says that it comes from other topics; `origin` is empty where the cluster tells no ids."""
    known = state.get(ORIGIN)
    return not origin or known is None or known == origin.encode()


def remember_origin(state: PartitionState, origin: str, now: int) -> None:
    """From now on the state says where it comes from. It stays so until it is cleared."""
    if origin and state.get(ORIGIN) != origin.encode():
        state.apply([(ORIGIN, origin.encode())], state.changelog_offset(), now)
