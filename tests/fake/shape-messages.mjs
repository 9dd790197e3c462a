// SPDX-License-Identifier: Apache-2.0
// Anthropic's messages API: named events, content blocks with text_delta and
// input_json_delta.

import { frame, hex } from './answer.mjs';

const STOP = { stop: 'end_turn', tool_calls: 'tool_use', length: 'max_tokens' };

function usage(answer) {
  return {
    input_tokens: answer.usage.input,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: answer.usage.output,
  };
}

function stopReason(answer) {
  return STOP[answer.finish] ?? answer.finish;
}

function toolId(call) {
  return call.id.startsWith('call_') ? `toolu_${call.id.slice(5)}` : call.id;
}

function head(request) {
  return {
    id: `msg_${hex(12)}`,
    type: 'message',
    role: 'assistant',
    model: request.model ?? 'claude-sonnet-4.5',
  };
}

function* blockObjects(index, block, deltas) {
  yield { type: 'content_block_start', index, content_block: block };
  for (const delta of deltas)
    yield { type: 'content_block_delta', index, delta };
  yield { type: 'content_block_stop', index };
}

function* messagesObjects(request, answer) {
  let index = 0;
  yield {
    type: 'message_start',
    message: {
      ...head(request),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { ...usage(answer), output_tokens: 1 },
    },
  };
  yield { type: 'ping' };
  if (answer.text !== '')
    yield* blockObjects(
      index++,
      { type: 'text', text: '' },
      answer.deltas.map((text) => ({ type: 'text_delta', text })),
    );
  for (const call of answer.toolCalls)
    yield* blockObjects(
      index++,
      { type: 'tool_use', id: toolId(call), name: call.name, input: {} },
      ['', ...call.deltas].map((d) => ({
        type: 'input_json_delta',
        partial_json: d,
      })),
    );
  yield {
    type: 'message_delta',
    delta: { stop_reason: stopReason(answer), stop_sequence: null },
    usage: { output_tokens: answer.usage.output },
  };
  yield { type: 'message_stop' };
}

export function* messagesEvents(request, answer) {
  for (const event of messagesObjects(request, answer))
    yield frame(event, event.type);
}

export function messagesJson(request, answer) {
  const content =
    answer.text !== '' ? [{ type: 'text', text: answer.text }] : [];
  for (const call of answer.toolCalls)
    content.push({
      type: 'tool_use',
      id: toolId(call),
      name: call.name,
      input: JSON.parse(call.arguments || '{}'),
    });
  return {
    ...head(request),
    content,
    stop_reason: stopReason(answer),
    stop_sequence: null,
    usage: usage(answer),
  };
}
