// SPDX-License-Identifier: Apache-2.0
// How long a person's question takes: from a request's sending until a program
// on the control bus tells of it, and from the decision's word there until the
// client has its answer, upstream and back included.
// usage: node run-ask.mjs [TIMES]; HOOP_BUILDDIR and HOOP_SHARE are set.

import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';

import { agentProgram } from '../flow/lib/agent.mjs';
import { callOf, Child, Fixture, startAgent, startBackend } from '../flow/lib/harness.mjs';

const TIMES = Number(process.argv[2] ?? 40);
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - id: careful
    match: {direction: request, prompt: 'careful'}
    action: approve
    timeout: 60
`;

/** The lines of a watching command line, each with when it came. */
class Events {
  constructor(child) {
    this.text = '';
    this.waiting = [];
    child.process.stdout.on('data', (bytes) => {
      const now = performance.now();
      this.text += bytes.toString('latin1');
      const lines = this.text.split('\n');
      this.text = lines.pop();
      for (const line of lines) {
        const event = JSON.parse(line);
        const at = this.waiting.findIndex(({ name }) => name === event.event);
        if (at >= 0) this.waiting.splice(at, 1)[0].done({ ...event, now });
      }
    });
  }

  next(name) {
    return new Promise((done) => this.waiting.push({ name, done }));
  }
}

function say(what, times, most) {
  const sorted = times.sort((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
  console.log(
    `${what}: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms (must: ${most} ms)`,
  );
}

const fixture = new Fixture();
try {
  const backend = await startBackend(fixture);
  const agent = await startAgent(fixture, {
    backend,
    policy: POLICY,
  });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const watch = new Child(agentProgram(), ['pending', '--watch', '--json'], {
    env: agent.env,
    t: fixture,
  });
  const events = new Events(watch);
  const shown = [];
  const released = [];
  for (let i = 0; i < TIMES; i++) {
    const told = events.next('waits');
    const began = performance.now();
    const answer = client
      .post('/chat/completions', callOf('chat', `careful ${i}`).body)
      .then((response) => ({ response, now: performance.now() }));
    const { id, now } = await told;
    const decided = events.next('decided');
    shown.push(now - began);
    assert.equal((await agent.cli(['approve', id])).code, 0);
    const [decision, end] = await Promise.all([decided, answer]);
    assert.equal(end.response.status, 200);
    released.push(Math.max(0, end.now - decision.now));
  }
  // The first waited for the watching program to start.
  shown.shift();
  released.shift();
  say('request sent -> told on the bus', shown, 150);
  say('decided -> answer at the client', released, 20);
} finally {
  await fixture.close();
}
