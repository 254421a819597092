"""Whose request it is where there is nothing but an address."""

import pytest

from apps.service.access.addresses import Addresses, normal
from apps.service.settings import SettingsError, read

PROXY, CLIENT = "10.0.0.1", "192.0.2.1"


def seen(trusted: str, peer: str, forwarded: str = "") -> str:
    return Addresses(trusted).of(peer, {"x-forwarded-for": forwarded}.__getitem__)


@pytest.mark.parametrize(
    "trusted, peer, forwarded, expected",
    [
        ("", CLIENT, "", CLIENT),
        ("", PROXY, CLIENT, PROXY),  # nobody is trusted
        ("10.0.0.0/8", CLIENT, "198.51.100.7", CLIENT),  # not a proxy of ours
        ("10.0.0.0/8", PROXY, CLIENT, CLIENT),
        ("10.0.0.0/8", PROXY, "", PROXY),
        ("10.0.0.0/8", PROXY, f"198.51.100.7, {CLIENT}", CLIENT),  # on the left stands what the client wrote
        ("10.0.0.0/8", PROXY, f"{CLIENT}, 10.0.0.2", CLIENT),  # two proxies of ours
        ("10.0.0.0/8", PROXY, f"198.51.100.7, {CLIENT}, 10.0.0.2", CLIENT),
        ("10.0.0.0/8", PROXY, "10.0.0.3, 10.0.0.2", "10.0.0.3"),  # one of our own machines asks
        ("10.0.0.0/8", PROXY, f"{CLIENT}, unknown", PROXY),
        ("10.0.0.0/8", PROXY, f"{CLIENT}, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.0/8", PROXY, f" {CLIENT} ", CLIENT),
        ("10.0.0.0/8", PROXY, ",,,", PROXY),
        ("10.0.0.0/8", PROXY, "1" * 100_000, PROXY),
        ("10.0.0.0/8", PROXY, "," * 100_000, PROXY),
        ("10.0.0.0/8", PROXY, "192.0.2.1; DROP", PROXY),
        ("10.0.0.0/8", "::ffff:10.0.0.1", CLIENT, CLIENT),  # a socket for both kinds tells IPv4 so
        ("::1", "::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1, ::1", "127.0.0.1", CLIENT, CLIENT),
        ("10.0.0.1/8", PROXY, CLIENT, CLIENT),
        ("10.0.0.0/8", "", CLIENT, "unknown"),  # a socket in the file system
    ],
)
def test_x_forwarded_for_is_believed_of_trusted_proxies_and_read_from_the_right(
    trusted, peer, forwarded, expected
):
    assert seen(trusted, peer, forwarded) == expected


def test_a_network_of_ipv6_counts_as_one():
    assert {normal(f"2001:db8:1:2:{n:x}::{n:x}") for n in range(1, 500)} == {"2001:db8:1:2::/64"}
    assert normal("2001:db8:1:3::1") == "2001:db8:1:3::/64"
    assert normal("fe80::1%eth0") == "fe80::/64"
    assert normal("::ffff:192.0.2.1") == CLIENT


@pytest.mark.parametrize("value", ["10.0.0.0/33", "proxy.example.org", "10.0.0.1;10.0.0.2", "*"])
def test_networks_that_are_none_stop_the_start(monkeypatch, value):
    monkeypatch.setenv("TRUSTED_PROXIES", value)
    with pytest.raises(SettingsError, match="^TRUSTED_PROXIES: expected addresses or networks"):
        read()


@pytest.mark.parametrize(
    "value",
    [
        "600",
        "600/fortnight",
        "0/minute",
        "-1/minute",
        "1.5/minute",
        "predct=6/minute",
        "1000000/day",
        "=6/day",
    ],
)
def test_rates_that_are_none_stop_the_start(monkeypatch, value):
    monkeypatch.setenv("RATE_LIMITS", value)
    with pytest.raises(SettingsError, match="^RATE_LIMITS: expected 600/minute"):
        read()


GOOD = [
    "redis://127.0.0.1",
    "redis://127.0.0.1:6379",
    "redis://127.0.0.1:6379/0",
    "redis://:s%40cret@redis:6379/1",
    "rediss://user:secret@redis.example.org:6380/0",
    "redis://[::1]:6379/0",
    "unix:///run/redis.sock",
]
BAD = [
    "127.0.0.1:6379",
    "http://:hunter2@127.0.0.1",
    "redis://",
    "redis://:hunter2@",
    "redis://:hunter2@127.0.0.1:port",
    "redis://:hunter2@127.0.0.1:70000",
    "redis://:hunter2@127.0.0.1/name",
    "redis://:hunter2@127.0.0.1?socket_timeout=60",  # which would win over ours
    "redis://:hunter2/@127.0.0.1",
    "redis://:hunter2@127.0.0.1 redis://b",
]


@pytest.mark.parametrize("value", GOOD)
def test_addresses_of_redis(monkeypatch, value):
    from apps.service.redis import Redis

    monkeypatch.setenv("REDIS_URL", value)
    found = read()
    Redis(found.redis_url, log=None)
    assert value not in repr(found)


@pytest.mark.parametrize("value", BAD)
def test_an_address_of_redis_that_is_none_stops_the_start_and_is_not_repeated(monkeypatch, value):
    monkeypatch.setenv("REDIS_URL", value)
    with pytest.raises(SettingsError, match="^REDIS_URL: expected an address such as redis://127") as told:
        read()
    assert "hunter2" not in str(told.value)
