"""`logd txn abort`: the transaction of a transactional id, or what a hanging one has in one partition.

A transactional id is given to a new producer, as any that starts under it would do: its coordinator fences the old one,
and aborts. A hanging transaction is nobody's business any more: the partition itself is told to end it, by a marker
such as a coordinator sends. That tears the transaction where a coordinator still means to commit the rest, so it is
looked at first; Kafka's tool does not.

JSON: an array of {transactional_id, aborted, error}; with --topic of {topic, partition, producer_id, producer_epoch,
coordinator_epoch, start_offset, aborted, error}, where start_offset is null if it was not given.
Source: KIP-664; Kafka tools, TransactionsCommand.java, and clients, FenceProducersHandler.java.
"""

from __future__ import annotations

import argparse
import asyncio

from logd.cli.confirm import confirm
from logd.cli.connection import about, refusal, run_with_client
from logd.cli.errors import CommandError, UsageError
from logd.cli.group_partitions import chosen_partitions
from logd.cli.open_transactions import OpenTransaction, hanging_among, open_transactions
from logd.cli.outcomes import Outcome, print_outcomes
from logd.cli.transactions import describe_transaction
from logd.clients.client import Client
from logd.clients.cluster_client import RETRY_PAUSE_S, ClusterClient, broker_error
from logd.clients.coordinators import CoordinatorOf, Coordinators
from protocol.errors import BrokerError, ErrorCode
from protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from protocol.messages.write_txn_markers import WriteTxnMarkersRequest, WriteTxnMarkersResponse
from protocol.types import TopicPartition


def run(options: argparse.Namespace) -> int:
    _check(options)

    async def work(cluster: ClusterClient) -> int:
        if options.topics:
            return print_outcomes(options, [await _abort_hanging(options, cluster)])
        ids = list(dict.fromkeys(options.ids))
        if not options.yes:
            await confirm(f"abort the transaction of {', '.join(ids)}, and fence its producer?")
        coordinators = Coordinators(cluster, options.timeout, CoordinatorOf.TRANSACTIONS)
        outcomes = await asyncio.gather(*(_abort(options, cluster, coordinators, each) for each in ids))
        return print_outcomes(options, outcomes)

    return run_with_client(options, work)


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for options that do not go together."""
    producer = (options.producer_id, options.producer_epoch, options.coordinator_epoch)
    if bool(options.ids) == bool(options.topics):
        raise UsageError(
            "name either a transactional id, or with --topic the partition of a hanging transaction"
        )
    if options.ids:
        if options.start_offset is not None or producer != (None, None, None):
            raise UsageError("--start-offset and the producer's options go with --topic")
    elif len(options.topics) != 1 or len(options.topics[0][1]) != 1:
        raise UsageError("--topic has to name one partition", "such as orders:0")
    elif options.start_offset is not None:
        if producer != (None, None, None):
            raise UsageError("--start-offset says whose transaction it is; leave the producer's options out")
    elif None in producer:
        what = "--start-offset, or all of --producer-id, --producer-epoch and --coordinator-epoch"
        raise UsageError(f"the transaction in the partition is not named; give {what}")


# -- of a transactional id -------------------------------------------------------------------------------


async def _abort(
    options: argparse.Namespace, cluster: ClusterClient, coordinators: Coordinators, transactional_id: str
) -> Outcome:
    row = {"transactional_id": transactional_id, "aborted": False}
    try:
        # An id that nobody has would be made by asking for a producer.
        transaction = await describe_transaction(cluster, coordinators, transactional_id)
        if not transaction.is_under_way:
            text = f"{transactional_id} has no transaction under way: it is {transaction.state}"
            return Outcome(row, text)
        await _fence(cluster, coordinators, transactional_id, transaction.timeout_ms, options.timeout)
    except BrokerError as error:
        if error.code != ErrorCode.TRANSACTIONAL_ID_NOT_FOUND:  # it says which id by itself
            error = about(f"transactional id {transactional_id}", error)
        return Outcome(row, "", error)
    return Outcome(row | {"aborted": True}, f"aborted the transaction of {transactional_id}")


async def _fence(
    cluster: ClusterClient,
    coordinators: Coordinators,
    transactional_id: str,
    timeout_ms: int,
    patience_s: float,
) -> None:
    """Have the coordinator give the id to a new producer. Until the old transaction is at its end, it says so."""

    async def ask(coordinator: Client) -> None:
        request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=timeout_ms)
        response: InitProducerIdResponse = await cluster.call_on(coordinator, request)
        if response.error_code != ErrorCode.NONE:
            raise broker_error(response.error_code, None)

    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        try:
            return await coordinators.run(transactional_id, ask)
        except BrokerError as error:
            if error.code != ErrorCode.CONCURRENT_TRANSACTIONS or loop.time() >= deadline:
                raise
        await asyncio.sleep(RETRY_PAUSE_S)


# -- in one partition ------------------------------------------------------------------------------------


async def _abort_hanging(options: argparse.Namespace, cluster: ClusterClient) -> Outcome:
    (partition,) = await chosen_partitions(cluster, options.topics)
    transaction = await _named(options, cluster, partition)
    if not options.force:
        await _check_hanging(options, cluster, transaction)
    name = f"{partition.topic} [{partition.partition}]"
    if not options.yes:
        await confirm(f"abort what producer {transaction.producer_id} has open in {name}?")
    error = await _write_marker(cluster, transaction)
    row = {
        "topic": partition.topic,
        "partition": partition.partition,
        "producer_id": transaction.producer_id,
        "producer_epoch": transaction.producer_epoch,
        "coordinator_epoch": transaction.coordinator_epoch,
        "start_offset": options.start_offset,
        "aborted": error is None,
    }
    return Outcome(row, f"aborted the transaction of producer {transaction.producer_id} in {name}", error)


async def _named(
    options: argparse.Namespace, cluster: ClusterClient, partition: TopicPartition
) -> OpenTransaction:
    """The transaction that the options name."""
    if options.start_offset is None:
        return OpenTransaction(
            partition, options.producer_id, options.producer_epoch, options.coordinator_epoch, -1, -1
        )
    found = (await open_transactions(cluster, [partition]))[partition]
    if isinstance(found, BrokerError):
        raise found
    for each in found:
        if each.start_offset == options.start_offset:
            return each
    begin = ", ".join(str(each.start_offset) for each in found)
    raise CommandError(
        f"no transaction that is open in {partition.topic} [{partition.partition}] begins at {options.start_offset}",
        f"they begin at {begin}" if begin else "none is open there",
    )


async def _check_hanging(
    options: argparse.Namespace, cluster: ClusterClient, transaction: OpenTransaction
) -> None:
    """Raises CommandError where its coordinator will end it, or has, or where there is no such transaction."""
    if await hanging_among(cluster, [transaction], timeout_s=options.timeout):
        return
    partition, producer_id = transaction.partition, transaction.producer_id
    found = (await open_transactions(cluster, [partition]))[partition]
    if not isinstance(found, BrokerError) and all(each.producer_id != producer_id for each in found):
        raise CommandError(
            f"producer {producer_id} has no transaction that is open in {partition.topic} [{partition.partition}]",
            "`logd txn find-hanging` lists those that hang",
        )
    raise CommandError(
        f"producer {transaction.producer_id} has no transaction there that hangs: its coordinator ends it",
        f"`logd txn list --producer-id {transaction.producer_id}` names it, `logd txn abort` with that name ends it "
        "everywhere; --force aborts it in this partition alone",
    )


async def _write_marker(cluster: ClusterClient, transaction: OpenTransaction) -> BrokerError | None:
    topic, number = transaction.partition
    marker = WriteTxnMarkersRequest.WritableTxnMarker(
        producer_id=transaction.producer_id,
        producer_epoch=transaction.producer_epoch,
        transaction_result=False,
        # Where none has ended a transaction of the producer yet, no coordinator is older than this.
        coordinator_epoch=max(transaction.coordinator_epoch, 0),
        topics=[WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=topic, partition_indexes=[number])],
    )

    async def write(leader: Client) -> None:
        request = WriteTxnMarkersRequest(markers=[marker])
        response: WriteTxnMarkersResponse = await cluster.call_on(leader, request)
        (row,) = response.markers[0].topics[0].partitions
        if row.error_code != ErrorCode.NONE:
            raise broker_error(row.error_code, None)

    try:
        await cluster.on_leader(topic, number, write)
    except BrokerError as error:
        return refusal(f"{topic} [{number}]", error.code, error.message)
    return None
