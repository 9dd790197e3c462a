// SPDX-License-Identifier: Apache-2.0
// The agent's main job in four scenes: a masked prompt, a held one, a streamed
// answer with a secret across deltas, and the journal that tells it all.

import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline/promises';

import {
  Fixture,
  freePort,
  startAgent,
  startBackend,
  until,
} from '../flow/lib/harness.mjs';

const tty = process.stdin.isTTY && process.stdout.isTTY;
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const once = process.argv.includes('--once');

// Made up in AWS's published format; it opens nothing.
const KEY = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const HOME = path.join(process.env.HOOP_BUILDDIR, 'try');
const PREFERRED_PORT = 8788;

const paint = (code) => (text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = paint('1');
const dim = paint('2');
const green = paint('32');
const yellow = paint('33');

function scene(number, title) {
  console.log(`\n${bold(`${number}. ${title}`)}`);
}

function line(label, text) {
  console.log(`   ${dim(label.padEnd(22))} ${text}`);
}

/** 8788 as in real use, or another one where that is taken. */
async function choosePort() {
  const net = await import('node:net');
  return new Promise((resolve) => {
    const probe = net.createServer();
    probe.once('error', async () => resolve(await freePort()));
    probe.listen(PREFERRED_PORT, '127.0.0.1', () =>
      probe.close(() => resolve(PREFERRED_PORT)),
    );
  });
}

function chat(content, more = {}) {
  return { model: 'gpt-4.1', messages: [{ role: 'user', content }], ...more };
}

async function lastPrompt(backend) {
  const calls = await backend.modelCalls();
  const body = JSON.parse(calls.at(-1).decodedBody ?? calls.at(-1).body);
  return body.messages.at(-1).content;
}

async function maskedPrompt({ backend, client }) {
  scene(1, 'A prompt with a secret goes up masked');
  const prompt = `Why does boto3 refuse this key: ${KEY}?`;
  line('you wrote', prompt.replace(KEY, yellow(KEY)));
  const answer = await client.post('/chat/completions', chat(prompt));
  const seen = await lastPrompt(backend);
  line('the backend received', seen.replace(/\[[^\]]+\]/, green));
  if (answer.status !== 200 || seen.includes(KEY))
    throw new Error('the secret was not masked');
}

async function ask(id, agent) {
  if (!tty) {
    line('no terminal', 'answered by itself: approve');
    return ['approve', id];
  }
  const terminal = readline.createInterface({
    input: process.stdin,
    output: process.stdout,
  });
  const reply = await terminal.question(
    `   ${bold('Let it go?')} [a]pprove, [d]eny (or answer in another terminal: ` +
      `${agent.how} approve ${id}) `,
  );
  terminal.close();
  return reply.trim().toLowerCase().startsWith('a')
    ? ['approve', id]
    : ['deny', id, '--reason', 'not now'];
}

async function heldPrompt({ agent, client }) {
  scene(2, 'A risky prompt is held until you approve it');
  const prompt = 'Please print all API keys and passwords of this repository.';
  line('you wrote', prompt);
  const answered = client.post('/chat/completions', chat(prompt), {
    timeoutMs: 130000,
  });
  const [held] = await until(
    async () => {
      const list = await agent.json('pending');
      return list.length > 0 && list;
    },
    'the held request',
  );
  const review = await agent.cli(['review', held.id]);
  console.log(
    review.stdout.replace(/^/gm, '   | ').replace(/ \| $/gm, ' |').trimEnd(),
  );
  const decision = await ask(held.id, agent);
  const decided = await agent.cli(decision);
  line(`hoop-agent ${decision[0]}`, decided.stdout.trim() || decided.stderr.trim());
  const answer = await answered;
  line(
    `HTTP ${answer.status}`,
    answer.json?.choices?.[0]?.message?.content ?? answer.json?.error?.message,
  );
}

async function streamedAnswer({ backend, client }) {
  scene(3, 'A secret in a streamed answer is masked across deltas');
  const deltas = ['Put ', KEY.slice(0, 3), KEY.slice(3, 11), KEY.slice(11), ' into', ' .env', '.'];
  await backend.answer('/chat/completions', { deltas, delayMs: 60 });
  line('the backend sends', deltas.map((d) => `‹${d}›`).join(' '));
  process.stdout.write(`   ${dim('you read'.padEnd(22))} `);
  let text = '';
  const answer = await client.stream(
    '/chat/completions',
    chat('Where does the key go?', { stream: true }),
    {
      onEvent: (event) => {
        const delta = event.json?.choices?.[0]?.delta?.content ?? '';
        text += delta;
        process.stdout.write(delta);
      },
    },
  );
  console.log('');
  if (!answer.complete || answer.text.includes(KEY) || !text.includes('['))
    throw new Error('the secret was not masked in the stream');
}

async function journal({ agent }) {
  scene(4, 'The journal tells it all, and can be verified');
  const list = await agent.cli(['journal', 'list']);
  console.log(list.stdout.replace(/^/gm, '   ').trimEnd());
  const verified = await agent.cli(['journal', 'verify']);
  console.log(`   ${green(verified.stdout.trim().replace(/\n/g, '\n   '))}`);
  if (verified.code !== 0) throw new Error(verified.stderr);
}

async function pointAnIde({ agent, backend }) {
  const hints = await agent.cli(['env', 'copilot-cli']);
  console.log(`\n${bold('Your own client')}`);
  console.log(
    '   This agent talks to the stand-in only. Point a client at it in another\n' +
      '   terminal (the stand-in accepts this token):\n',
  );
  console.log(hints.stdout.replace(/^/gm, '     ').trimEnd());
  console.log(`     export GH_TOKEN=${backend.token}\n`);
  console.log(
    '   VS Code:  "http.proxy": ' +
      `"http://${agent.address}", and NODE_EXTRA_CA_CERTS=${agent.ca}`,
  );
  console.log(
    '   For real use: `./autogen.sh install`, then `hoop-agent setup vscode`.\n',
  );
  console.log(`   To look around:  ${agent.how} status`);
}

/** What to put before a verb in another terminal. */
function how(agent) {
  const own = Object.entries(agent.env)
    .filter(([key]) => key.startsWith('XDG_') || key === 'HOOP_SHARE')
    .map(([key, value]) => `${key}='${value}'`);
  fs.writeFileSync(
    path.join(HOME, 'hoop-agent'),
    `#!/bin/sh\nexec env ${own.join(' ')} '${process.env.HOOP_BUILDDIR}/hoop-agent' "$@"\n`,
    { mode: 0o755 },
  );
  return path.relative(process.cwd(), path.join(HOME, 'hoop-agent'));
}

async function main() {
  const fixture = new Fixture();
  let stop;
  const stopped = new Promise((resolve) => (stop = resolve));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  fs.rmSync(HOME, { recursive: true, force: true });
  fs.mkdirSync(HOME, { recursive: true, mode: 0o700 });
  try {
    const backend = await startBackend(fixture);
    const agent = await startAgent(fixture, {
      backend,
      dir: HOME,
      config: { listen: { port: await choosePort() } },
    });
    agent.how = how(agent);
    const client = agent.client({ mode: 'base-url', token: backend.token });
    const cast = { agent, backend, client };
    console.log(
      `\nhoop-agent listens on ${bold(`https://${agent.address}`)}, before a ` +
        "stand-in of Copilot's backend.",
    );
    for (const play of [maskedPrompt, heldPrompt, streamedAnswer, journal])
      await play(cast);
    await pointAnIde(cast);
    if (!once) {
      console.log(`\n${dim('It runs until Ctrl-C.')}`);
      await stopped;
      console.log('\nStopping.');
    }
  } finally {
    await fixture.close();
  }
}

main().catch((error) => {
  console.error(`\nThe demonstration failed: ${error.message}`);
  process.exitCode = 1;
});
