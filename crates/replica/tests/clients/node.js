// ioredis and node-redis against a replica of ours that follows a real primary: what their users do.
'use strict';
const assert = require('node:assert');
const Redis = require('ioredis');
const { createClient } = require('redis');

const { MASTER, OURS, check, same, eventually, done } = require('./checks');

const offsetOf = async (client) => Number(/master_repl_offset:(\d+)/.exec(await client.info('replication'))[1]);

async function caughtUp(master, ours) {
  const offset = await offsetOf(master);
  await eventually('offset', async () => (await offsetOf(ours)) >= offset);
}

async function ioredis() {
  const master = new Redis({ port: MASTER });
  const ours = new Redis({ port: OURS, connectionName: 'io' });
  await master.mset('a', '1', 'b', 'zwei', 'c', Buffer.from([0, 255, 10]));
  await master.hset('h', { x: 1, y: 2 });
  await master.zadd('z', 1, 'one', 2, 'two');
  await master.rpush('l', ...Array.from({ length: 50 }, (_, i) => i));
  await caughtUp(master, ours);
  same(await ours.get('b'), 'zwei', 'get');
  same([...await ours.getBuffer('c')], [0, 255, 10], 'binary');
  same(await ours.hgetall('h'), { x: '1', y: '2' }, 'hgetall');
  same(await ours.zrange('z', 0, -1, 'WITHSCORES'), await master.zrange('z', 0, -1, 'WITHSCORES'), 'zrange');
  same((await ours.pipeline().get('a').llen('l').set('a', 'x').exec()).map(([error, value]) => (error ? error.message.split(' ')[0] : value)),
    ['1', 50, 'READONLY'], 'pipeline');
  same(await ours.multi().get('a').hget('h', 'y').exec(), [[null, '1'], [null, '2']], 'multi');
  const found = [];
  for await (const keys of ours.scanStream({ count: 2 })) found.push(...keys);
  same([...new Set(found)].sort(), ['a', 'b', 'c', 'h', 'l', 'z'], 'scanStream');
  ours.defineCommand('sum', { numberOfKeys: 1, readOnly: true, lua: "local s = 0 for _, v in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do s = s + v end return s" });
  same(await ours.sum('l'), 1225, 'defineCommand');
  same(await ours.sum('l'), 1225, 'by its digest');

  const listener = new Redis({ port: OURS });
  const message = new Promise((resolve) => listener.on('message', (channel, text) => resolve([channel, text])));
  await listener.subscribe('news');
  await master.publish('news', 'hello');
  same(await message, ['news', 'hello'], 'subscribe');
  listener.disconnect();

  // Hundreds of calls in one turn of the loop become pipelines.
  const auto = new Redis({ port: OURS, enableAutoPipelining: true });
  const many = await Promise.all(Array.from({ length: 500 }, (_, i) => auto.lindex('l', i % 50)));
  check(many.every((value, i) => value === String(i % 50)), 'auto pipelining');
  auto.disconnect();

  // The connection is cut: the next call is on a new one.
  const before = await ours.client('ID');
  await master.get('a');
  const other = new Redis({ port: OURS });
  await other.client('KILL', 'ID', before);
  check((await ours.client('ID')) !== before, 'reconnected');
  same(await ours.client('GETNAME'), 'io', 'with its name');

  const waiting = ours.xread('BLOCK', 30000, 'STREAMS', 's', '$');
  await eventually('waits', async () => /blocked_clients:1/.test(await other.info('clients')));
  await master.xadd('s', '7-1', 'f', 'v');
  same(await waiting, [['s', [['7-1', ['f', 'v']]]]], 'woken by a replicated write');
  await master.flushall();
  [master, ours, other].forEach((client) => client.disconnect());
}

async function nodeRedis() {
  const master = await createClient({ socket: { port: MASTER } }).connect();
  // RESP3, with a cache in the client.
  const ours = await createClient({ socket: { port: OURS }, RESP: 3, clientSideCache: { ttl: 0, maxEntries: 100 } }).connect();
  for (let n = 0; n < 10; n += 1) {
    await master.set('k', String(n));
    await eventually('the new value', async () => (await ours.get('k')) === String(n));
  }
  await master.hSet('h', { a: '1' });
  await master.zAdd('z', [{ score: 1.5, value: 'm' }]);
  await eventually('arrived', async () => (await ours.zScore('z', 'm')) === 1.5);
  same({ ...await ours.hGetAll('h') }, { a: '1' }, 'hGetAll');
  same(await ours.multi().get('k').hGet('h', 'a').exec(), ['9', '1'], 'multi');
  const listener = await ours.duplicate({ clientSideCache: undefined }).connect();
  const message = new Promise((resolve) => { listener.pSubscribe('n*', (text, channel) => resolve([channel, text])); });
  await eventually('listens', async () => (await ours.pubSubNumPat()) === 1);
  await master.publish('news', 'hi');
  same(await message, ['news', 'hi'], 'pSubscribe');
  const keys = [];
  for await (const batch of ours.scanIterator({ COUNT: 1 })) keys.push(...batch);
  same([...new Set(keys)].sort(), ['h', 'k', 'z'], 'scanIterator');
  await assert.rejects(ours.set('k', 'x'), /READONLY/);
  await master.flushAll();
  [master, ours, listener].forEach((client) => client.destroy());
}

ioredis().then(nodeRedis).then(() => { console.error(`node: ${done()} checks`); process.exit(0); }, (error) => {
  console.error(error);
  process.exit(1);
});
