"""redis-py against a replica of ours that follows a real primary: what its users do, in their words."""

import asyncio
import sys
import threading

import hiredis  # noqa: F401  (redis-py parses with it where it can be imported)
import redis
import redis.asyncio
from redis.cache import CacheConfig

from checks import MASTER, OURS, check, done, eventually


def caught_up(master, ours):
    """Everything that the primary has written until now can be read here."""
    offset = master.info("replication")["master_repl_offset"]
    eventually("offset", lambda: ours.info("replication")["master_repl_offset"] >= offset)


def plain(protocol):
    master = redis.Redis(port=MASTER, protocol=protocol, decode_responses=True)
    ours = redis.Redis(port=OURS, protocol=protocol, decode_responses=True, client_name="py")
    check(ours.ping(), "ping")
    check(ours.client_getname() == "py", "name")
    master.set("text", "häß")
    master.hset("hash", mapping={"a": 1, "b": "two"})
    master.rpush("list", *range(100))
    master.sadd("set", "x", "y", "z")
    master.zadd("zset", {"one": 1, "two": 2.5, "inf": float("inf")})
    master.xadd("stream", {"f": "v"}, id="1-1")
    master.set("soon", "gone", px=3_600_000)
    caught_up(master, ours)
    check(ours.get("text") == "häß", "get")
    check(ours.hgetall("hash") == {"a": "1", "b": "two"}, "hgetall")
    check(ours.lrange("list", -3, -1) == ["97", "98", "99"], "lrange")
    check(ours.smembers("set") == {"x", "y", "z"}, "smembers")
    check(ours.zscore("zset", "two") == 2.5, "zscore")
    for command in (lambda r: r.zrange("zset", 0, -1, withscores=True), lambda r: r.zrangebyscore("zset", 1, "+inf"),
                    lambda r: r.xrange("stream"), lambda r: r.xinfo_stream("stream"), lambda r: r.mget("text", "none"),
                    lambda r: r.object("encoding", "zset"), lambda r: r.type("list"), lambda r: r.zmscore("zset", ["one", "no"]),
                    lambda r: r.command_count() > 200, lambda r: r.hrandfield("none"), lambda r: r.lpos("list", "7")):
        check(command(ours) == command(master), "the same reply from both")
    check(0 < ours.pttl("soon") <= 3_600_000, "pttl")
    # Pipelines, with and without MULTI.
    for transaction in (False, True):
        with ours.pipeline(transaction=transaction) as pipe:
            for i in range(500):
                pipe.lindex("list", i)
            pipe.hget("hash", "a")
            answers = pipe.execute()
        check(answers[:100] == [str(i) for i in range(100)] and answers[100] is None and answers[-1] == "1", "pipeline")
    # An error in the middle of one is that command's alone.
    with ours.pipeline(transaction=False) as pipe:
        answers = pipe.get("text").lpop("list").get("list").get("text").execute(raise_on_error=False)
    check(answers[0] == answers[3] == "häß", "around the errors")
    check(isinstance(answers[1], redis.ReadOnlyError), f"a write is refused: {answers[1]!r}")
    check(isinstance(answers[2], redis.ResponseError) and "WRONGTYPE" in str(answers[2]), "wrong type")
    # Optimistic transaction that only reads.
    check(ours.transaction(lambda pipe: (pipe.multi(), pipe.get("text")), "text") == ["häß"], "watch")
    # Scans.
    check(set(ours.scan_iter(match="*s*", count=3)) == set(master.scan_iter(match="*s*", count=1000)), "scan_iter")
    check(dict(ours.hscan_iter("hash")) == {"a": "1", "b": "two"}, "hscan_iter")
    check(set(ours.sscan_iter("set")) == {"x", "y", "z"}, "sscan_iter")
    check(dict(ours.zscan_iter("zset")) == {"one": 1.0, "two": 2.5, "inf": float("inf")}, "zscan_iter")
    # Scripts, known and unknown.
    script = ours.register_script("return {redis.call('GET', KEYS[1]), ARGV[1], #ARGV}")
    check(script(keys=["text"], args=["a", "b"]) == ["häß", "a", 2], "script")
    check(ours.script_exists(script.sha) == [True], "script exists")
    check(ours.eval_ro("return redis.call('LLEN', KEYS[1])", 1, "list") == 100, "eval_ro")
    try:
        ours.eval("return redis.call('SET', KEYS[1], 1)", 1, "text")
        check(False, "a script wrote")
    except redis.ResponseError as error:
        check("READONLY" in str(error) or "read only" in str(error).lower(), f"script: {error}")
    # Whatever reads INFO, CLIENT and CONFIG.
    info = ours.info("server")
    check(info.get("redis_mode", info.get("server_mode")) == "standalone", "info")
    check(ours.role()[0] in ("slave", b"slave"), "role")
    check(any(client["name"] == "py" for client in ours.client_list()), "client list")
    check(ours.config_get("maxmemory") == {"maxmemory": "0"}, "config get")
    check(ours.memory_usage("list") > 0, "memory usage")
    # The connection goes away: the next command is on a new one.
    before = ours.client_id()
    other = redis.Redis(port=OURS)
    other.client_kill_filter(_id=before)
    check(ours.client_id() != before, "reconnected")
    master.flushall()
    caught_up(master, ours)


def listening(protocol):
    master = redis.Redis(port=MASTER, decode_responses=True)
    ours = redis.Redis(port=OURS, protocol=protocol, decode_responses=True)
    with ours.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("n*")
        seen = [listener.get_message(timeout=30) for _ in range(2)]
        check([m["type"] for m in seen] == ["subscribe", "psubscribe"], "subscribed")
        # Published on the primary: it comes through the replication stream.
        master.publish("news", "hello")
        seen = sorted((m["type"], m["channel"], m["data"]) for m in (listener.get_message(timeout=30) for _ in range(2)))
        check(seen == [("message", "news", "hello"), ("pmessage", "news", "hello")], f"messages: {seen}")
        # And here.
        check(ours.publish("news", "again") == 2, "publish")
        check(listener.get_message(timeout=30)["data"] == "again", "published here")
    # Keyspace events of replicated writes.
    ours.config_set("notify-keyspace-events", "KEA")
    with ours.pubsub() as listener:
        listener.psubscribe("__keyspace@0__:*")
        listener.get_message(timeout=30)
        master.lpush("events", "x")
        message = listener.get_message(timeout=30)
        check((message["channel"], message["data"]) == ("__keyspace@0__:events", "lpush"), f"event: {message}")
    ours.config_set("notify-keyspace-events", "")
    master.delete("events")


def blocking():
    master, ours = redis.Redis(port=MASTER), redis.Redis(port=OURS)
    got = []
    waiter = threading.Thread(target=lambda: got.append(ours.xread({"queue": "$"}, block=30_000)))
    waiter.start()
    info = redis.Redis(port=OURS)
    eventually("waits", lambda: info.info("clients")["blocked_clients"] == 1)
    master.xadd("queue", {"job": "1"}, id="5-1")
    waiter.join()
    # RESP3 answers with a map, which redis-py passes on as it is.
    check("5-1" in repr(got[0]), f"woken by a replicated write: {got}")
    check(not ours.xread({"queue": "$"}, block=20), "in vain")
    master.delete("queue")


def cached():
    """Client-side caching: a change on the primary reaches the cache of a client of the replica."""
    master = redis.Redis(port=MASTER, decode_responses=True)
    ours = redis.Redis(port=OURS, protocol=3, decode_responses=True, cache_config=CacheConfig(max_size=100))
    for n in range(20):
        master.set("cached", n)
        caught_up(master, ours)
        eventually("the new value", lambda: ours.get("cached") == str(n))
        check(ours.get("cached") == str(n), "cached")
    check(ours.get_cache().size >= 1, "something is cached")
    before = ours.info("stats")["total_commands_processed"]
    for _ in range(50):
        ours.get("cached")
    after = ours.info("stats")["total_commands_processed"]
    check(after - before <= 3, f"served from the cache: {after - before} commands")
    master.delete("cached")


async def asynchronous():
    master = redis.asyncio.Redis(port=MASTER, decode_responses=True)
    async with redis.asyncio.Redis(port=OURS, protocol=3, decode_responses=True) as ours:
        await master.mset({f"a:{i}": i for i in range(80)})
        await master.wait(1, 30_000)
        values = await asyncio.gather(*(ours.get(f"a:{i}") for i in range(80)))
        check(values == [str(i) for i in range(80)], "eighty at once")
        check(len([key async for key in ours.scan_iter("a:*", count=20)]) == 80, "async scan")
        async with ours.pubsub() as listener:
            await listener.subscribe("async")
            await listener.get_message(timeout=30)
            await master.publish("async", "ping")
            message = await listener.get_message(timeout=30)
            check(message["data"] == "ping", "async message")
        async with ours.pipeline(transaction=True) as pipe:
            check(await pipe.get("a:1").get("a:2").execute() == ["1", "2"], "async pipeline")
        try:
            await ours.set("a:1", "x")
            check(False, "a write went through")
        except redis.ReadOnlyError:
            check(True, "read only")
    await master.flushall()
    await master.aclose()


redis.Redis(port=MASTER).flushall()
for version in (2, 3):
    plain(version)
    listening(version)
blocking()
# redis-py goes by the version, and does not cache what Valkey says.
if "redis_mode" in redis.Redis(port=MASTER).info("server"):
    cached()
asyncio.run(asynchronous())
print(f"redis-py {redis.__version__}: {done()} checks", file=sys.stderr)
