"""Names as the shell has them: `billing-*` stands for all that fit. No name of a topic has such a sign in it."""

from __future__ import annotations

from fnmatch import fnmatchcase

_SIGNS = frozenset("*?[")


def is_pattern(name: str) -> bool:
    return not _SIGNS.isdisjoint(name)


def fits(name: str, wanted: str) -> bool:
    """Whether `wanted` stands for it: a pattern that it fits, or the name itself."""
    return fnmatchcase(name, wanted) if is_pattern(wanted) else name == wanted
