// SPDX-License-Identifier: Apache-2.0
// What the SARIF 2.1.0 standard (OASIS, 27 March 2020) requires of the parts
// that the agent writes. Names of sections in comments.

import assert from 'node:assert/strict';

const LEVELS = ['none', 'note', 'warning', 'error'];
const URI = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/?#[\]%]*$/;

const isText = (value) => typeof value === 'string' && value.length > 0;
const isCount = (value, least) => Number.isInteger(value) && value >= least;

function only(object, names, what) {
  for (const name of Object.keys(object)) assert.ok(names.includes(name), `${what} has ${name}`);
}

/** 3.11 message, 3.12 multiformatMessageString: text is there. */
function checkMessage(message, what) {
  assert.ok(isText(message?.text), `${what} has no text`);
  only(message, ['text', 'markdown', 'id', 'arguments'], what);
}

/** 3.4 artifactLocation. */
function checkArtifact(artifact, run) {
  only(artifact, ['uri', 'uriBaseId', 'index', 'description'], 'artifactLocation');
  assert.ok(isText(artifact.uri));
  assert.match(artifact.uri, URI);
  assert.ok(!/%(?![0-9A-Fa-f]{2})/.test(artifact.uri), artifact.uri);
  if (artifact.uriBaseId === undefined) {
    assert.match(artifact.uri, /^[a-z][a-z0-9+.-]*:/, 'absolute without a base');
    return;
  }
  assert.ok(run.originalUriBaseIds?.[artifact.uriBaseId], 'an unknown base');
  assert.ok(!/^[a-z][a-z0-9+.-]*:|^\//i.test(artifact.uri), `${artifact.uri} is relative`);
}

/** 3.30 region: lines and columns from 1, bytes from 0, ends not before. */
function checkRegion(region) {
  only(
    region,
    ['startLine', 'startColumn', 'endLine', 'endColumn', 'byteOffset', 'byteLength'],
    'region',
  );
  assert.ok(isCount(region.startLine, 1) && isCount(region.startColumn, 1));
  assert.ok(isCount(region.endLine, region.startLine));
  assert.ok(isCount(region.endColumn, 1));
  if (region.endLine === region.startLine) assert.ok(region.endColumn >= region.startColumn);
  assert.ok(isCount(region.byteOffset, 0) && isCount(region.byteLength, 0));
}

/** 3.28 location, 3.29 physicalLocation. */
function checkLocation(location, run) {
  assert.ok(location.physicalLocation.artifactLocation, 'artifactLocation is there');
  checkArtifact(location.physicalLocation.artifactLocation, run);
  if (location.physicalLocation.region) checkRegion(location.physicalLocation.region);
}

/** 3.49 reportingDescriptor, and what code-scanning tools read of it. */
function checkRule(rule) {
  assert.match(rule.id, /^[a-z0-9-]+$/);
  for (const name of ['shortDescription', 'fullDescription', 'help']) checkMessage(rule[name], `${rule.id}.${name}`);
  assert.ok(LEVELS.includes(rule.defaultConfiguration.level));
  assert.ok(rule.properties.tags.every(isText));
  assert.equal(new Set(rule.properties.tags).size, rule.properties.tags.length);
  const severity = Number(rule.properties['security-severity']);
  assert.equal(typeof rule.properties['security-severity'], 'string');
  assert.ok(severity > 0 && severity <= 10);
}

/** 3.27 result. */
function checkResult(result, run) {
  const rule = run.tool.driver.rules[result.ruleIndex];
  assert.equal(rule?.id, result.ruleId, 'ruleIndex is of ruleId');
  assert.ok(LEVELS.includes(result.level));
  checkMessage(result.message, 'message');
  assert.equal(result.locations.length, 1);
  assert.ok(result.locations[0].physicalLocation.region);
  checkLocation(result.locations[0], run);
  for (const [name, value] of Object.entries(result.partialFingerprints)) assert.ok(isText(name) && isText(value));
  assert.ok(result.rank >= 0 && result.rank <= 100);
}

/** 3.58 notification. */
function checkNotification(note, run) {
  checkMessage(note.message, 'notification');
  assert.ok(LEVELS.includes(note.level));
  assert.ok(isText(note.descriptor.id));
  for (const location of note.locations ?? []) checkLocation(location, run);
}

/** Checks a whole log (3.13) of one run (3.14) and returns the run. */
export function checkSarif(text) {
  const log = JSON.parse(text);
  only(log, ['$schema', 'version', 'runs'], 'log');
  assert.equal(log.version, '2.1.0');
  assert.match(log.$schema, /^https:\/\/docs\.oasis-open\.org\/sarif\/.*sarif-schema-2\.1\.0\.json$/);
  assert.equal(log.runs.length, 1);
  const [run] = log.runs;
  only(run, ['tool', 'columnKind', 'originalUriBaseIds', 'results', 'invocations'], 'run');
  assert.equal(run.columnKind, 'unicodeCodePoints');
  assert.ok(isText(run.tool.driver.name));
  assert.match(run.tool.driver.version, /^\d+\.\d+/);
  for (const base of Object.values(run.originalUriBaseIds)) {
    assert.match(base.uri, /^file:\/\/\/.*\/$/);
    assert.match(base.uri, URI);
  }
  for (const rule of run.tool.driver.rules) checkRule(rule);
  const ids = run.tool.driver.rules.map((rule) => rule.id);
  assert.equal(new Set(ids).size, ids.length);
  for (const result of run.results) checkResult(result, run);
  assert.equal(run.invocations.length, 1);
  const [invocation] = run.invocations;
  assert.equal(typeof invocation.executionSuccessful, 'boolean');
  assert.ok(Number.isInteger(invocation.exitCode));
  for (const note of invocation.toolExecutionNotifications) checkNotification(note, run);
  return run;
}
