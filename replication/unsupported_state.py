"""What the metadata may hold that this version does not act on, so that it must not be passed over.

A record that says who may do what would be ignored silently otherwise. While an entry stands, the metadata is not to
be used; one that was removed again is forgotten. Nothing but names and ids is kept.
Source: Kafka metadata records, image/AclsImage.java, ClientQuotasImage.java, ScramImage.java.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from protocol.messages.records_metadata import (
    AccessControlEntryRecord,
    ClientQuotaRecord,
    DelegationTokenRecord,
    RemoveAccessControlEntryRecord,
    RemoveDelegationTokenRecord,
    RemoveUserScramCredentialRecord,
    UserScramCredentialRecord,
)


class _Kind(NamedTuple):
    singular: str
    plural: str
    removed_with: str
    """Kafka's tool that removes such entries."""


_ACL: Final = _Kind("ACL", "ACLs", "kafka-acls --remove")
_QUOTA: Final = _Kind("client quota", "client quotas", "kafka-configs --alter --delete-config")
_SCRAM: Final = _Kind("SCRAM credential", "SCRAM credentials", "kafka-configs --alter --delete-config")
_TOKEN: Final = _Kind("delegation token", "delegation tokens", "kafka-delegation-tokens --expire")

UnsupportedRecord: TypeAlias = (
    AccessControlEntryRecord
    | RemoveAccessControlEntryRecord
    | ClientQuotaRecord
    | UserScramCredentialRecord
    | RemoveUserScramCredentialRecord
    | DelegationTokenRecord
    | RemoveDelegationTokenRecord
)


class UnsupportedState:
    """Entries by kind; see the module head."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[_Kind, set[object]] = {}

    def replay(self, record: UnsupportedRecord) -> None:
        """Take in what one record adds or removes."""
        match record:
            case AccessControlEntryRecord():
                self._add(_ACL, record.id)
            case RemoveAccessControlEntryRecord():
                self._remove(_ACL, record.id)
            case ClientQuotaRecord():
                entity = frozenset((part.entity_type, part.entity_name) for part in record.entity)
                change = self._remove if record.remove else self._add
                change(_QUOTA, (entity, record.key))
            case UserScramCredentialRecord():
                self._add(_SCRAM, (record.name, record.mechanism))
            case RemoveUserScramCredentialRecord():
                self._remove(_SCRAM, (record.name, record.mechanism))
            case DelegationTokenRecord():
                self._add(_TOKEN, record.token_id)
            case RemoveDelegationTokenRecord():
                self._remove(_TOKEN, record.token_id)

    def problem(self) -> str | None:
        """Return in words what stands in the way, and which of Kafka's tools removes it; None when nothing does."""
        if not self._entries:
            return None
        counts = []
        for kind, entries in self._entries.items():
            counts.append(f"{len(entries)} {kind.singular if len(entries) == 1 else kind.plural}")
        tools = dict.fromkeys(kind.removed_with for kind in self._entries)
        return f"the metadata holds {' and '.join(counts)}, which logd does not have: remove with {' and '.join(tools)}"

    def _add(self, kind: _Kind, key: object) -> None:
        self._entries.setdefault(kind, set()).add(key)

    def _remove(self, kind: _Kind, key: object) -> None:
        entries = self._entries.get(kind)
        if entries is not None:
            entries.discard(key)
            if not entries:
                del self._entries[kind]
