"""Error codes of the wire protocol, and the two exceptions that carry a peer's fault.

`ErrorCode` holds every code of Kafka 4.4 (number, name, whether a client may simply retry, a sentence
of our own). Codes are protocol: a number never changes its meaning. `BrokerError` is an expected refusal that
a handler puts on the partition, topic or request it concerns; `ProtocolViolation` means that the peer's bytes
are not the protocol at all, and its connection is closed.
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """A code as it stands in a response."""

    UNKNOWN_SERVER_ERROR = -1
    NONE = 0
    OFFSET_OUT_OF_RANGE = 1
    CORRUPT_MESSAGE = 2
    UNKNOWN_TOPIC_OR_PARTITION = 3
    INVALID_FETCH_SIZE = 4
    LEADER_NOT_AVAILABLE = 5
    NOT_LEADER_OR_FOLLOWER = 6
    REQUEST_TIMED_OUT = 7
    BROKER_NOT_AVAILABLE = 8
    REPLICA_NOT_AVAILABLE = 9
    MESSAGE_TOO_LARGE = 10
    STALE_CONTROLLER_EPOCH = 11
    OFFSET_METADATA_TOO_LARGE = 12
    NETWORK_EXCEPTION = 13
    COORDINATOR_LOAD_IN_PROGRESS = 14
    COORDINATOR_NOT_AVAILABLE = 15
    NOT_COORDINATOR = 16
    INVALID_TOPIC_EXCEPTION = 17
    RECORD_LIST_TOO_LARGE = 18
    NOT_ENOUGH_REPLICAS = 19
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
    INVALID_REQUIRED_ACKS = 21
    ILLEGAL_GENERATION = 22
    INCONSISTENT_GROUP_PROTOCOL = 23
    INVALID_GROUP_ID = 24
    UNKNOWN_MEMBER_ID = 25
    INVALID_SESSION_TIMEOUT = 26
    REBALANCE_IN_PROGRESS = 27
    INVALID_COMMIT_OFFSET_SIZE = 28
    TOPIC_AUTHORIZATION_FAILED = 29
    GROUP_AUTHORIZATION_FAILED = 30
    CLUSTER_AUTHORIZATION_FAILED = 31
    INVALID_TIMESTAMP = 32
    UNSUPPORTED_SASL_MECHANISM = 33
    ILLEGAL_SASL_STATE = 34
    UNSUPPORTED_VERSION = 35
    TOPIC_ALREADY_EXISTS = 36
    INVALID_PARTITIONS = 37
    INVALID_REPLICATION_FACTOR = 38
    INVALID_REPLICA_ASSIGNMENT = 39
    INVALID_CONFIG = 40
    NOT_CONTROLLER = 41
    INVALID_REQUEST = 42
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
    POLICY_VIOLATION = 44
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45
    DUPLICATE_SEQUENCE_NUMBER = 46
    INVALID_PRODUCER_EPOCH = 47
    INVALID_TXN_STATE = 48
    INVALID_PRODUCER_ID_MAPPING = 49
    INVALID_TRANSACTION_TIMEOUT = 50
    CONCURRENT_TRANSACTIONS = 51
    TRANSACTION_COORDINATOR_FENCED = 52
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
    SECURITY_DISABLED = 54
    OPERATION_NOT_ATTEMPTED = 55
    KAFKA_STORAGE_ERROR = 56
    LOG_DIR_NOT_FOUND = 57
    SASL_AUTHENTICATION_FAILED = 58
    UNKNOWN_PRODUCER_ID = 59
    REASSIGNMENT_IN_PROGRESS = 60
    DELEGATION_TOKEN_AUTH_DISABLED = 61
    DELEGATION_TOKEN_NOT_FOUND = 62
    DELEGATION_TOKEN_OWNER_MISMATCH = 63
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65
    DELEGATION_TOKEN_EXPIRED = 66
    INVALID_PRINCIPAL_TYPE = 67
    NON_EMPTY_GROUP = 68
    GROUP_ID_NOT_FOUND = 69
    FETCH_SESSION_ID_NOT_FOUND = 70
    INVALID_FETCH_SESSION_EPOCH = 71
    LISTENER_NOT_FOUND = 72
    TOPIC_DELETION_DISABLED = 73
    FENCED_LEADER_EPOCH = 74
    UNKNOWN_LEADER_EPOCH = 75
    UNSUPPORTED_COMPRESSION_TYPE = 76
    STALE_BROKER_EPOCH = 77
    OFFSET_NOT_AVAILABLE = 78
    MEMBER_ID_REQUIRED = 79
    PREFERRED_LEADER_NOT_AVAILABLE = 80
    GROUP_MAX_SIZE_REACHED = 81
    FENCED_INSTANCE_ID = 82
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83
    ELECTION_NOT_NEEDED = 84
    NO_REASSIGNMENT_IN_PROGRESS = 85
    GROUP_SUBSCRIBED_TO_TOPIC = 86
    INVALID_RECORD = 87
    UNSTABLE_OFFSET_COMMIT = 88
    THROTTLING_QUOTA_EXCEEDED = 89
    PRODUCER_FENCED = 90
    RESOURCE_NOT_FOUND = 91
    DUPLICATE_RESOURCE = 92
    UNACCEPTABLE_CREDENTIAL = 93
    INCONSISTENT_VOTER_SET = 94
    INVALID_UPDATE_VERSION = 95
    FEATURE_UPDATE_FAILED = 96
    PRINCIPAL_DESERIALIZATION_FAILURE = 97
    SNAPSHOT_NOT_FOUND = 98
    POSITION_OUT_OF_RANGE = 99
    UNKNOWN_TOPIC_ID = 100
    DUPLICATE_BROKER_REGISTRATION = 101
    BROKER_ID_NOT_REGISTERED = 102
    INCONSISTENT_TOPIC_ID = 103
    INCONSISTENT_CLUSTER_ID = 104
    TRANSACTIONAL_ID_NOT_FOUND = 105
    FETCH_SESSION_TOPIC_ID_ERROR = 106
    INELIGIBLE_REPLICA = 107
    NEW_LEADER_ELECTED = 108
    OFFSET_MOVED_TO_TIERED_STORAGE = 109
    FENCED_MEMBER_EPOCH = 110
    UNRELEASED_INSTANCE_ID = 111
    UNSUPPORTED_ASSIGNOR = 112
    STALE_MEMBER_EPOCH = 113
    MISMATCHED_ENDPOINT_TYPE = 114
    UNSUPPORTED_ENDPOINT_TYPE = 115
    UNKNOWN_CONTROLLER_ID = 116
    UNKNOWN_SUBSCRIPTION_ID = 117
    TELEMETRY_TOO_LARGE = 118
    INVALID_REGISTRATION = 119
    TRANSACTION_ABORTABLE = 120
    INVALID_RECORD_STATE = 121
    SHARE_SESSION_NOT_FOUND = 122
    INVALID_SHARE_SESSION_EPOCH = 123
    FENCED_STATE_EPOCH = 124
    INVALID_VOTER_KEY = 125
    DUPLICATE_VOTER = 126
    VOTER_NOT_FOUND = 127
    INVALID_REGULAR_EXPRESSION = 128
    REBOOTSTRAP_REQUIRED = 129
    STREAMS_INVALID_TOPOLOGY = 130
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131
    STREAMS_TOPOLOGY_FENCED = 132
    SHARE_SESSION_LIMIT_REACHED = 133
    GROUP_DELETION_FAILED = 134
    STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED = 135
    CONTROLLER_ID_NOT_REGISTERED = 136

    @property
    def retriable(self) -> bool:
        """Whether the same request may succeed later, without a change of its content."""
        return self in _RETRIABLE

    @property
    def text(self) -> str:
        """One sentence for people."""
        return _TEXT[self]


#: Characters of a message: it may quote what a client sent, and has to fit the strings of every version.
_MESSAGE_MAX = 1000


class BrokerError(Exception):
    """An expected refusal: `code`, and `message` where the response has a place for it, go on the wire."""

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        if message is not None and len(message) > _MESSAGE_MAX:
            message = f"{message[:_MESSAGE_MAX]}…"
        super().__init__(code, message)
        self.code = code
        self.message = message

    @property
    def text(self) -> str:
        """What to tell people: the message, or what the code says by itself."""
        return self.message or self.code.text

    def __str__(self) -> str:
        return f"{self.code.name}: {self.text}"


class ProtocolViolation(Exception):
    """The bytes (or a value that was to become bytes) do not follow the protocol."""


# fmt: off
_RETRIABLE = frozenset((
    2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88,
    89, 100, 103, 106, 122, 123, 133,
))
# fmt: on

_TEXT: dict[int, str] = {
    -1: "The server met an error that it did not expect.",
    0: "No error.",
    1: "The offset lies outside the range that this log holds.",
    2: "The record batch is damaged: its checksum, size or header does not fit its bytes.",
    3: "This broker hosts no such topic or partition.",
    4: "The fetch size is not valid.",
    5: "The partition has no leader at the moment; an election is under way.",
    6: "This broker does not lead the partition, nor follow it where a follower would do.",
    7: "The request ran out of time.",
    8: "The broker is not available.",
    9: "The replica is not available.",
    10: "The record batch is larger than the topic or broker accepts.",
    11: "The controller that sent this has been succeeded by a newer one.",
    12: "The metadata string of an offset commit is too long.",
    13: "The connection was lost before an answer came.",
    14: "The coordinator is still loading its state; ask again soon.",
    15: "The coordinator is not available.",
    16: "This broker is not the coordinator for that key.",
    17: "The topic name is not valid, or the operation is not allowed on this topic.",
    18: "The record batch is larger than a segment of the log.",
    19: "Too few replicas are in sync to accept the write; nothing was written.",
    20: "The records were written, but to fewer in-sync replicas than required.",
    21: "acks must be -1 (all), 0 or 1.",
    22: "The generation is not the group's current one.",
    23: "The member's protocol type or assignors do not fit those of the group.",
    24: "The group id is not valid.",
    25: "The group has no member with that id.",
    26: "The session timeout is outside the bounds set by the broker.",
    27: "The group is rebalancing; rejoin it.",
    28: "The offset commit is too large.",
    29: "Not authorised for this topic.",
    30: "Not authorised for this group.",
    31: "Not authorised for this operation on the cluster.",
    32: "The record timestamp is outside the range that the topic accepts.",
    33: "The SASL mechanism is not enabled here.",
    34: "This request is not valid in the current state of the SASL exchange.",
    35: "This version of the API is not supported.",
    36: "A topic with this name exists already.",
    37: "The number of partitions is not valid.",
    38: "The replication factor is below 1 or above the number of available brokers.",
    39: "The replica assignment is not valid.",
    40: "The configuration is not valid.",
    41: "This node is not the active controller.",
    42: "The request contradicts itself or breaks a rule of the protocol.",
    43: "The record format of the topic does not support this request.",
    44: "The request was refused by a policy of the cluster.",
    45: "The sequence number does not follow the producer's last one.",
    46: "These records were appended before.",
    47: "The producer epoch is older than the newest one seen.",
    48: "The transaction's state does not allow this operation.",
    49: "The producer id is not the one now assigned to the transactional id.",
    50: "The transaction timeout is outside the bounds set by the broker.",
    51: "Another operation on the same transaction is in progress; try again.",
    52: "A newer transaction coordinator has taken over from the sender.",
    53: "Not authorised for this transactional id.",
    54: "Security features are not enabled on this cluster.",
    55: "Not attempted, because another part of the same request failed.",
    56: "The log directory that holds this partition failed.",
    57: "The broker has no such log directory.",
    58: "Authentication failed.",
    59: "The broker holds no state for this producer id; its records may have been deleted.",
    60: "The partition is being reassigned.",
    61: "Delegation tokens are not enabled.",
    62: "The delegation token is not known here.",
    63: "The delegation token belongs to someone else.",
    64: "Delegation tokens may not be requested over this kind of connection.",
    65: "Not authorised for this delegation token.",
    66: "The delegation token has expired.",
    67: "The principal type is not supported.",
    68: "The group is not empty.",
    69: "No group with this id exists.",
    70: "The fetch session is not known here; open a new one.",
    71: "The fetch session epoch is not the expected one; open a new session.",
    72: "The leader offers no listener of the name that this request came in on.",
    73: "Topic deletion is disabled.",
    74: "The leader epoch in the request is older than the broker's.",
    75: "The leader epoch in the request is newer than the broker's.",
    76: "The compression codec may not be used with this request version.",
    77: "The broker epoch is older than the one registered.",
    78: "The offset is not readable yet: a new leader is still catching up.",
    79: "Join again with the member id given in this answer.",
    80: "The preferred leader is not available.",
    81: "The group has reached its size limit.",
    82: "Another member with the same group instance id has taken this one's place.",
    83: "No replica that may become leader is available.",
    84: "The partition needs no election: it has the wanted leader.",
    85: "No reassignment of this partition is in progress.",
    86: "The group still subscribes to this topic.",
    87: "A record failed the broker's validation.",
    88: "Some offsets are part of a transaction that is not yet decided.",
    89: "The quota for this kind of operation is used up; slow down.",
    90: "A newer producer with the same transactional id has taken over.",
    91: "The resource named does not exist.",
    92: "The resource exists already, or is named twice.",
    93: "The credential does not meet the requirements.",
    94: "The sender or receiver is not in the set of voters that the other side knows.",
    95: "The update carries an old version of the state it changes.",
    96: "The feature could not be updated.",
    97: "The principal in the forwarded request could not be read.",
    98: "The snapshot does not exist.",
    99: "The position lies outside the snapshot or file.",
    100: "No topic has this id.",
    101: "A live broker is registered under this id.",
    102: "No broker with this id is registered.",
    103: "The topic id is not the one that the log on disk carries.",
    104: "The cluster id is not the one of this cluster.",
    105: "The transactional id is not known.",
    106: "Topic ids were used in only some requests of the fetch session.",
    107: "The replica may not join the in-sync set.",
    108: "The change completed and moved leadership elsewhere.",
    109: "The offset has been moved to tiered storage.",
    110: "The member epoch is fenced: the coordinator has moved past it.",
    111: "Another member still holds this group instance id.",
    112: "The group does not support this assignor.",
    113: "The member epoch is old; the member must catch up before it tries again.",
    114: "The request went to the wrong kind of endpoint, broker or controller.",
    115: "This kind of endpoint is not known.",
    116: "No controller with this id is known.",
    117: "The telemetry subscription id is not the current one.",
    118: "The telemetry payload is too large.",
    119: "The registration is not valid.",
    120: "The transaction cannot go on and must be aborted.",
    121: "The record is in a state that does not allow this acknowledgement.",
    122: "The share session is not known here.",
    123: "The share session epoch is not the expected one.",
    124: "The state epoch of the share partition is fenced.",
    125: "The voter key does not match that of the receiver.",
    126: "The voter is in the set already.",
    127: "The voter is not in the set.",
    128: "The regular expression is not valid.",
    129: "The client's metadata is out of date; it must bootstrap again.",
    130: "The streams topology is not valid.",
    131: "The streams topology epoch is not valid.",
    132: "The streams topology epoch is older than the group's.",
    133: "The broker holds as many share sessions as it allows.",
    134: "The group could not be deleted.",
    135: "The description of the streams topology could not be stored.",
    136: "No controller with this id is registered.",
}
