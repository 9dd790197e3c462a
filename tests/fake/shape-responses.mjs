// SPDX-License-Identifier: Apache-2.0
// The Responses API: typed events with sequence numbers; the whole text comes
// again in output_text.done, content_part.done, output_item.done, completed.

import { argumentOrder, frame, hex, now } from './answer.mjs';

function messageItem(id, text, status) {
  const content =
    status === 'completed'
      ? [{ type: 'output_text', text, annotations: [] }]
      : [];
  return { id, type: 'message', status, role: 'assistant', content };
}

function callItem(id, call, status) {
  return {
    id,
    type: 'function_call',
    status,
    name: call.name,
    call_id: call.id,
    arguments: status === 'completed' ? call.arguments : '',
  };
}

function responseObject(request, answer, id, status, output) {
  const done = status === 'completed';
  return {
    id,
    object: 'response',
    created_at: now(),
    status,
    error: null,
    incomplete_details: null,
    instructions: null,
    model: request.model ?? 'gpt-5-mini',
    output,
    parallel_tool_calls: true,
    tool_choice: 'auto',
    tools: [],
    usage: done
      ? {
          input_tokens: answer.usage.input,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: answer.usage.output,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: answer.usage.input + answer.usage.output,
        }
      : null,
  };
}

function* textEvents(answer, id, index) {
  const at = { item_id: id, output_index: index, content_index: 0 };
  const part = (text) => ({ type: 'output_text', text, annotations: [] });
  yield [
    'response.output_item.added',
    { output_index: index, item: messageItem(id, '', 'in_progress') },
  ];
  yield ['response.content_part.added', { ...at, part: part('') }];
  for (const delta of answer.deltas)
    yield ['response.output_text.delta', { ...at, delta }];
  yield ['response.output_text.done', { ...at, text: answer.text }];
  yield ['response.content_part.done', { ...at, part: part(answer.text) }];
  yield [
    'response.output_item.done',
    { output_index: index, item: messageItem(id, answer.text, 'completed') },
  ];
}

function* callEvents(answer, ids, first) {
  const at = (i) => ({ item_id: ids[i], output_index: first + i });
  for (const [i, call] of answer.toolCalls.entries())
    yield [
      'response.output_item.added',
      { output_index: first + i, item: callItem(ids[i], call, 'in_progress') },
    ];
  for (const [i, delta] of argumentOrder(answer))
    yield ['response.function_call_arguments.delta', { ...at(i), delta }];
  for (const [i, call] of answer.toolCalls.entries()) {
    yield [
      'response.function_call_arguments.done',
      { ...at(i), arguments: call.arguments },
    ];
    yield [
      'response.output_item.done',
      { output_index: first + i, item: callItem(ids[i], call, 'completed') },
    ];
  }
}

/** The events as [type, payload] pairs, without SSE framing. */
export function* responsesPairs(request, answer) {
  const id = `resp_${hex(16)}`;
  const messageId = `msg_${hex(16)}`;
  const callIds = answer.toolCalls.map(() => `fc_${hex(16)}`);
  const hasText = answer.text !== '';
  const output = [];
  const started = responseObject(request, answer, id, 'in_progress', []);
  yield ['response.created', { response: started }];
  yield ['response.in_progress', { response: started }];
  if (hasText) {
    yield* textEvents(answer, messageId, 0);
    output.push(messageItem(messageId, answer.text, 'completed'));
  }
  yield* callEvents(answer, callIds, output.length);
  for (const [i, call] of answer.toolCalls.entries())
    output.push(callItem(callIds[i], call, 'completed'));
  yield [
    'response.completed',
    { response: responseObject(request, answer, id, 'completed', output) },
  ];
}

/** The same events as full objects with type and sequence_number. */
export function* responsesObjects(request, answer) {
  let sequence = 0;
  for (const [type, payload] of responsesPairs(request, answer))
    yield { type, sequence_number: sequence++, ...payload };
}

export function* responsesEvents(request, answer) {
  for (const event of responsesObjects(request, answer))
    yield frame(event, event.type);
}

export function responsesJson(request, answer) {
  let last;
  for (const event of responsesObjects(request, answer)) last = event;
  return last.response;
}
