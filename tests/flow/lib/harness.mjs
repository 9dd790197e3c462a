// SPDX-License-Identifier: Apache-2.0
// What flow tests import: everything of this folder by one name.

export * from './agent.mjs';
export * from './assert.mjs';
export * from './backend.mjs';
export * from './calls.mjs';
export * from './http.mjs';
export * from './process.mjs';
export * from './sse.mjs';
export * from './through.mjs';
