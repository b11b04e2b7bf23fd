"""Why a node does not start, as the one line that its user sees: what failed, and what to do about it."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from logd.errors import StartupError
from replication.metadata_image import UnusableMetadata
from storage.errors import AccessDenied, CorruptLog, NoSpace, StorageFailure, TooManyOpenFiles

if TYPE_CHECKING:
    from logd.config import Listener


def not_recovered(error: Exception) -> StartupError:
    """The data directories, or the metadata in them, cannot be used."""
    return StartupError(str(error), _remedy(error))


def not_bound(listener: Listener, error: OSError | UnicodeError) -> StartupError:
    """A listener's address cannot be had; UnicodeError is of a host that is no name."""
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return StartupError(
            f"listener {listener.name} names the host {listener.host!r}, which is not known",
            "use an address of this machine in listeners",
        )
    hint = "stop what uses the port, or choose another with --port; 0 takes a free one"
    if error.errno == errno.EADDRNOTAVAIL:
        hint = "use an address of this machine in listeners, and tell clients another by advertised.listeners"
    where = f"{listener.host or '*'}:{listener.port} ({listener.name})"
    return StartupError(f"cannot listen on {where}: {error.strerror}", hint)


def _remedy(error: Exception) -> str:
    """What to do about a start that failed; empty when the message says it."""
    if isinstance(error, NoSpace):
        return "make room on that disk and start again"
    if isinstance(error, TooManyOpenFiles):
        return "raise the limit of open files (ulimit -n) and start again"
    if isinstance(error, AccessDenied):
        return "give this user access to it"
    if isinstance(error, (CorruptLog, UnusableMetadata)):  # a partition's damage does not stop the start
        return "restore the metadata log from a backup, or use another data directory"
    if isinstance(error, StorageFailure):
        return "repair that disk, or use another data directory"
    return ""
