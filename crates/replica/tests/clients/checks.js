// What is checked, and counted.
'use strict';
const assert = require('node:assert');

let count = 0;
const check = (condition, what) => { assert.ok(condition, what); count += 1; };
const same = (left, right, what) => { assert.deepStrictEqual(left, right, what); count += 1; };

async function eventually(what, test) {
  const end = Date.now() + 30000;
  while (Date.now() < end) {
    if (await test()) return check(true, what);
    await new Promise((next) => setTimeout(next, 5));
  }
  return check(false, `${what}: not in 30 seconds`);
}

module.exports = {
  MASTER: Number(process.env.MASTER_PORT),
  OURS: Number(process.env.REPLICA_PORT),
  check,
  same,
  eventually,
  done: () => count,
};
