"""One broker of the cluster, as it registered last. A value: a change makes a new one.

Source: Kafka, metadata/BrokerRegistration.java.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from protocol.messages.records_metadata import RegisterBrokerRecord
from protocol.types import NodeId


class Endpoint(NamedTuple):
    """Where clients reach a broker on one of its listeners."""

    host: str
    port: int
    security_protocol: int
    """0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL."""


class BrokerRegistration(NamedTuple):
    """One broker, as it registered last."""

    node_id: NodeId
    broker_epoch: int
    """Offset of the record that registered this incarnation; fences commands of an earlier one."""
    incarnation_id: bytes
    endpoints: Mapping[str, Endpoint]
    """By listener name, in the order they were registered."""
    features: Mapping[str, tuple[int, int]]
    """Supported (lowest, highest) level by feature, both inclusive."""
    rack: str | None
    fenced: bool
    """Registered but not serving: leads nothing and is not shown to clients."""
    in_controlled_shutdown: bool
    log_dirs: tuple[bytes, ...]


def registration_record(registration: BrokerRegistration) -> RegisterBrokerRecord:
    return RegisterBrokerRecord(
        broker_id=registration.node_id,
        incarnation_id=registration.incarnation_id,
        broker_epoch=registration.broker_epoch,
        end_points=[
            RegisterBrokerRecord.BrokerEndpoint(
                name=listener, host=point.host, port=point.port, security_protocol=point.security_protocol
            )
            for listener, point in registration.endpoints.items()
        ],
        features=[
            RegisterBrokerRecord.BrokerFeature(
                name=name, min_supported_version=low, max_supported_version=high
            )
            for name, (low, high) in registration.features.items()
        ],
        rack=registration.rack,
        fenced=registration.fenced,
        in_controlled_shutdown=registration.in_controlled_shutdown,
        log_dirs=list(registration.log_dirs),
    )


def registration_from(record: RegisterBrokerRecord) -> BrokerRegistration:
    return BrokerRegistration(
        node_id=record.broker_id,
        broker_epoch=record.broker_epoch,
        incarnation_id=record.incarnation_id,
        endpoints=MappingProxyType(
            {
                point.name: Endpoint(point.host, point.port, point.security_protocol)
                for point in record.end_points
            }
        ),
        features=MappingProxyType(
            {
                feature.name: (feature.min_supported_version, feature.max_supported_version)
                for feature in record.features
            }
        ),
        rack=record.rack,
        fenced=record.fenced,
        in_controlled_shutdown=record.in_controlled_shutdown,
        log_dirs=tuple(record.log_dirs),
    )
