// SPDX-License-Identifier: Apache-2.0
// Turns one answer {deltas, toolCalls} into what each API sends: the list of
// SSE frames when streaming, else the JSON document.

import { argumentOrder, frame, hex, normalise, now } from './answer.mjs';
import { messagesEvents, messagesJson } from './shape-messages.mjs';
import { responsesEvents, responsesJson } from './shape-responses.mjs';

function chatUsage(usage) {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
  };
}

function* chatEvents(request, answer) {
  const head = {
    id: `chatcmpl-${hex(12)}`,
    object: 'chat.completion.chunk',
    created: now(),
    model: request.model ?? 'gpt-4.1',
  };
  const chunk = (index, delta, finish = null) =>
    frame({ ...head, choices: [{ index, delta, finish_reason: finish }] });
  const count = request.n ?? 1;
  yield frame({
    ...head,
    choices: [],
    prompt_filter_results: [{ prompt_index: 0 }],
  });
  for (let i = 0; i < count; i++)
    yield chunk(i, { role: 'assistant', content: '' });
  for (const delta of answer.deltas)
    for (let i = 0; i < count; i++) yield chunk(i, { content: delta });
  yield* chatToolEvents(answer, chunk);
  for (let i = 0; i < count; i++) yield chunk(i, {}, answer.finish);
  yield frame({ ...head, choices: [], usage: chatUsage(answer.usage) });
  yield frame('[DONE]');
}

function* chatToolEvents(answer, chunk) {
  const started = new Set();
  const start = (i) => {
    const { id, name } = answer.toolCalls[i];
    started.add(i);
    return chunk(0, {
      tool_calls: [
        { index: i, id, type: 'function', function: { name, arguments: '' } },
      ],
    });
  };
  for (const [i, delta] of argumentOrder(answer)) {
    if (!started.has(i)) yield start(i);
    yield chunk(0, {
      tool_calls: [{ index: i, function: { arguments: delta } }],
    });
  }
  for (const i of answer.toolCalls.keys()) if (!started.has(i)) yield start(i);
}

function chatJson(request, answer) {
  const message = { role: 'assistant', content: answer.text || null };
  if (answer.toolCalls.length)
    message.tool_calls = answer.toolCalls.map((c) => ({
      id: c.id,
      type: 'function',
      function: { name: c.name, arguments: c.arguments },
    }));
  return {
    id: `chatcmpl-${hex(12)}`,
    object: 'chat.completion',
    created: now(),
    model: request.model ?? 'gpt-4.1',
    choices: Array.from({ length: request.n ?? 1 }, (_, index) => ({
      index,
      message,
      finish_reason: answer.finish,
    })),
    usage: chatUsage(answer.usage),
  };
}

/** The deltas of each choice: answer.choices, or the same text for all. */
function choiceDeltas(answer, raw, count) {
  return Array.from({ length: count }, (_, i) => {
    const own = raw.choices?.[i];
    return own ? normalise(own).deltas : answer.deltas;
  });
}

function* engineEvents(request, answer, raw) {
  const head = {
    id: `cmpl-${hex(12)}`,
    object: 'text_completion',
    created: now(),
  };
  const event = (index, text, finish = null) =>
    frame({
      ...head,
      choices: [{ index, text, finish_reason: finish, logprobs: null }],
    });
  const lists = choiceDeltas(answer, raw, request.n ?? 1);
  const longest = Math.max(...lists.map((l) => l.length));
  for (let k = 0; k < longest; k++)
    for (const [i, list] of lists.entries())
      if (k < list.length) yield event(i, list[k]);
  for (const i of lists.keys()) yield event(i, '', 'stop');
  yield frame('[DONE]');
}

function engineJson(request, answer, raw) {
  return {
    id: `cmpl-${hex(12)}`,
    object: 'text_completion',
    created: now(),
    choices: choiceDeltas(answer, raw, request.n ?? 1).map((deltas, index) => ({
      index,
      text: deltas.join(''),
      finish_reason: 'stop',
      logprobs: null,
    })),
  };
}

const SHAPES = {
  engines: { events: engineEvents, json: engineJson },
  chat: { events: chatEvents, json: chatJson },
  responses: { events: responsesEvents, json: responsesJson },
  messages: { events: messagesEvents, json: messagesJson },
};

/** An iterable of SSE frames (strings) of one API. */
export function events(api, request, answer) {
  return SHAPES[api].events(request, normalise(answer), answer);
}

/** The JSON document that the API sends when it does not stream. */
export function document(api, request, answer) {
  return SHAPES[api].json(request, normalise(answer), answer);
}
