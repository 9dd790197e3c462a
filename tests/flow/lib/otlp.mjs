// SPDX-License-Identifier: Apache-2.0
// Checks a batch against OpenTelemetry's official schema, as the npm package
// @opentelemetry/otlp-transformer carries it in generated form.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

import { npmDir, providersOff } from '../../providers/install.mjs';

/** Why it cannot be checked, or false: {skip: schemaOff}. */
export const schemaOff = providersOff;

const ROOT = '@opentelemetry/otlp-transformer/build/src/generated/root.js';
let requestType;

async function load() {
  if (!requestType) {
    const dir = await npmDir();
    const root = createRequire(path.join(dir, 'x.js'))(ROOT);
    requestType =
      root.opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest;
  }
  return requestType;
}

/* Ids are hex in OTLP's JSON, base64 in protobuf's. */
function withBase64Ids(batch) {
  return JSON.parse(JSON.stringify(batch), (key, value) =>
    key === 'traceId' || key === 'spanId'
      ? Buffer.from(value, 'hex').toString('base64')
      : value,
  );
}

/**
 * Fails unless the batch is what the schema says, all of it: it goes through
 * protobuf's own bytes and must come out with every member, and no other.
 */
export async function assertOtlp(batch) {
  const type = await load();
  const given = withBase64Ids(batch);
  const message = type.fromObject(given);
  assert.equal(type.verify(message), null);
  const back = type.toObject(type.decode(type.encode(message).finish()), {
    longs: String,
    bytes: String,
    enums: Number,
  });
  assert.deepEqual(JSON.parse(JSON.stringify(back)), given);
}
