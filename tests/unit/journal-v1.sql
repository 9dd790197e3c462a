-- SPDX-License-Identifier: Apache-2.0
-- A journal as version 1 of the schema kept it: 120 rows, two checkpoints. The
-- test fills in the key, the hashes and the signatures.
CREATE TABLE meta ( id BLOB NOT NULL, public_key BLOB NOT NULL, created_us INTEGER NOT NULL) STRICT;
CREATE TABLE rows ( seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, wall_us INTEGER NOT NULL, exchange TEXT, user TEXT, "groups" TEXT, issuer TEXT, client TEXT, pid INTEGER, process TEXT, connection TEXT, host TEXT, method TEXT, path TEXT, api TEXT, model TEXT, conversation TEXT, verdict TEXT, rule TEXT, detail TEXT, policy_revision TEXT, status INTEGER, bytes_in INTEGER, bytes_out INTEGER, tokens_in INTEGER, tokens_out INTEGER, duration_us INTEGER, body_digest BLOB, body_len INTEGER, kept_digest BLOB, kept_len INTEGER, cut INTEGER, hash BLOB NOT NULL) STRICT;
CREATE INDEX rows_exchange ON rows(exchange) WHERE exchange IS NOT NULL;
CREATE INDEX rows_wall ON rows(wall_us);
CREATE INDEX rows_kept ON rows(body_digest) WHERE kept_digest IS NOT NULL;
CREATE INDEX rows_prune ON rows(kind) WHERE kind = 'prune';
CREATE TABLE checkpoints ( seq INTEGER PRIMARY KEY, wall_us INTEGER NOT NULL, hash BLOB NOT NULL, public_key BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
CREATE TABLE bodies ( id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, len INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE open_requests ( seq INTEGER PRIMARY KEY, exchange TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO meta VALUES (x'000102030405060708090a0b0c0d0e0f', zeroblob(32), 1700000000000000);
WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 120)
INSERT INTO rows (seq, kind, wall_us, exchange, user, "groups", issuer, client, verdict, detail, hash)
SELECT seq, iif(seq % 2, 'request', 'response'), 1700000000000000 + seq * 1000000, printf('x%03d', (seq + 1) / 2), 'ada@example.com', 'developers,local', 'local', 'vscode', iif(seq % 2, 'allow', 'ok'), '{"n_findings":0}', zeroblob(32) FROM n;
-- a body that two rows name, one that was cut, one that only its digest is kept of
UPDATE rows SET body_digest = x'86b5c8fec143c27e098847ce84d8fe8d33b5556b4d6e517e047fe14bd6dccaa5', body_len = 48, kept_len = 48 WHERE seq IN (3, 111);
UPDATE rows SET body_digest = x'07a7fa288601ccaf3a2dc6417a27ecfd81ee49a890f71e533b2e4de21cc71e8e', body_len = 27, kept_digest = x'8b6b4db596670f191807f97dffb204fd856a040f3a62954330331b28c8c880b5', kept_len = 21, cut = 0 WHERE seq = 4;
UPDATE rows SET body_digest = x'283bb9deef02e6843abfb538efa1eca70801bd8a701c3f98191e123496339247', body_len = 4 WHERE seq = 5;
INSERT INTO bodies VALUES (1, x'86b5c8fec143c27e098847ce84d8fe8d33b5556b4d6e517e047fe14bd6dccaa5', 48, 3, x'28b52ffd20308101007b226d65737361676573223a5b7b22726f6c65223a2275736572222c22636f6e74656e74223a2268656c6c6f227d5d7d');
INSERT INTO bodies VALUES (2, x'8b6b4db596670f191807f97dffb204fd856a040f3a62954330331b28c8c880b5', 21, 4, x'28b52ffd2015a90000616e20616e737765722c2063757420617420e2809c');
-- the last request has no response yet
UPDATE rows SET kind = 'request', exchange = 'open', verdict = 'allow' WHERE seq = 120;
INSERT INTO open_requests VALUES (120, 'open');
INSERT INTO checkpoints SELECT seq, wall_us, zeroblob(32), zeroblob(32), zeroblob(64) FROM rows WHERE seq IN (100, 120);
PRAGMA application_id = 1752133488;
PRAGMA user_version = 1;
