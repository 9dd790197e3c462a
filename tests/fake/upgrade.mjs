// SPDX-License-Identifier: Apache-2.0
// WebSocket on /responses: each response.create gets the Responses API's
// events as text frames. A script may refuse the upgrade with a status.

import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { normalise } from './answer.mjs';
import { defaultAnswer } from './defaults.mjs';
import { describe } from './exchange.mjs';
import { checkCredential } from './routes.mjs';
import { responsesObjects } from './shape-responses.mjs';
import { acceptHeader, WebSocketSide } from './websocket.mjs';

function refuse(socket, record, status, body) {
  record.status = status;
  record.finished = true;
  const json = JSON.stringify(
    body ?? { error: { message: 'upgrade refused' } },
  );
  const reason = http.STATUS_CODES[status] ?? 'Refused';
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(json)}\r\nconnection: close\r\n\r\n${json}`,
  );
}

async function answerMessage(backend, side, record, request, text) {
  record.messages.push(text);
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return side.close(1007);
  }
  if (message.type !== 'response.create') return;
  const body = message.response ?? message;
  const answer =
    backend.script.take({ ...request, method: 'WS' }, text) ??
    defaultAnswer('responses', body);
  for (const event of responsesObjects(body, normalise(answer))) {
    if (answer.delayMs) await sleep(answer.delayMs);
    side.send(JSON.stringify(event));
  }
}

/** Handles an 'upgrade' event of the HTTP/1.1 server. */
export function handleUpgrade(backend, req, socket, connection) {
  const request = describe(req, connection);
  const record = backend.records.add({ ...request, websocket: true });
  record.endBody();
  socket.on('error', () => {});
  socket.on('close', () => (record.closedAt = Date.now()));
  const denied = checkCredential({
    req: request,
    route: { kind: 'model', api: 'responses' },
    config: backend.config,
    github: backend.github,
  });
  if (denied) return refuse(socket, record, denied.status, denied.json);
  const scripted = backend.script.take(request, '');
  if (scripted?.status >= 300)
    return refuse(socket, record, scripted.status, scripted.json);
  if (!/^(\/v1)?\/responses$/.test(request.path))
    return refuse(socket, record, 404);
  const key = req.headers['sec-websocket-key'];
  if (!key || !/^websocket$/i.test(req.headers.upgrade ?? ''))
    return refuse(socket, record, 400);
  record.status = 101;
  record.finished = true;
  socket.write(acceptHeader(key));
  const side = new WebSocketSide(socket, (text) => {
    answerMessage(backend, side, record, request, text).catch(() =>
      side.close(1011),
    );
  });
}
