"""XXH3, 64 bits, without a seed: the hash by which Kafka notices that the topics of a group changed.

For short inputs, computed rarely; the speed of the original is not the point.
Source: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

from struct import unpack_from
from typing import Final

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF

_PRIME32_1: Final = 0x9E3779B1
_PRIME32_2: Final = 0x85EBCA77
_PRIME32_3: Final = 0xC2B2AE3D
_PRIME64_1: Final = 0x9E3779B185EBCA87
_PRIME64_2: Final = 0xC2B2AE3D27D4EB4F
_PRIME64_3: Final = 0x165667B19E3779F9
_PRIME64_4: Final = 0x85EBCA77C2B2AE63
_PRIME64_5: Final = 0x27D4EB2F165667C5
_PRIME_MX1: Final = 0x165667919E3779F9
_PRIME_MX2: Final = 0x9FB21C651E98DF25

_SECRET: Final = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_STRIPE: Final = 64
_STRIPES_PER_BLOCK: Final = 16


def xxh3_64(data: bytes) -> int:
    """Return the hash, unsigned."""
    size = len(data)
    if size <= 16:
        return _up_to_16(data, size)
    if size <= 128:
        return _up_to_128(data, size)
    if size <= 240:
        return _up_to_240(data, size)
    return _long(data, size)


def _up_to_16(data: bytes, size: int) -> int:
    if size > 8:
        low = _u64(data, 0) ^ _u64(_SECRET, 24) ^ _u64(_SECRET, 32)
        high = _u64(data, size - 8) ^ _u64(_SECRET, 40) ^ _u64(_SECRET, 48)
        swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
        return _avalanche(size + swapped + high + _fold(low, high))
    if size >= 4:
        (first,) = unpack_from("<I", data, 0)
        (last,) = unpack_from("<I", data, size - 4)
        return _rrmxmx((last + (first << 32)) ^ _u64(_SECRET, 8) ^ _u64(_SECRET, 16), size)
    if size > 0:
        combined = data[0] << 16 | data[size >> 1] << 24 | data[size - 1] | size << 8
        first, second = unpack_from("<II", _SECRET, 0)
        return _avalanche64(combined ^ first ^ second)
    return _avalanche64(_u64(_SECRET, 56) ^ _u64(_SECRET, 64))


def _up_to_128(data: bytes, size: int) -> int:
    total = size * _PRIME64_1
    for pair in range((size - 1) // 32, -1, -1):
        total += _mix16(data, 16 * pair, 32 * pair) + _mix16(data, size - 16 * (pair + 1), 32 * pair + 16)
    return _avalanche(total)


def _up_to_240(data: bytes, size: int) -> int:
    total = size * _PRIME64_1
    for position in range(0, 128, 16):
        total += _mix16(data, position, position)
    total = _avalanche(total)
    for position in range(128, size - 15, 16):
        total += _mix16(data, position, position - 128 + 3)
    return _avalanche(total + _mix16(data, size - 16, 136 - 17))


def _long(data: bytes, size: int) -> int:
    lanes = [
        _PRIME32_3,
        _PRIME64_1,
        _PRIME64_2,
        _PRIME64_3,
        _PRIME64_4,
        _PRIME32_2,
        _PRIME64_5,
        _PRIME32_1,
    ]
    stripes = (size - 1) // _STRIPE
    for stripe in range(stripes):
        in_block = stripe % _STRIPES_PER_BLOCK
        _accumulate(lanes, data, stripe * _STRIPE, in_block * 8)
        if in_block == _STRIPES_PER_BLOCK - 1:
            _scramble(lanes)
    _accumulate(lanes, data, size - _STRIPE, len(_SECRET) - _STRIPE - 7)
    total = size * _PRIME64_1
    for pair in range(4):
        total += _fold(
            lanes[2 * pair] ^ _u64(_SECRET, 11 + 16 * pair),
            lanes[2 * pair + 1] ^ _u64(_SECRET, 19 + 16 * pair),
        )
    return _avalanche(total)


def _accumulate(lanes: list[int], data: bytes, position: int, secret_position: int) -> None:
    values = unpack_from("<8Q", data, position)
    secrets = unpack_from("<8Q", _SECRET, secret_position)
    for lane, (value, secret) in enumerate(zip(values, secrets, strict=True)):
        key = value ^ secret
        lanes[lane ^ 1] = lanes[lane ^ 1] + value & _MASK
        lanes[lane] = lanes[lane] + (key & 0xFFFF_FFFF) * (key >> 32) & _MASK


def _scramble(lanes: list[int]) -> None:
    secrets = unpack_from("<8Q", _SECRET, len(_SECRET) - _STRIPE)
    for lane, secret in enumerate(secrets):
        value = lanes[lane]
        lanes[lane] = (value ^ value >> 47 ^ secret) * _PRIME32_1 & _MASK


def _mix16(data: bytes, position: int, secret_position: int) -> int:
    low, high = unpack_from("<QQ", data, position)
    secret_low, secret_high = unpack_from("<QQ", _SECRET, secret_position)
    return _fold(low ^ secret_low, high ^ secret_high)


def _fold(left: int, right: int) -> int:
    product = left * right
    return product & _MASK ^ product >> 64


def _avalanche(value: int) -> int:
    value &= _MASK
    value = (value ^ value >> 37) * _PRIME_MX1 & _MASK
    return value ^ value >> 32


def _avalanche64(value: int) -> int:
    value = (value ^ value >> 33) * _PRIME64_2 & _MASK
    value = (value ^ value >> 29) * _PRIME64_3 & _MASK
    return value ^ value >> 32


def _rrmxmx(value: int, size: int) -> int:
    value ^= _rotated(value, 49) ^ _rotated(value, 24)
    value = value * _PRIME_MX2 & _MASK
    value = (value ^ (value >> 35) + size) * _PRIME_MX2 & _MASK
    return value ^ value >> 28


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK


def _u64(data: bytes, position: int) -> int:
    value: int = unpack_from("<Q", data, position)[0]
    return value
