"""Administration beyond topics: every scenario with each client that offers it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat import admin_scenarios as scenarios
from tests.support.clients import registry
from tests.support.clients.admin_port import Admin, Offer
from tests.support.clients.port import Client

Scenario = Callable[[Client, Admin, str], None]

SCENARIOS: dict[Offer, tuple[Scenario, ...]] = {
    Offer.DESCRIBE_CONFIGS: (
        scenarios.describe_topic_configs,
        scenarios.describe_broker_configs,
        scenarios.describe_configs_of_no_topic,
    ),
    Offer.CHANGE_CONFIGS: (
        scenarios.change_configs,
        scenarios.change_configs_wrongly,
        scenarios.change_broker_configs,
        scenarios.change_broker_configs_wrongly,
    ),
    Offer.ALTER_CONFIGS: (scenarios.alter_configs,),
    Offer.CREATE_PARTITIONS: (scenarios.create_partitions,),
    Offer.DELETE_RECORDS: (scenarios.delete_records, scenarios.delete_too_many_records),
    Offer.LIST_OFFSETS: (scenarios.list_offsets,),
    Offer.LIST_MAX_TIMESTAMP: (scenarios.list_max_timestamp,),
    Offer.DESCRIBE_PRODUCERS: (scenarios.describe_producers,),
    Offer.ELECT_LEADERS: (scenarios.elect_leaders,),
    Offer.LIST_REASSIGNMENTS: (scenarios.list_reassignments,),
    Offer.CANCEL_REASSIGNMENT: (scenarios.cancel_reassignment,),
    Offer.DESCRIBE_ACLS: (scenarios.describe_acls,),
    Offer.DESCRIBE_QUOTAS: (scenarios.describe_quotas,),
    Offer.DESCRIBE_SCRAM: (scenarios.describe_scram,),
    Offer.DESCRIBE_QUORUM: (scenarios.describe_quorum,),
    Offer.DESCRIBE_TOPIC_PARTITIONS: (scenarios.describe_topic_partitions,),
    Offer.LIST_CONFIG_RESOURCES: (scenarios.list_config_resources,),
}
# This one wants to know where the broker keeps its data, too.
DIRECTORIES = {Offer.DESCRIBE_LOG_DIRS}


@pytest.fixture
def admin(client: Client, bootstrap: str) -> Admin:
    if isinstance(client, Admin):  # one program behind both
        return client
    make = registry.BY_NAME[client.name].make_admin
    assert make is not None
    return make(bootstrap)


@pytest.mark.parametrize(
    ("client", "scenario"),
    [
        pytest.param(each.name, scenario, marks=each.marks, id=f"{scenario.__name__}-{each.name}")
        for offer, offered in SCENARIOS.items()
        for scenario in offered
        for each in registry.offering(offer)
    ],
    indirect=["client"],
)
def test_admin(client: Client, admin: Admin, topic: str, scenario: Scenario) -> None:
    scenario(client, admin, topic)


@pytest.mark.parametrize(
    "client",
    [pytest.param(each.name, marks=each.marks) for offer in DIRECTORIES for each in registry.offering(offer)],
    indirect=True,
)
def test_describe_log_dirs(client: Client, admin: Admin, topic: str, data_dir: Path) -> None:
    scenarios.describe_log_dirs(client, admin, topic, data_dir)


def test_everything_that_is_offered_is_tested() -> None:
    assert SCENARIOS.keys() | DIRECTORIES == set(Offer)
