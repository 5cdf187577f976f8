"""redis-py's RedisCluster against a copy of a real cluster that presents itself as one node with every slot."""

import redis
from redis.cluster import LoadBalancingStrategy, RedisCluster

from checks import MASTER, OURS, check, done, eventually


def speak(protocol, read_from_replicas):
    real = RedisCluster(host="127.0.0.1", port=MASTER, decode_responses=True, protocol=protocol)
    ours = RedisCluster(host="127.0.0.1", port=OURS, decode_responses=True, protocol=protocol, load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN if read_from_replicas else None)
    check(len(real.get_primaries()) == 3, "the real cluster has three")
    check([node.port for node in ours.get_nodes()] == [OURS], f"one node: {ours.get_nodes()}")
    for n in range(300):
        real.set(f"key:{n}", n)
    real.delete("{tag}list")
    real.hset("{tag}hash", mapping={"a": 1, "b": 2})
    real.rpush("{tag}list", *range(20))
    eventually("the last", lambda: all(ours.get(f"key:{n}") == str(n) for n in range(300)))
    eventually("the list", lambda: ours.lrange("{tag}list", 0, -1) == [str(n) for n in range(20)])
    check(ours.hgetall("{tag}hash") == {"a": "1", "b": "2"}, "hash")
    check(ours.mget_nonatomic([f"key:{n}" for n in range(50)]) == [str(n) for n in range(50)], "mget over slots")
    check(ours.keyslot("key:7") == ours.cluster_keyslot("key:7"), "keyslot")
    slot = ours.cluster_keyslot("key:7")
    check("key:7" in ours.cluster_get_keys_in_slot(slot, 100), "keys in slot")
    check(ours.cluster_countkeysinslot(slot) == real.cluster_countkeysinslot(slot), "count")
    check(ours.cluster_info(target_nodes=ours.get_primaries()[0])["cluster_state"] == "ok", "info")
    check(len(set(ours.scan_iter("key:*"))) == 300, "scan")
    # A write goes to the shard of its key.
    for n in range(50):
        check(ours.set(f"mine:{n}", protocol), "set")
    check(all(real.get(f"mine:{n}") == str(protocol) for n in range(50)), "written")
    eventually("read back", lambda: all(ours.get(f"mine:{n}") == str(protocol) for n in range(50)))
    pipe = ours.pipeline()
    for n in range(20):
        pipe.get(f"key:{n}")
    check(pipe.execute() == [str(n) for n in range(20)], "pipeline")
    check(ours.eval("return redis.call('GET', KEYS[1])", 1, "key:5") == "5", "eval")
    ours.close()
    real.close()


for protocol in (2, 3):
    for read_from_replicas in (False, True):
        speak(protocol, read_from_replicas)
print(f"redis-py {redis.__version__}: {done()} checks")
