"""Questions about the features of the cluster. None changes any: all questions share one broker."""

from __future__ import annotations

from typing import Any

from logd.clients.client import Client
from protocol.errors import ErrorCode
from protocol.messages.update_features import UpdateFeaturesRequest
from tests.compat.questions.asking import answered

E = ErrorCode

UPGRADE, SAFE, UNSAFE = 1, 2, 3


async def update(
    client: Client, version: int, *updates: tuple[str, int, int], **fields: Any
) -> tuple[ErrorCode, list[tuple[str, ErrorCode]]]:
    rows = [
        UpdateFeaturesRequest.FeatureUpdateKey(feature=feature, max_version_level=level, upgrade_type=kind)
        for feature, level, kind in updates
    ]
    request = UpdateFeaturesRequest(feature_updates=rows, **fields)
    response = await client.call(request, version=version)
    return ErrorCode(response.error_code), [
        (row.feature, ErrorCode(row.error_code)) for row in response.results
    ]


@answered(
    [
        (E.NONE, [("group.version", E.NONE)]),
        (E.NONE, []),
        (E.NONE, []),
        (E.INVALID_UPDATE_VERSION, []),
        (E.INVALID_UPDATE_VERSION, []),
        (E.INVALID_UPDATE_VERSION, []),
        (E.INVALID_UPDATE_VERSION, []),
        (E.INVALID_UPDATE_VERSION, []),
    ]
)
async def levels_are_checked(client: Client, _topic: str) -> Any:
    group = "group.version"
    return [
        await update(client, 1, (group, 0, SAFE), validate_only=True),
        await update(client, 2, (group, 0, UNSAFE), validate_only=True),
        await update(client, 2, (group, 1, UPGRADE), validate_only=True),
        await update(client, 2, (group, 0, UPGRADE), validate_only=True),
        await update(client, 1, (group, -1, SAFE), validate_only=True),
        await update(client, 1, (group, 9, UPGRADE), validate_only=True),
        await update(client, 1, (group, 0, 0), validate_only=True),
        await update(client, 2, ("metadata.version", 99, UPGRADE), ("group.version", 1, UPGRADE)),
    ]


@answered([(E.INVALID_UPDATE_VERSION, []), (E.NONE, [("metadata.version", E.NONE)])])
async def features_in_version_0(client: Client, _topic: str) -> Any:
    row = UpdateFeaturesRequest.FeatureUpdateKey(
        feature="group.version", max_version_level=0, allow_downgrade=True
    )
    response = await client.call(UpdateFeaturesRequest(feature_updates=[row]), version=0)
    return [
        (ErrorCode(response.error_code), response.results),
        await update(client, 0, ("metadata.version", 30, UPGRADE)),
    ]


@answered([(E.INVALID_UPDATE_VERSION, []), (E.INVALID_UPDATE_VERSION, [])])
async def a_feature_that_nobody_knows(client: Client, _topic: str) -> Any:
    return [
        await update(client, 2, ("unheard.of", 1, UPGRADE)),
        await update(client, 2, ("unheard.of", 0, SAFE)),
    ]
