// SPDX-License-Identifier: Apache-2.0
// What an exchange takes in the journal beside its bodies: real exchanges of
// several conversations through the agent, then the pages of each table and
// index (SQLite's dbstat, asked by python3).
// usage: node journal-size.mjs [EXCHANGES [MOST BYTES]]; HOOP_BUILDDIR is set.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';

import { callOf, Fixture, startAgent, startBackend } from '../flow/lib/harness.mjs';

const exchanges = Number(process.argv[2] ?? 20000);
const most = Number(process.argv[3] ?? 0);
const AT_ONCE = 8;
const TURNS = 10; // of a conversation
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const CONTENTS = ['bodies', 'parts']; // whose column `data` is what was said
const COUNT = `
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
size = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"))
said = dict((name, db.execute(f"SELECT coalesce(sum(length(data)), 0) FROM {name}")
             .fetchone()[0]) for name in sys.argv[2:])
n = db.execute("SELECT count(*) FROM rows WHERE kind = 'request'").fetchone()[0]
print(json.dumps({"size": size, "said": said, "exchanges": n}))`;

/** A key of its own, in the form of AWS: what is found makes rows unlike. */
function key(number) {
  const random = crypto.createHash('sha256').update(String(number)).digest();
  return `AKIA${[...random.subarray(0, 16)].map((byte) => BASE32[byte % 32]).join('')}`;
}

/** A conversation as clients send it: all of it again with each turn. */
function conversation(number) {
  const messages = [{ role: 'system', content: 'You help with one question after the other.' }];
  return (turn) => {
    if (turn % 5 === 0)
      messages.push({ role: 'user', content: `my key is ${key(number * TURNS + turn)}` });
    else
      messages.push({ role: 'user', content: `question ${number}.${turn}: what is ${Math.random()}?` });
    return messages;
  };
}

const fixture = new Fixture();
try {
  const backend = await startBackend(fixture);
  const agent = await startAgent(fixture, {
    backend,
    config: { journal: { durability: 'grouped' } },
  });
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      const client = agent.client({ mode: 'base-url', token: backend.token });
      while (next < exchanges / TURNS) {
        const number = next++;
        const say = conversation(number);
        for (let turn = 0; turn < TURNS; turn++) {
          const { path, body } = callOf('chat', '', { messages: say(turn) });
          const answer = await client.post(path, body);
          assert.equal(answer.status, 200);
        }
      }
    }),
  );
  await agent.stop();
  const seen = JSON.parse(
    execFileSync('python3', ['-c', COUNT, agent.journalFile, ...CONTENTS], { encoding: 'utf8' }),
  );
  let beside = -CONTENTS.reduce((sum, name) => sum + seen.said[name], 0);
  for (const [name, size] of Object.entries(seen.size).sort((a, b) => b[1] - a[1])) {
    beside += size;
    if (size > 100 * 1024) console.log(`${(size / seen.exchanges).toFixed(1).padStart(8)}  ${name}`);
  }
  console.log(`${(beside / seen.exchanges).toFixed(1).padStart(8)}  bytes an exchange beside the bodies, of ${seen.exchanges}`);
  assert.ok(!most || beside / seen.exchanges <= most, `more than ${most}`);
} finally {
  await fixture.close();
}
