#!/usr/bin/env python3
"""Makes the specimens in corpus/: dumps by real servers, and what the same servers say about their contents.

    make_corpus.py SERVER...        paths of redis-server or valkey-server binaries

Each server fills itself by commands and saves; the expected JSON comes from type-aware reads, not from the dump and not
from our decoder. Layouts that no living server writes (RDB 1 to 8) are put down here byte by byte; the last server of
the line loads them, and its reads are the expected JSON. Standard library only.
"""

import base64, json, os, pathlib, random, socket, struct, subprocess, sys, tempfile, time

OUT = pathlib.Path(__file__).resolve().parent / "corpus"
FAR = 4102444800000


def B64(data):
    """Base64; a long string that repeats itself is {"repeat": [B64 of the unit, times]}, to keep the files small."""
    for unit in (1, 2, 10):
        if len(data) > 256 and len(data) % unit == 0 and data == data[:unit] * (len(data) // unit):
            return {"repeat": [base64.b64encode(data[:unit]).decode(), len(data) // unit]}
    return base64.b64encode(data).decode()



class Failed(Exception):
    pass


class Server:
    def __init__(self, binary, dump=None):
        self.dir = tempfile.TemporaryDirectory()
        if dump:
            pathlib.Path(self.dir.name, "dump.rdb").write_bytes(dump)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir.name,
             "--enable-debug-command", "local"] if "6." not in version_of(binary) else
            [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.dir.name],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                self.file = self.socket.makefile("rb")
                if self("PING") == b"PONG":
                    break
            except (OSError, Failed):
                time.sleep(0.05)
        info = self("INFO", "server").decode()
        fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        self.valkey = "valkey_version" in fields
        self.version = tuple(int(part) for part in fields.get("valkey_version", fields["redis_version"]).split("."))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()

    def __call__(self, *args):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        reply = self.reply()
        if isinstance(reply, Failed):
            raise reply
        return reply

    def reply(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Failed(args_text(rest))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        raise OSError(line)

    def saved(self):
        self("SAVE")
        return pathlib.Path(self.dir.name, "dump.rdb").read_bytes()

    def newer(self, redis, valkey):
        return self.version >= (valkey if self.valkey else redis)


def args_text(rest):
    return rest.decode(errors="replace")


def version_of(binary):
    return subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.split("v=")[1].split()[0]


# ---- what a server says it holds

def contents(server):
    lines = []
    if server.newer((7, 0, 0), (0,)):
        for library in server("FUNCTION", "LIST", "WITHCODE"):
            fields = dict(zip(library[::2], library[1::2]))
            lines.append({"db": -1, "key": B64(fields[b"library_name"]), "type": "function", "expire_ms": None,
                          "value": B64(fields[b"library_code"])})
    for db in range(16):
        server("SELECT", db)
        for key in sorted(server("KEYS", "*")):
            lines.append(entry(server, db, key))
    server("SELECT", 0)
    return lines


def entry(server, db, key):
    kind = server("TYPE", key).decode()
    if server.newer((7, 0, 0), (0,)):
        expire = server("PEXPIRETIME", key)
    else:
        # Tests write round seconds: the exact time is found by rounding.
        ttl = server("PTTL", key)
        expire = -1 if ttl < 0 else round((time.time() * 1000 + ttl) / 1000) * 1000
    value = {"string": string, "list": list_, "set": set_, "zset": zset, "hash": hash_, "stream": stream}.get(kind)
    return {"db": db, "key": B64(key), "type": kind if value else "module",
            "expire_ms": None if expire < 0 else expire, "value": value(server, key) if value else None}


def string(server, key):
    return B64(server("GET", key))


def list_(server, key):
    return [B64(element) for element in server("LRANGE", key, 0, -1)]


def set_(server, key):
    return [B64(element) for element in sorted(server("SMEMBERS", key))]


def zset(server, key):
    flat = server("ZRANGE", key, 0, -1, "WITHSCORES")
    return [[B64(member), score.decode()] for member, score in zip(flat[::2], flat[1::2])]


def hash_(server, key):
    flat = server("HGETALL", key)
    fields = flat[::2]
    times = [-1] * len(fields)
    try:
        times = server("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
    except Failed:
        pass
    triples = sorted(zip(fields, flat[1::2], times))
    return [[B64(field), B64(value), None if ms < 0 else ms] for field, value, ms in triples]


def stream(server, key):
    # A count of 0 means all.
    full = pairs(server("XINFO", "STREAM", key, "FULL", "COUNT", 0))
    groups = []
    for group in map(pairs, full[b"groups"]):
        groups.append({
            "name": B64(group[b"name"]), "last_id": group[b"last-delivered-id"].decode(),
            "entries_read": group.get(b"entries-read", "unknown"),
            "pel": [[i.decode(), B64(consumer), ms, n] for i, consumer, ms, n in group.get(b"pel", group.get(b"pending", []))],
            "consumers": sorted(({"name": B64(c[b"name"]), "seen_ms": c[b"seen-time"],
                                  "active_ms": active(c.get(b"active-time", "unknown"))}
                                 for c in map(pairs, group[b"consumers"])), key=lambda c: c["name"])})
    return {"entries": [[i.decode(), [B64(part) for part in fields]] for i, fields in full[b"entries"]],
            "last_id": full[b"last-generated-id"].decode(),
            "max_deleted_id": full.get(b"max-deleted-entry-id", b"unknown").decode(),
            "entries_added": full.get(b"entries-added", "unknown"),
            "groups": sorted(groups, key=lambda g: g["name"])}


def active(ms):
    return None if ms == -1 else ms


def pairs(flat):
    return dict(zip(flat[::2], flat[1::2]))


# ---- what the servers are filled with

def strings(s, big):
    rng = random.Random(1)
    for text in ["", "0", "-1", "127", "-128", "128", "-129", "32767", "-32768", "32768", "2147483647", "-2147483648",
                 "2147483648", "9223372036854775807", "007", "+1", "-0", " 1", "1.5", "a" * 20, "a" * 21, "ab" * 40]:
        s("SET", "s:" + text[:24], text)
    s("SET", b"bin\0\r\n\xff", bytes(range(256)))
    s("SET", "123456", "an integer for a key")
    s("SET", "k" * 100, "a compressible key")
    s("SET", "raw512", rng.randbytes(512))
    s("SET", "raw16384", rng.randbytes(16384)) if big > 20000 else None
    s("SET", "big", b"0123456789" * (big // 10))
    s("SET", "mixed", b"".join(rng.randbytes(8) * 10 for _ in range(60)))
    s("SET", "expiring", "x", "PX", "1")
    s("PEXPIREAT", "raw512", FAR)
    s("SELECT", 3)
    s("SET", "elsewhere", "y")
    s("PFADD", "hll", *range(20))
    s("SETBIT", "bits", 1000, 1)
    s("SELECT", 0)


ELEMENTS = ["", "0", "127", "128", "-1", "4095", "-4096", "4096", "-4097", "32767", "-32769", "8388607", "-8388609",
            "2147483647", "-2147483649", "9223372036854775807", "-9223372036854775808", "007", "x" * 63, "y" * 64]


def lists(s):
    # Nodes of 4 KiB, so that a short list has several.
    s("CONFIG", "SET", "list-max-ziplist-size", -1)
    s("RPUSH", "one", "a")
    s("RPUSH", "empty", "")
    s("RPUSH", "elements", *ELEMENTS)
    s("RPUSH", "long", *("element:%d" % n for n in range(400)))
    s("RPUSH", "plain", "before", "p" * 10000, "behind", "q" * 5000)
    s("RPUSH", "text4096", "t" * 4095, "u" * 4096)
    s("EXPIREAT", "one", FAR // 1000)


def intsets(s):
    s("SADD", "one", 5)
    s("SADD", "w16", 1, 2, -32768, 32767)
    s("SADD", "w32", 1, 32768, -2147483648)
    s("SADD", "w64", 1, 2147483648, -9223372036854775808, 9223372036854775807)
    s("SADD", "limit", *range(512))


def sets(s):
    s("SADD", "one", "a")
    s("SADD", "elements", *ELEMENTS)
    s("SADD", "e128", *("e%d" % n for n in range(128)))


def big_sets(s):
    s("SADD", "e600", *("e%d" % n for n in range(600)))
    s("SADD", "long", "x" * 65, "y" * 512)
    s("SADD", "i513", *range(513))


SCORES = ["0", "1", "-1", "1.5", "inf", "-inf", "1e20", "0.1", "3.14159265358979", "-2.5e-7", "9007199254740993", "127", "128",
          "65536", "1e300", "4096"]


def zsets(s):
    s("ZADD", "one", 1, "a")
    s("ZADD", "scores", *sum(([score, "m%d" % n] for n, score in enumerate(SCORES)), []))
    s("ZADD", "members", *sum(([n, element] for n, element in enumerate(ELEMENTS[:-1])), []))
    s("ZADD", "limit", *sum(([n, "m%d" % n] for n in range(128)), []))
    s("GEOADD", "geo", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")


def big_zsets(s):
    s("ZADD", "m200", *sum(([n / 4, "m%d" % n] for n in range(200)), []))
    s("ZADD", "long", *sum(([score, "m" * 65 + str(n)] for n, score in enumerate(SCORES)), []))


def hashes(s):
    s("HSET", "one", "f", "v")
    s("HSET", "empty", "", "")
    s("HSET", "elements", *sum(([e, ELEMENTS[-n - 1]] for n, e in enumerate(ELEMENTS[:-1]) if len(e) < 64), []))
    s("HSET", "limit", *sum((["f%d" % n, n] for n in range(128)), []))


def big_hashes(s):
    s("HSET", "f600", *sum((["f%d" % n, n * 1000] for n in range(600)), []))
    s("HSET", "long", "f", "v" * 65, "g", "w" * 512, "", "")


def streams(s):
    for n in range(1, 251):
        s("XADD", "many", "%d-%d" % (1000 + n // 3, n), "n", n, "text", "value %d" % n)
    for n in range(2, 240, 7):
        s("XDEL", "many", "%d-%d" % (1000 + n // 3, n))
    s("XADD", "fields", "5-1", "a", 1, "b", "")
    s("XADD", "fields", "5-2", "a", -5, "b", 9223372036854775807)
    s("XADD", "fields", "6-0", "other", "x" * 100)
    s("XADD", "fields", "18446744073709551615-18446744073709551615", "last", "one")
    s("XGROUP", "CREATE", "many", "g1", 0)
    s("XGROUP", "CREATE", "many", "g2", "$")
    s("XGROUP", "CREATE", "many", "g3", "1010-30")
    s("XREADGROUP", "GROUP", "g1", "alice", "COUNT", 12, "STREAMS", "many", ">")
    s("XREADGROUP", "GROUP", "g1", "bob", "COUNT", 5, "STREAMS", "many", ">")
    s("XREADGROUP", "GROUP", "g3", "carol", "COUNT", 3, "STREAMS", "many", ">")
    s("XACK", "many", "g1", "1000-1")
    s("XCLAIM", "many", "g1", "bob", 0, "1001-3", "RETRYCOUNT", 70)
    if s.newer((6, 2, 0), (0,)):
        s("XGROUP", "CREATECONSUMER", "many", "g2", "idler")
    s("XGROUP", "CREATE", "empty", "g", "$", "MKSTREAM")
    s("XADD", "gone", "7-7", "f", "v")
    s("XDEL", "gone", "7-7")


def field_ttl(s, big):
    count = 600 if big else 20
    s("HSET", "h", *sum((["f%d" % n, "v%d" % n] for n in range(count)), []))
    s("HPEXPIREAT", "h", FAR, "FIELDS", 1, "f3")
    s("HPEXPIREAT", "h", FAR + 86400000, "FIELDS", 2, "f4", "f11")
    s("HSET", "all", "a", "1")
    s("HPEXPIREAT", "all", FAR, "FIELDS", 1, "a")
    s("HSET", "persisted", "a", "1", "b", "2")
    s("HPEXPIREAT", "persisted", FAR, "FIELDS", 1, "a")
    s("HPERSIST", "persisted", "FIELDS", 1, "a")


def functions(s):
    s("FUNCTION", "LOAD", "#!lua name=lib1\nredis.register_function('f1', function(keys, args) return args[1] end)")
    s("FUNCTION", "LOAD", "#!lua name=lib2\n" + "-- a comment that compresses\n" * 20
      + "redis.register_function{function_name='f2', callback=function() return 2 end, flags={'no-writes'}}")
    s("SET", "k", "v")


def idle(s, policy):
    s("CONFIG", "SET", "maxmemory", "1gb")
    s("CONFIG", "SET", "maxmemory-policy", policy)
    s("SET", "k", "v")
    s("SET", "e", "v", "PX", FAR)
    s("PEXPIREAT", "e", FAR)
    s("RPUSH", "l", 1, 2)


def scenarios(s):
    yield "string", "raw", lambda: strings(s, 1000000), "yes"
    yield "string", "nolzf", lambda: strings(s, 2000), "no"
    yield "list", None, lambda: lists(s), "yes"
    yield "list", "nolzf", lambda: lists(s), "no"
    yield "set", "intset", lambda: intsets(s), "yes"
    yield "set", None, lambda: sets(s), "no"
    yield "set", "hashtable", lambda: big_sets(s), "yes"
    yield "zset", None, lambda: zsets(s), "no"
    yield "zset", "skiplist", lambda: big_zsets(s), "yes"
    yield "hash", None, lambda: hashes(s), "no"
    yield "hash", "hashtable", lambda: big_hashes(s), "yes"
    yield "stream", "listpacks", lambda: streams(s), "yes"
    if s.newer((7, 4, 0), (9, 0, 0)):
        yield "hashttl", "small", lambda: field_ttl(s, False), "no"
        yield "hashttl", "large", lambda: field_ttl(s, True), "yes"
    if s.newer((7, 0, 0), (0,)):
        yield "function", "lua", lambda: functions(s), "yes"
    yield "meta", "lru", lambda: idle(s, "allkeys-lru"), "no"
    yield "meta", "lfu", lambda: idle(s, "allkeys-lfu"), "no"
    if not s.valkey and s.version >= (8, 0, 0):
        yield "module", "vectorset", lambda: [s("VADD", "v", "VALUES", 3, n, n * 2, 7, "e%d" % n) for n in range(12)], "no"


def by_server(binary):
    with Server(binary) as s:
        for kind, encoding, fill, compress in scenarios(s):
            s("FLUSHALL")
            if s.newer((7, 0, 0), (0,)):
                s("FUNCTION", "FLUSH")
            s("CONFIG", "SET", "maxmemory-policy", "noeviction")
            s("CONFIG", "SET", "rdbcompression", compress)
            s("DEBUG", "SET-ACTIVE-EXPIRE", 0) if s.version >= (7,) or s.version[0] == 6 else None
            fill()
            time.sleep(0.01)
            s("DEL", "expiring")
            if encoding is None:
                encoding = s("OBJECT", "ENCODING", sorted(s("KEYS", "*"))[0]).decode()
                if (kind, encoding) == ("set", "hashtable"):
                    encoding = "smalltable"
            dump = s.saved()
            version = int(dump[5:9] if dump[:5] == b"REDIS" else dump[6:9])
            write(kind, encoding, version, dump, contents(s))
        s("CONFIG", "SET", "maxmemory-policy", "noeviction")


def write(kind, encoding, version, dump, lines):
    path = OUT / f"{kind}_{encoding}_v{version}.rdb"
    path.write_bytes(dump)
    with open(path.with_suffix(".json"), "w") as out:
        for line in lines:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(path.name, len(dump), len(lines))


# ---- layouts that no living server writes

def length(n):
    return bytes([n]) if n < 64 else struct.pack(">H", n | 0x4000) if n < 16384 else b"\x80" + struct.pack(">I", n)


def text(data):
    data = data if isinstance(data, bytes) else str(data).encode()
    return length(len(data)) + data


def ziplist(items):
    body, previous, last = b"", 0, 10
    for item in items:
        head = bytes([previous]) if previous < 254 else b"\xfe" + struct.pack("<I", previous)
        if isinstance(item, int):
            if 0 <= item <= 12:
                data = bytes([0xF1 + item])
            else:
                code, form = next((c, f) for c, f, bits in [(0xFE, "<b", 8), (0xC0, "<h", 16), (0xD0, "<i", 32),
                                                            (0xE0, "<q", 64)] if -(1 << bits - 1) <= item < 1 << bits - 1)
                data = bytes([code]) + struct.pack(form, item)
        else:
            item = item.encode()
            n = len(item)
            data = (bytes([n]) if n < 64 else struct.pack(">H", n | 0x4000) if n < 16384 else
                    b"\x80" + struct.pack(">I", n)) + item
        last = 10 + len(body)
        body += head + data
        previous = len(head + data)
    return struct.pack("<IIH", 11 + len(body), last, len(items)) + body + b"\xff"


def zipmap(fields, count=None):
    size = lambda data: bytes([len(data)]) if len(data) < 254 else b"\xfe" + struct.pack("<I", len(data))
    body = b"".join(size(f) + f + size(v) + b"\x02" + v + b"??" for f, v in fields)
    return bytes([min(len(fields), 254) if count is None else count]) + body + b"\xff"


def intset(width, values):
    return struct.pack("<II", width, len(values)) + b"".join(v.to_bytes(width, "little", signed=True) for v in values)


MIXED = ["", "a", "b" * 63, "c" * 64, "d" * 300, 0, 12, 13, -1, 127, -128, 128, -32768, 32768, -2147483648, 2147483648]


def old_dumps():
    key = lambda type_byte, name, value: bytes([type_byte]) + text(name) + value
    flat = lambda items: length(len(items)) + b"".join(text(i) for i in items)
    yield "list", "plain", 1, key(1, "l", flat(MIXED)) + key(1, "gone", b"\0") + key(1, "one", flat(["x"]))
    yield "set", "plain", 1, key(2, "s", flat(MIXED[:9])) + b"\xfd" + struct.pack("<i", 2000000000) + key(2, "e", flat([1]))
    score = lambda s: {"inf": b"\xfe", "-inf": b"\xff"}.get(s) or bytes([len(s)]) + s.encode()
    yield "zset", "text", 1, key(3, "z", length(len(SCORES)) + b"".join(text("m%d" % n) + score(s)
                                                                       for n, s in enumerate(SCORES)))
    yield "hash", "plain", 1, key(4, "h", length(2) + text("f") + text("v") + text("g") + text("w" * 70))
    fields = [(b"f", b"v"), (b"long" * 70, b"w" * 300), (b"", b"")]
    yield "hash", "zipmap", 1, key(9, "h", text(zipmap(fields))) + key(9, "u", text(zipmap(fields, 254)))
    yield "list", "ziplist", 2, key(10, "l", text(ziplist(MIXED))) + key(10, "gone", text(ziplist([])))
    yield "set", "intset", 2, (key(11, "w2", text(intset(2, [-32768, 0, 7]))) + key(11, "w4", text(intset(4, [1, 70000])))
                               + key(11, "w8", text(intset(8, [-1 << 63, (1 << 63) - 1]))))
    yield "zset", "ziplist", 2, key(12, "z", text(ziplist(["a", -5, "b", "1.5", "c", 3, "d", "inf"])))
    yield "hash", "ziplist", 6, key(13, "h", text(ziplist(["f", "v", "g", 5, "h", "w" * 300, "i", -70000])))
    nodes = [ziplist(MIXED), ziplist([]), ziplist(["tail"])]
    yield "list", "quicklist", 7, (key(14, "l", length(3) + b"".join(text(n) for n in nodes))
                                   + key(14, "gone", length(1) + text(ziplist([]))))
    # The same small values in lengths longer than need be; expiry in both forms.
    wide = b"\x81" + struct.pack(">Q", 3) + b"abc"
    yield "string", "wide", 8, (b"\0" + wide + b"\x80\0\0\0\2hi" + b"\xfc" + struct.pack("<q", FAR) + b"\0" + text("e") + b"\xc2"
                                + struct.pack("<i", -70000))


def by_hand(binary):
    for kind, encoding, version, keys in old_dumps():
        dump = b"REDIS%04d" % version + b"\xfe\0" + keys + b"\xff" + (b"\0" * 8 if version >= 5 else b"")
        with Server(binary, dump) as s:
            write(kind, encoding, version, dump, contents(s))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for binary in sys.argv[1:]:
        by_server(binary)
    by_hand(sys.argv[-1])
