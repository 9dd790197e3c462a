#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies a journal by hoop-journal(5) alone, sharing no code with the agent.

Usage: verify-journal.py DATABASE [HEAD [KEY [RECEIPTS]]]
HEAD is SEQ:HASH, KEY the receiver's in hexadecimal, RECEIPTS a file with what
it signed, one a line; "-" stands for none.
Exit status: 0 intact, 1 not intact, 2 cannot tell.
With "-" for DATABASE: these words a line on standard input, tabs between them,
one verdict a line on standard output.
"""
import ctypes
import ctypes.util
import functools
import hashlib
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tempfile

MAX_UNSIGNED = 100
PART_LAG = 4096
MAX_BODY = 64 * 1024 * 1024
COLUMNS = [
    "seq", "kind", "wall_us", "exchange", "user", "groups", "issuer", "client",
    "pid", "process", "connection", "host", "method", "path", "api", "model",
    "conversation", "verdict", "rule", "detail", "policy_revision", "status",
    "bytes_in", "bytes_out", "tokens_in", "tokens_out", "duration_us",
    "body_digest", "body_len", "kept_digest", "kept_len", "cut"]
# The columns after "hash", whose number in the encoding is 33.
LATER = ["first_byte_us", "held_us", "sealed_digest"]
# Tables and indices by the version of the schema.
TABLES = {1: {
    "meta": ["id", "public_key", "created_us"],
    "rows": COLUMNS + ["hash"],
    "checkpoints": ["seq", "wall_us", "hash", "public_key", "signature"],
    "bodies": ["id", "digest", "len", "seq", "data"],
    "open_requests": ["seq", "exchange"]}}
INDICES = {1: {
    "rows_exchange": ["exchange"], "rows_wall": ["wall_us"],
    "rows_kept": ["body_digest"], "rows_prune": ["kind"],
    "sqlite_autoindex_bodies_1": ["digest"],
    "sqlite_autoindex_open_requests_1": ["exchange"]}}
TABLES[2] = {
    **TABLES[1],
    "rows": COLUMNS + ["hash"] + LATER,
    "bodies": ["id", "digest", "len", "seq", "data", "used_seq", "parts"],
    "parts": ["id", "digest", "len", "used_seq", "data"],
    "sealed": ["seq", "data"],
    "ship_cursor": ["receiver", "seq", "checkpoint_seq", "wall_us"],
    "quarantine": ["id", "receiver", "seq", "wall_us", "reason"],
    "receipts": ["id", "receiver", "seq", "hash", "wall_us", "receipt"]}
INDICES[2] = {
    **INDICES[1],
    "bodies_used": ["used_seq"], "parts_used": ["used_seq"],
    "sqlite_autoindex_parts_1": ["digest"],
    "sqlite_autoindex_ship_cursor_1": ["receiver"],
    "sqlite_autoindex_quarantine_1": ["receiver", "seq"],
    "sqlite_autoindex_receipts_1": ["receiver", "seq"]}
SHARED = ["user", "groups", "issuer", "client", "process", "connection",
          "host", "method", "path", "api", "model", "conversation", "detail",
          "policy_revision"]
TABLES[3] = {
    **TABLES[2],
    "rows": TABLES[2]["rows"] + ["context", "shared_detail"],
    "shared": ["id", "digest", "used_seq"] + SHARED}
INDICES[3] = {
    **INDICES[2],
    "shared_used": ["used_seq"],
    "sqlite_autoindex_shared_1": ["digest"]}


class Bad(Exception):
    """The journal is not what was written."""


class Raw(bytes):
    """TEXT as it is stored: its bytes, told apart from a BLOB."""


def field(number, value):
    """One field of the canonical encoding; nothing when it is absent."""
    if value is None:
        return b""
    if isinstance(value, int):
        return struct.pack(">BBq", number, 1, value)
    if isinstance(value, Raw):
        return struct.pack(">BBI", number, 2, len(value)) + value
    if isinstance(value, bytes):
        return struct.pack(">BBI", number, 3, len(value)) + value
    raise Bad("a value of no known type")


def sha256(data):
    return hashlib.sha256(data).digest()


def need(value, length, what):
    if type(value) is not bytes or len(value) != length:
        raise Bad(f"{what} is not {length} bytes")
    return value


@functools.lru_cache(maxsize=1000)
def signed(public_key, message, signature):
    """Ed25519 by the openssl program (RFC 8410 gives the key's wrapping)."""
    der = bytes.fromhex("302a300506032b6570032100") + public_key
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, data in (("key", der), ("message", message),
                           ("signature", signature)):
            names[name] = os.path.join(folder, name)
            with open(names[name], "wb") as out:
                out.write(data)
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER",
             "-inkey", names["key"], "-rawin", "-in", names["message"],
             "-sigfile", names["signature"]],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0


def load_zstd():
    lib = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    lib.ZSTD_decompress.restype = ctypes.c_size_t
    lib.ZSTD_decompress.argtypes = [ctypes.c_void_p, ctypes.c_size_t,
                                    ctypes.c_char_p, ctypes.c_size_t]
    lib.ZSTD_isError.argtypes = [ctypes.c_size_t]
    return lib


def unpack(zstd, data, length):
    if not isinstance(length, int) or not 0 <= length <= MAX_BODY:
        raise Bad("a body of impossible length")
    out = ctypes.create_string_buffer(length + 1)
    got = zstd.ZSTD_decompress(out, length + 1, data, len(data))
    if zstd.ZSTD_isError(got) or got != length:
        raise Bad("a body that is not what was recorded")
    return out.raw[:length]


def prunes(db):
    """What retention says that it took away: rows and bodies, up to where."""
    rows, bodies = 0, 0
    for (detail,) in db.execute("SELECT detail FROM rows NOT INDEXED "
                                "WHERE kind = 'prune' AND seq <= "
                                "(SELECT max(seq) FROM checkpoints)"):
        try:
            said = json.loads(detail)
        except (ValueError, TypeError):
            continue
        if not isinstance(said, dict):
            continue
        if type(said.get("rows_through")) is int:
            rows = max(rows, said["rows_through"])
        if type(said.get("bodies_through")) is int:
            bodies = max(bodies, said["bodies_through"])
    return rows, bodies


def take_checkpoint(checkpoint, genesis, public_key, row_hash):
    """Checks a checkpoint; returns what the next row follows."""
    seq, wall_us, row, key, signature = checkpoint
    need(row, 32, "a checkpoint's hash")
    need(key, 32, "a checkpoint's key")
    need(signature, 64, "a signature")
    if row != row_hash:
        raise Bad(f"the checkpoint after row {seq} is for another row")
    if key != public_key:
        raise Bad(f"the checkpoint after row {seq} has another key")
    message = (b"HJC\x01" + field(1, genesis) + field(2, seq) + field(3, row) +
               field(4, wall_us) + field(5, key))
    if not signed(key, message, signature):
        raise Bad(f"the checkpoint after row {seq} is not signed")
    return sha256(b"HJL\x01" + field(1, message) + field(2, signature))


def check_schema(db):
    """The schema's version, whose tables and indices are all there is."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version not in TABLES:
        raise Bad(f"a schema of version {version}")
    found = {"table": {}, "index": {}}
    for kind, name in db.execute("SELECT type, name FROM sqlite_schema"):
        if kind.decode() not in found:
            raise Bad(f"a {kind.decode()} that does not belong")
        name = name.decode()
        listing = "index_info" if kind == b"index" else "table_xinfo"
        column = 2 if kind == b"index" else 1
        found[kind.decode()][name] = [
            row[column].decode() for row in
            db.execute(f"PRAGMA {listing}('{name}')")]
    if found != {"table": TABLES[version], "index": INDICES[version]}:
        raise Bad(f"tables or indices are not those of version {version}")
    return version


def read_bodies(db, version):
    """Every body by its digest: length, first and newest user, its parts."""
    zstd = load_zstd()
    parts, bodies = {}, {}
    if version > 1:
        for number, digest, length, data in db.execute(
                "SELECT id, digest, len, data FROM parts NOT INDEXED"):
            need(digest, 32, "a part's digest")
            text = unpack(zstd, data, length)
            if sha256(text) != digest:
                raise Bad(f"part {number} is not what was recorded")
            parts[number] = text
    for digest, length, data, seq, used, count in db.execute(
            "SELECT digest, len, data, seq, " +
            ("seq, 0" if version == 1 else "used_seq, parts") +
            " FROM bodies NOT INDEXED"):
        need(digest, 32, "a body's digest")
        made_of = []
        if count:
            if len(data) != 8 * count:
                raise Bad(f"the body of row {seq} lists other parts")
            made_of = list(struct.unpack(f">{count}q", data))
            if any(one not in parts for one in made_of):
                raise Bad(f"a part of the body of row {seq} is missing")
            text = b"".join(parts[one] for one in made_of)
        else:
            text = unpack(zstd, data, length)
        if len(text) != length or sha256(text) != digest:
            raise Bad(f"the body of row {seq} is not what was recorded")
        bodies[digest] = (length, seq, used, made_of)
    return bodies


def check_parts(db, bodies, names, first, bodies_through):
    """Parts belong to bodies, and to the row that they say used them."""
    newest = {}
    for _, _, used, made_of in bodies.values():
        for one in made_of:
            newest[one] = max(newest.get(one, 0), used)
    for number, used in db.execute("SELECT id, used_seq FROM parts "
                                   "NOT INDEXED"):
        if number not in newest and used > bodies_through:
            raise Bad(f"part {number} belongs to no body")
        if number in newest and used < newest[number] - PART_LAG:
            raise Bad(f"part {number} is marked as not used")
        if 0 < used <= bodies_through or 0 < used < first:
            continue
        user = bodies.get(names.get(used))
        if user is None or number not in user[3]:
            raise Bad(f"row {used} does not use part {number}")


def check_sealed(db, digests, bodies_through):
    """Sealed originals are those that rows name."""
    found = set()
    for seq, data in db.execute("SELECT seq, data FROM sealed"):
        if digests.get(seq) != sha256(data):
            raise Bad(f"the sealed original of row {seq} is another")
        found.add(seq)
    for seq in digests:
        if seq not in found and seq > bodies_through:
            raise Bad(f"the sealed original of row {seq} is missing")


RECEIPT = {"machine": str, "journal": str, "seq": int, "hash": str,
           "time_us": int, "public_key": str, "signature": str}


def once(pairs):
    """A JSON object without a name twice."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice")
    return dict(pairs)


def hexed(text, length, what):
    if len(text) != 2 * length or text.strip("0123456789abcdef"):
        raise Bad(f"{what} of a receipt is not {length} bytes")
    return bytes.fromhex(text)


def read_receipt(text, journal, key):
    """The row and hash that a receipt confirms, once it is believed."""
    try:
        said = json.loads(text, object_pairs_hook=once)
    except (ValueError, TypeError):
        raise Bad("a receipt that is none")
    if not isinstance(said, dict) or said.keys() != RECEIPT.keys() or any(
            type(said[name]) is not kind for name, kind in RECEIPT.items()):
        raise Bad("a receipt that is none")
    if said["seq"] < 1 or said["time_us"] < 1:
        raise Bad("a receipt that is none")
    if hexed(said["journal"], 16, "the journal") != journal:
        raise Bad("a receipt for another journal")
    if said["machine"]:
        hexed(said["machine"], 16, "the machine")
    named = hexed(said["public_key"], 32, "the key")
    if key and named != key:
        raise Bad("a receipt by another key")
    row_hash = hexed(said["hash"], 32, "the hash")
    message = b"hoop-hub receipt 1\0" + b"".join(
        struct.pack(">I", len(said[name])) + said[name].encode()
        for name in ("machine", "journal"))
    message += struct.pack(">q", said["seq"]) + row_hash
    message += struct.pack(">q", said["time_us"])
    if not signed(named, message, hexed(said["signature"], 64, "the sign")):
        raise Bad("a receipt that is altered or forged")
    return said["seq"], row_hash


def check_held(seq, row_hash, hashes, first, last):
    if seq > last:
        raise Bad(f"truncated: row {seq} was received elsewhere")
    if seq >= first and hashes.get(seq) != row_hash:
        raise Bad(f"rewritten: row {seq} is another than was received")


def check_receipts(db, journal, witness, hashes, first, last):
    """What a receiver holds is a head."""
    key = witness["key"]
    if db.execute("PRAGMA user_version").fetchone()[0] > 1:
        for seq, row_hash, text in db.execute(
                "SELECT seq, hash, receipt FROM receipts"):
            if text is not None and read_receipt(text, journal, key) != (
                    seq, row_hash):
                raise Bad(f"the receipt for row {seq} was altered")
            check_held(seq, row_hash, hashes, first, last)
        for one, other in db.execute(
                "SELECT seq, checkpoint_seq FROM ship_cursor"):
            if max(one, other) > last:
                raise Bad(f"truncated: row {max(one, other)} was shipped")
    for text in witness["receipts"]:
        seq, row_hash = read_receipt(text, journal, key)
        check_held(seq, row_hash, hashes, first, last)


def read_shared(db):
    """What rows share: by its number the fields, and who used it lately."""
    shared = {}
    listed = ", ".join(f'"{name}"' for name in SHARED)
    for number, digest, used, *values in db.execute(
            f"SELECT id, digest, used_seq, {listed} FROM shared NOT INDEXED"):
        encoded = b"".join(field(COLUMNS.index(name) + 1, value)
                           for name, value in zip(SHARED, values))
        if sha256(b"HJN\x01" + encoded) != digest:
            raise Bad(f"what row {used} shares is not what was recorded")
        values = {name: value for name, value in zip(SHARED, values)
                  if value is not None}
        if not values or ("detail" in values and len(values) > 1):
            raise Bad(f"what row {used} shares is of no known sort")
        shared[number] = (used, values, set())
    return shared


def put_shared(row, shared, newest):
    """The row with what it shares put in."""
    row = list(row)
    for number, mine in ((row[-2], [name for name in SHARED
                                    if name != "detail"]),
                         (row[-1], ["detail"])):
        if number is None:
            continue
        if number not in shared:
            raise Bad(f"what row {row[0]} shares is missing")
        values = shared[number][1]
        if ("detail" in values) != (mine == ["detail"]):
            raise Bad(f"what row {row[0]} shares is of another sort")
        for name in mine:
            if row[COLUMNS.index(name)] is not None:
                raise Bad(f"row {row[0]} has what it shares twice")
            row[COLUMNS.index(name)] = values.get(name)
        newest[number] = row[0]
        shared[number][2].add(row[0])
    return row[:-2]


def check_shared(shared, newest, first):
    """Entries belong to rows, and to the row that they say used them."""
    for number, (used, _, users) in shared.items():
        if used < newest.get(number, 0) - PART_LAG:
            raise Bad(f"what row {newest[number]} shares is marked as unused")
        if not 0 < used < first and used not in users:
            raise Bad(f"row {used} does not share what says so")


def verify(db, witness):
    """Raises Bad at the first thing that is not what was written."""
    version = check_schema(db)
    head = witness["head"]
    metas = db.execute("SELECT id, public_key, created_us FROM meta").fetchall()
    if len(metas) != 1:
        raise Bad("table meta is not one row")
    meta = metas[0]
    journal_id = need(meta[0], 16, "the journal's id")
    public_key = need(meta[1], 32, "the journal's key")
    genesis = sha256(b"HJG\x01" + field(1, journal_id) + field(2, public_key) +
                     field(3, meta[2]))
    rows_through, bodies_through = prunes(db)
    checkpoints = {row[0]: row for row in db.execute(
        "SELECT seq, wall_us, hash, public_key, signature FROM checkpoints")}
    bodies = read_bodies(db, version)

    names, sealed, hashes = {}, {}, {}
    link, last, first, last_checkpoint, head_found = genesis, None, 0, 0, False
    shared, newest = read_shared(db) if version > 2 else {}, {}
    columns = TABLES[version]["rows"]
    listed = ", ".join(f'"{name}"' for name in columns)
    for row in db.execute(f"SELECT {listed} FROM rows NOT INDEXED "
                          "ORDER BY seq"):
        if version > 2:
            row = put_shared(row, shared, newest)
        seq, stored = row[0], row[32]
        if last is None:
            first = seq
            if seq != 1:
                if rows_through != seq - 1 or min(
                        checkpoints, default=0) != seq - 1:
                    raise Bad(f"rows before {seq} are missing")
                base = checkpoints.pop(seq - 1)
                link = take_checkpoint(base, genesis, public_key, base[2])
                last_checkpoint = seq - 1
        elif seq != last + 1:
            raise Bad(f"row {last + 1} is missing")
        encoded = b"".join(field(i + 1, value)
                           for i, value in enumerate(row) if i != 32)
        link = sha256(b"HJR\x01" + link + encoded)
        if link != stored:
            raise Bad(f"row {seq} is not what was written")
        if head and head[0] == seq:
            head_found = head[1] == link
        last = seq
        hashes[seq] = link
        if version > 1 and row[35] is not None:
            sealed[seq] = row[35]
        body, kept, kept_len = row[27], row[29], row[30]
        if kept_len is not None:
            key = body if kept is None else kept
            names[seq] = key
            if key not in bodies:
                if seq > bodies_through:
                    raise Bad(f"the body of row {seq} is missing")
            elif bodies[key][0] != kept_len:
                raise Bad(f"the body of row {seq} is not as long as it was")
            elif version > 1 and bodies[key][2] < seq:
                raise Bad(f"the body of row {seq} is marked as not used by it")
        if seq in checkpoints:
            link = take_checkpoint(checkpoints.pop(seq), genesis, public_key,
                                   link)
            last_checkpoint = seq
        if seq - last_checkpoint > MAX_UNSIGNED:
            raise Bad(f"a checkpoint before row {seq} is missing")
    if checkpoints:
        raise Bad(f"a checkpoint without its row: {min(checkpoints)}")
    if head and not head_found:
        raise Bad(f"the head, row {head[0]}, is not in the chain")
    for digest, (_, came, used, _) in bodies.items():
        for seq in (came, used):
            if not 0 < seq < first and names.get(seq) != digest:
                raise Bad(f"row {seq} does not name a body that is its own")
    check_shared(shared, newest, first)
    if version > 1:
        check_parts(db, bodies, names, first, bodies_through)
        check_sealed(db, sealed, bodies_through)
    check_receipts(db, journal_id, witness, hashes, first, last or 0)
    check = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if check != b"ok":
        raise Bad("the file is damaged: " + check.decode(errors="replace"))


def read_witness(head="-", key="-", receipts="-"):
    """What is known from elsewhere."""
    found = {"head": None, "key": None, "receipts": []}
    if head not in ("-", ""):
        seq, _, text = head.strip().partition(":")
        found["head"] = (int(seq), bytes.fromhex(text))
    if key != "-":
        found["key"] = bytes.fromhex(key)
    if receipts != "-":
        with open(receipts, encoding="utf-8") as lines:
            found["receipts"] = [line for line in lines if line.strip()]
    return found


def judge(path, *words):
    """"intact", or what is wrong."""
    witness = read_witness(*words)
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    db.text_factory = Raw
    try:
        db.execute("BEGIN")
        verify(db, witness)
    except Bad as why:
        return str(why)
    except sqlite3.DatabaseError as why:
        return f"the file is damaged: {why}"
    finally:
        db.close()
    return "intact"


def main():
    if len(sys.argv) == 2 and sys.argv[1] == "-":
        for line in sys.stdin:
            print(judge(*line.rstrip("\n").split("\t")).replace("\n", " "), flush=True)
        return 0
    if not 2 <= len(sys.argv) <= 5:
        print(__doc__, file=sys.stderr)
        return 2
    verdict = judge(*sys.argv[1:])
    print(verdict)
    return 0 if verdict == "intact" else 1


if __name__ == "__main__":
    sys.exit(main())
