"""What tests say about settings, and what they look at in the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.alter_configs import AlterConfigsRequest
from protocol.messages.describe_configs import DescribeConfigsRequest, DescribeConfigsResponse
from protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from tests.support.patience import wait_until_async

TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32
SET, DELETE, APPEND, SUBTRACT = range(4)
FROM_TOPIC, FROM_NODE, FROM_CLUSTER, FROM_START, DEFAULT = 1, 2, 3, 4, 5

Change = tuple[str, int, str | None]
Row = DescribeConfigsResponse.DescribeConfigsResourceResult


class Talk:
    """A conversation about settings."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def alter(
        self, kind: int, name: str, *changes: Change, validate_only: bool = False, version: int | None = None
    ) -> ErrorCode:
        (code,) = await self.alter_all((kind, name, changes), validate_only=validate_only, version=version)
        return code

    async def alter_all(
        self,
        *resources: tuple[int, str, Iterable[Change]],
        validate_only: bool = False,
        version: int | None = None,
    ) -> list[ErrorCode]:
        asked = IncrementalAlterConfigsRequest
        request = asked(
            resources=[
                asked.AlterConfigsResource(
                    resource_type=kind,
                    resource_name=name,
                    configs=[
                        asked.AlterableConfig(name=key, config_operation=operation, value=value)
                        for key, operation, value in changes
                    ],
                )
                for kind, name, changes in resources
            ],
            validate_only=validate_only,
        )
        response = await self.client.call(request, version=version)
        assert [(row.resource_type, row.resource_name) for row in response.responses] == [
            (kind, name) for kind, name, _ in resources
        ]
        for row in response.responses:
            assert (row.error_message is None) == (row.error_code == 0)
        return [ErrorCode(row.error_code) for row in response.responses]

    async def replace(
        self, kind: int, name: str, configs: dict[str, str | None], *, version: int | None = None
    ) -> ErrorCode:
        asked = AlterConfigsRequest
        resource = asked.AlterConfigsResource(
            resource_type=kind,
            resource_name=name,
            configs=[asked.AlterableConfig(name=key, value=value) for key, value in configs.items()],
        )
        response = await self.client.call(asked(resources=[resource]), version=version)
        return ErrorCode(response.responses[0].error_code)

    async def describe(
        self, kind: int, name: str, *keys: str, synonyms: bool = True, version: int | None = None
    ) -> tuple[ErrorCode, dict[str, Row]]:
        asked = DescribeConfigsRequest
        resource = asked.DescribeConfigsResource(
            resource_type=kind, resource_name=name, configuration_keys=list(keys) or None
        )
        request = asked(
            resources=[resource], include_synonyms=synonyms, include_documentation=version in (None, 3, 4)
        )
        ((result),) = (await self.client.call(request, version=version)).results
        assert (result.resource_type, result.resource_name) == (kind, name)
        return ErrorCode(result.error_code), {row.name: row for row in result.configs}

    async def settled(self, kind: int, name: str, key: str, value: str | None) -> Row | None:
        """The setting once it has the value: Kafka's broker learns of a change after the one who made it."""
        row: Row | None = None

        async def has_it() -> bool:
            nonlocal row
            row = (await self.describe(kind, name, key))[1].get(key)
            return (None if row is None else row.value) == value

        await wait_until_async(has_it, lambda: f"{key} is {row}, not {value}")
        return row

    @asynccontextmanager
    async def cleared(self, name: str, *keys: str) -> AsyncIterator[None]:
        """Leave the broker's settings as they were: those of the node `name`, or of the cluster where it is empty."""
        try:
            yield
        finally:
            assert await self.alter(BROKER, name, *((key, DELETE, None) for key in keys)) is ErrorCode.NONE
            source = FROM_NODE if name else FROM_CLUSTER

            async def is_gone() -> bool:
                rows = (await self.describe(BROKER, name, *keys))[1]
                return source not in {row.config_source for row in rows.values()}

            await wait_until_async(is_gone, lambda: f"one of {keys} is still of source {source}")


def synonyms_of(row: Row | None) -> list[tuple[str, str | None, int]]:
    """Name, value and source of each, strongest first."""
    assert row is not None
    return [(synonym.name, synonym.value, synonym.source) for synonym in row.synonyms]
