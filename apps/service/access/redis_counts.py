"""Counts in Redis: one script, so that nothing comes between a look and a count, and one way there and back.

The library `limits` asks twice for each limit, and goes by the clocks of the clients; this by that of Redis.
https://redis.io/docs/latest/develop/programmability/eval-intro/"""

from collections.abc import Sequence
from random import getrandbits

from redis import Redis

from apps.service.access.policies import Asked, Taken

LEASE_SECONDS = 30.0  # after which a slot that nobody renews is free: its process has gone

# How much to count, 0 to look only; the slot's holder; and of each key: its kind, its limit and its span in
# microseconds. Every key has an end.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local amount = tonumber(ARGV[1])
local function text(number) return string.format('%.0f', number) end
local answer = {1}
for i, key in ipairs(KEYS) do
  local kind, limit, span = ARGV[3 * i], tonumber(ARGV[3 * i + 1]), tonumber(ARGV[3 * i + 2])
  local used, wait = 0, 0
  if kind == 'window' then
    local newest = redis.call('LINDEX', key, -1)
    if newest and tonumber(newest) > now + 1000000 then redis.call('DEL', key) end -- the clock was set back
    local oldest = redis.call('LINDEX', key, 0)
    while oldest and tonumber(oldest) <= now - span do
      redis.call('LPOP', key)
      oldest = redis.call('LINDEX', key, 0)
    end
    used = redis.call('LLEN', key)
    if oldest then wait = math.min(oldest + span - now, span) end
  elseif kind == 'period' then
    used = tonumber(redis.call('GET', key) or 0)
    wait = span - now % span
  else
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now))
    used = redis.call('ZCARD', key)
  end
  if used + math.max(amount, 1) > limit then answer[1] = 0 end
  answer[2 * i], answer[2 * i + 1] = used, wait
end
if answer[1] == 0 or amount == 0 then return answer end
for i, key in ipairs(KEYS) do
  local kind, span = ARGV[3 * i], tonumber(ARGV[3 * i + 2])
  if kind == 'window' then
    redis.call('RPUSH', key, text(now))
    redis.call('PEXPIRE', key, text(math.ceil(span / 1000)))
    if answer[2 * i] == 0 then answer[2 * i + 1] = span end
  elseif kind == 'period' then
    redis.call('INCRBY', key, text(amount))
    redis.call('PEXPIREAT', key, text((now - now % span + span) / 1000))
  else
    redis.call('ZADD', key, text(now + span), ARGV[2])
    redis.call('PEXPIRE', key, text(math.ceil(span / 1000)))
  end
  answer[2 * i] = answer[2 * i] + amount
end
return answer
"""
# How much to count, and of each key its span in microseconds.
SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i, key in ipairs(KEYS) do
  local span = tonumber(ARGV[i + 1])
  if redis.call('INCRBY', key, ARGV[1]) > 0 then
    redis.call('PEXPIREAT', key, string.format('%.0f', (now - now % span + span) / 1000))
  else
    redis.call('DEL', key)
  end
end
"""
RENEW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, 'XX', string.format('%.0f', now + ARGV[1]), ARGV[i + 1])
  redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(ARGV[1] / 1000)))
end
"""


class RedisCounts:
    """Every method may raise redis.RedisError or OSError, after the client's timeout at most. None tries
    twice."""

    def __init__(self, client: Redis, lease: float = LEASE_SECONDS) -> None:
        self._redis = client
        self._take = self._redis.register_script(TAKE)
        self._spend = self._redis.register_script(SPEND)
        self._renew = self._redis.register_script(RENEW)
        self._lease = micro(lease)

    def holder(self) -> str:
        """A name for a slot that nobody else has."""
        return f"{getrandbits(64):x}"

    def take(self, asked: Sequence[Asked], holder: str = "", amount: int = 1) -> Taken:
        """Count one with each, or `amount` where all are periods, if there is room in all; the slot under the
        name `holder`. With 0, only look."""
        told: list = [amount, holder]
        for policy, _ in asked:
            told += [policy.kind, policy.limit, self._lease if policy.is_slot else micro(policy.seconds)]
        inside, *found = self._take([name(one) for one in asked], told)
        pairs = zip(found[::2], found[1::2], strict=True)
        return Taken(bool(inside), [(used, wait / 1e6) for used, wait in pairs])

    def spend(self, asked: Sequence[Asked], amount: int) -> None:
        """Count so many in each of these periods, room or not; where it is less than 0, so many less."""
        spans = [micro(policy.seconds) for policy, _ in asked]
        self._spend([name(one) for one in asked], [amount, *spans])

    def take_back(self, asked: Sequence[Asked]) -> None:
        """Count one less in each of these windows."""
        pipeline = self._redis.pipeline(transaction=False)
        for one in asked:
            pipeline.rpop(name(one))
        pipeline.execute()

    def give_back(self, slots: Sequence) -> None:
        """`slots` have a policy, a key, and a holder."""
        if slots:
            pipeline = self._redis.pipeline(transaction=False)
            for policy, key, holder in slots:
                pipeline.zrem(name((policy, key)), holder)
            pipeline.execute()

    def renew(self, slots: Sequence) -> None:
        """They are still held."""
        if slots:
            names = [name((policy, key)) for policy, key, _ in slots]
            self._renew(names, [self._lease, *(holder for _, _, holder in slots)])


def name(one: Asked) -> str:
    """Of a count in Redis. Servers that count differently have counts of their own."""
    policy, key = one
    return f"servelab:{policy.kind}:{policy.name}:{policy.seconds:g}:{key}"


def micro(seconds: float) -> int:
    return int(seconds * 1e6)
