"""Why a partition does not take what a producer or a transaction coordinator sent: code and words of each reason."""

from __future__ import annotations

from protocol.errors import BrokerError, ErrorCode
from protocol.types import Offset, ProducerEpoch, ProducerId


def fenced(producer_id: ProducerId, epoch: ProducerEpoch, newest: ProducerEpoch) -> BrokerError:
    return BrokerError(
        ErrorCode.INVALID_PRODUCER_EPOCH, f"producer {producer_id}: epoch {epoch} is fenced by epoch {newest}"
    )


def out_of_order(producer_id: ProducerId, epoch: ProducerEpoch, sequence: int, expected: int) -> BrokerError:
    return BrokerError(
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        f"producer {producer_id} epoch {epoch}: sequence {sequence} where {expected} was due",
    )


def not_verified(producer_id: ProducerId, epoch: ProducerEpoch) -> BrokerError:
    return BrokerError(
        ErrorCode.INVALID_TXN_STATE,
        f"producer {producer_id} epoch {epoch}: the partition is not part of a transaction that is under way",
    )


def not_transactional(producer_id: ProducerId, txn_first_offset: Offset) -> BrokerError:
    return BrokerError(
        ErrorCode.INVALID_TXN_STATE,
        f"producer {producer_id}: batch outside the transaction open since offset {txn_first_offset}",
    )
