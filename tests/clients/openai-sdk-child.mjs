// SPDX-License-Identifier: Apache-2.0
// Runs in a child process with the client's environment: makes one call with
// the openai SDK and prints what a program would get as one line of JSON.

import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const call = JSON.parse(process.argv[2]);
const require = createRequire(path.join(call.modules, 'index.js'));
const { default: OpenAI } = await import(
  pathToFileURL(require.resolve('openai')).href
);

async function chat(client) {
  const body = {
    model: call.model,
    messages: [{ role: 'user', content: call.prompt }],
  };
  if (!call.stream) {
    const answer = await client.chat.completions.create(body);
    const { message } = answer.choices[0];
    return { text: message.content, toolCalls: message.tool_calls ?? [] };
  }
  let text = '';
  const toolCalls = [];
  for await (const chunk of await client.chat.completions.create({
    ...body,
    stream: true,
  })) {
    const delta = chunk.choices[0]?.delta ?? {};
    text += delta.content ?? '';
    for (const part of delta.tool_calls ?? []) {
      const tool = (toolCalls[part.index] ??= { name: '', arguments: '' });
      tool.name += part.function?.name ?? '';
      tool.arguments += part.function?.arguments ?? '';
    }
  }
  return { text, toolCalls };
}

async function responses(client) {
  const body = { model: call.model, input: call.prompt };
  if (!call.stream) {
    const answer = await client.responses.create(body);
    return { text: answer.output_text };
  }
  const stream = client.responses.stream(body);
  let text = '';
  stream.on('response.output_text.delta', (event) => (text += event.delta));
  const final = await stream.finalResponse();
  return { text, finalText: final.output_text };
}

async function embeddings(client) {
  const answer = await client.embeddings.create({
    model: call.model,
    input: call.prompt,
  });
  return { text: '', dimensions: answer.data[0].embedding.length };
}

async function models(client) {
  const list = [];
  for await (const model of client.models.list()) list.push(model.id);
  return { text: '', list };
}

const CALLS = { chat, responses, embeddings, models };

const client = new OpenAI({ maxRetries: call.maxRetries });
try {
  console.log(JSON.stringify(await CALLS[call.api](client)));
} catch (error) {
  console.log(
    JSON.stringify({
      error: {
        name: error.constructor.name,
        message: error.message,
        status: error.status,
        code: error.code,
      },
    }),
  );
  process.exitCode = 1;
}
