// ioredis and node-redis as clients of a cluster, against a copy that presents itself as one node with every slot.
'use strict';
const Redis = require('ioredis');
const { createCluster } = require('redis');

const { MASTER, OURS, same, eventually, done } = require('./checks');

async function ioredis(scaleReads) {
  const real = new Redis.Cluster([{ host: '127.0.0.1', port: MASTER }]);
  const ours = new Redis.Cluster([{ host: '127.0.0.1', port: OURS }], { scaleReads });
  await Promise.all(Array.from({ length: 200 }, (_, n) => real.set(`io:${n}`, `${scaleReads}${n}`)));
  await eventually('all', async () => {
    const found = await Promise.all(Array.from({ length: 200 }, (_, n) => ours.get(`io:${n}`)));
    return found.every((value, n) => value === `${scaleReads}${n}`);
  });
  same(ours.nodes('all').map((node) => node.options.port), [OURS], 'one node');
  same(await ours.set('io:mine', scaleReads), 'OK', 'set');
  same(await real.get('io:mine'), scaleReads, 'written');
  const replies = await ours.pipeline().get('io:1').get('io:2').exec();
  same(replies.map(([, value]) => value), [`${scaleReads}1`, `${scaleReads}2`], 'pipeline');
  ours.disconnect();
  real.disconnect();
}

async function nodeRedis(useReplicas) {
  const client = (port) => createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }], useReplicas });
  const real = client(MASTER);
  const ours = client(OURS);
  await Promise.all([real.connect(), ours.connect()]);
  await Promise.all(Array.from({ length: 200 }, (_, n) => real.set(`node:${n}`, `${useReplicas}${n}`)));
  await eventually('all', async () => {
    const found = await Promise.all(Array.from({ length: 200 }, (_, n) => ours.get(`node:${n}`)));
    return found.every((value, n) => value === `${useReplicas}${n}`);
  });
  same(ours.masters.length, 1, 'one node');
  same(await ours.set('node:mine', 'v'), 'OK', 'set');
  ours.destroy();
  real.destroy();
}

(async () => {
  await ioredis('master');
  await ioredis('slave');
  await nodeRedis(false);
  await nodeRedis(true);
  console.log(`${done()} checks`);
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
