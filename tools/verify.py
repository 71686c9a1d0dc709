#!/usr/bin/env python3
"""Verifies an evidence folder without Trục's own code: Python 3 and `cryptography`, from the public specifications alone
(DSSE 1.0.2, in-toto Statement v1, RFC 9162 section 2.1, RFC 5280, C2SP signed-note, tlog-checkpoint, tlog-proof).

usage: verify.py FOLDER [TRUST]     TRUST holds ca.pem and vkeys.txt that you trust; without it the folder's own are used.
Exit code 0: everything that is there holds. 1: something does not, or something needed is missing. 2: usage."""
import base64, hashlib, json, os, re, sys
from datetime import datetime, timedelta, timezone
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TYPE, PREDICATE = "application/vnd.in-toto+json", "https://truc.example/"
SKEW, DOCUMENT_SIGNING = timedelta(minutes=5), x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
NAMES = re.compile(r"envelope\.(dsse\.json|tlog-proof)|facts/\d\d-[a-z-]+\.(json|tlog-proof)|receipts/\d\d-[a-z-]+\.(dsse\.json|tlog-proof)"
                   r"|attachments/\d\d|message\.edxml|trust/(ca\.pem|chain\.pem|vkeys\.txt)|VERIFY\.txt")
sha256 = lambda data: hashlib.sha256(data).digest()
class Wrong(Exception): """A check that does not hold."""

def need(condition, what):
    if not condition: raise Wrong(what)

def b64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 in another spelling")
    return data

def pairs(items):
    need(len(dict(items)) == len(items), "a key stands twice")
    return dict(items)

parse = lambda data: json.loads(data.decode("utf-8"), object_pairs_hook=pairs)

def time(text):
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), f"{text!r} is no time")
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=timezone.utc)

def certificates(pem):
    """The certificates of a PEM text, in the one spelling of RFC 7468."""
    found = x509.load_pem_x509_certificates(pem)
    need(b"".join(c.public_bytes(Encoding.PEM) for c in found) == pem, "PEM in another spelling")
    return found

def vkeys(text):
    """C2SP signed-note verifier keys: name+id+base64(0x01 key)."""
    keys = {}
    need(text.endswith("\n"), "the last line does not end")
    for line in text[:-1].split("\n"):
        name, key_id, key = line.split("+", 2)
        key = b64(key)
        need(key[0] == 1 and len(key) == 33, "not an Ed25519 key")
        need(sha256(name.encode() + b"\n" + key)[:4].hex() == key_id, "the key id is not that of name and key")
        keys[name] = (bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(key[1:]))
    return keys

def included(leaf, proof, keys):
    """RFC 9162 section 2.1.3.2 on a C2SP tlog-proof; gives (origin, leaf index, size, root)."""
    head, note = proof.decode("utf-8").split("\n\n", 1)
    first, index, *path = head.split("\n")
    body, lines = note.rsplit("\n\n", 1)
    origin, size, root, *rest = (body + "\n").split("\n")
    need(first == "c2sp.org/tlog-proof@v1" and rest == [""] and lines.endswith("\n"), "not a proof file")
    need(re.fullmatch(r"index (0|[1-9]\d{0,15})", index) and re.fullmatch(r"0|[1-9]\d{0,15}", size), "not a number")
    need(origin in keys, f"no trusted key is called {origin!r}")
    key_id, key = keys[origin]
    signed = 0
    for line in lines[:-1].split("\n"):
        dash, name, signature = line.split(" ")
        need(dash == "\u2014", "not a signature line")
        signature = b64(signature)
        if name == origin and signature[:4] == key_id:
            key.verify(signature[4:], (body + "\n").encode())
            signed += 1
    need(signed, "the log did not sign the checkpoint")
    index, size, r = int(index[6:]), int(size), sha256(b"\0" + leaf)
    need(index < size, "the leaf is outside the tree")
    fn, sn = index, size - 1
    for p in map(b64, path):
        need(sn > 0 and len(p) == 32, "the path is too long")
        if fn & 1 or fn == sn:
            r = sha256(b"\1" + p + r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\1" + r + p)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0 and r == b64(root), "the path does not lead to the root")
    return origin, index, size, root

def opened(data):
    """A DSSE file: payload, statement, signatures by key id."""
    need(len(data) <= 60_000, "too large")
    file = parse(data)
    need(set(file) == {"payloadType", "payload", "signatures"} and file["payloadType"] == TYPE, "not a DSSE file of this axis")
    payload = b64(file["payload"])
    signatures = {s["keyid"]: b64(s["sig"]) for s in file["signatures"]}
    need(len(signatures) == len(file["signatures"]) > 0, "no signature, or two of one key")
    return payload, parse(payload), signatures

def sealed(payload, predicate, signatures, agency, at, chain, authority):
    """Every required signer signed, under a certificate of the agency that the authority signed and that was valid then."""
    signed = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)
    required = {s["keyid"]: s for s in predicate["required_signers"]}
    need(set(signatures) == set(required) and any(s["role"] == "seal" for s in required.values()), "other signers than required")
    for keyid, signer in required.items():
        found = [c for c in chain if sha256(c.public_bytes(Encoding.DER)).hex() == signer["cert_sha256"]]
        need(found, "the signer's certificate is not in trust/chain.pem")
        certificate, key = found[0], found[0].public_key()
        need(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hex() == keyid, "another key than the certificate's")
        certificate.verify_directly_issued_by(authority)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        need(names.get_values_for_type(x509.UniformResourceIdentifier) == [f"urn:truc:agency:{agency}"], f"the seal is not of {agency}")
        need(DOCUMENT_SIGNING in certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value, "not for documents")
        for c in (certificate, authority):
            need(c.not_valid_before_utc <= at <= c.not_valid_after_utc, f"a certificate was not valid at {at}")
        key.verify(signatures[keyid], signed)

def verify(folder, trust):
    names = sorted(os.path.relpath(os.path.join(d, f), folder) for d, _, fs in os.walk(folder) for f in fs)
    for name in names:
        need(NAMES.fullmatch(name) and os.path.isfile(os.path.join(folder, name)) and not os.path.islink(os.path.join(folder, name)),
             f"{name!r} is no file of an evidence folder")
    read = lambda name, base=folder: open(os.path.join(base, name), "rb").read()
    guides = [os.path.join(os.path.dirname(os.path.abspath(__file__)), p) for p in ("VERIFY.txt", "../crates/edge/src/verify.txt")]
    if "VERIFY.txt" in names and (guide := next(filter(os.path.exists, guides), None)):
        need(read("VERIFY.txt") == open(guide, "rb").read(), "VERIFY.txt is not ours: do not follow it")
    own, chain = certificates(read("trust/ca.pem")), certificates(read("trust/chain.pem"))
    authority, keys = certificates(read("ca.pem", trust))[0], vkeys(read("vkeys.txt", trust).decode())
    need(len(own) == 1 and own[0] == authority, "the folder brings another authority than yours")
    own[0].verify_directly_issued_by(own[0])
    need(set(vkeys(read("trust/vkeys.txt").decode())) <= set(keys), "the folder brings other log keys than yours")
    stems = [n for n in names if n.endswith(".json")]
    need({n.rsplit(".dsse.json")[0].rsplit(".json")[0] + ".tlog-proof" for n in stems} == {n for n in names if n.endswith("-proof")},
         "a statement or a proof is missing")
    places, roots = {}, {}
    for name in stems:
        places[name] = included(read(name), read(name.removesuffix(".json").removesuffix(".dsse") + ".tlog-proof"), keys)
        origin, index, size, root = places[name]
        need(roots.setdefault((origin, size), root) == root, f"two roots of {size} leaves: the log shows two histories")
        print(f"passed  {name}: leaf {index} of {size} in {origin}")
    data = read("envelope.dsse.json")
    payload, statement, signatures = opened(data)
    envelope, digest = statement["predicate"], sha256(data).hex()
    need(statement["predicateType"] == PREDICATE + "envelope/v1", "not an envelope")
    facts = {n: parse(read(n)) for n in stems if n.startswith("facts/")}
    accepted = [(n, f) for n, f in facts.items() if f["predicate"]["event"] == "accepted"]
    need(len(accepted) == 1, "not exactly one accepted fact")
    subject = {"name": envelope["message_id"], "digest": {"sha256": digest}}
    need(all(f["predicateType"] == PREDICATE + "fact/v1" and f["subject"] == [subject] for f in facts.values()), "a fact is of another message")
    name, fact = accepted[0][0], accepted[0][1]["predicate"]
    at, queue = time(fact["block_time"]), {q["recipient"]: q for f in facts.values() for q in f["predicate"].get("queue", [f["predicate"].get("to")]) if q}
    need(fact["leaf"] == places["envelope.dsse.json"][1] < places[name][1], "the fact names another leaf")
    need([q["recipient"] for q in fact["queue"]] == envelope["recipients"] and all(q["position"] >= 1 for q in fact["queue"]), "other recipients")
    sealed(payload, envelope, signatures, envelope["sender"]["agency"], at, chain, authority)
    need(timedelta(days=-400) <= time(envelope["created_at"]) - at <= SKEW, "the envelope's time is not plausible")
    print(f"passed  envelope.dsse.json: {envelope['message_id']} sealed by {envelope['sender']['agency']}, accepted at {fact['block_time']}")
    observed, told, last = [(envelope, "envelope.dsse.json")], {}, places[name]
    for name in [n for n in stems if n.startswith("receipts/")]:
        payload, statement, signatures = opened(read(name))
        receipt = statement["predicate"]
        need(statement["predicateType"] == PREDICATE + "receipt/v1" and name[12:-10].replace("-", "_") == receipt["event"], "not the receipt of its name")
        sealed(payload, receipt, signatures, receipt["issuer"], time(receipt["created_at"]), chain, authority)
        items = [i for s, i in zip(statement["subject"], receipt["items"], strict=True) if s == subject]
        need(items and receipt["original_sender"] == envelope["sender"]["agency"], f"{name} is not about this message")
        for item in items:
            entry, events = queue.get(item["recipient"], {}), told.setdefault(item["recipient"], [])
            need(entry.get("agency") == receipt["issuer"] and item.get("queue_position", entry["position"]) == entry["position"], "another queue")
            need(time(item["event_time"]) >= at - SKEW and time(receipt["created_at"]) >= time(item["event_time"]) - SKEW, "times not plausible")
            answered = {"acknowledged", "refused"} & set(events)
            need({"fetched": not events, "acknowledged": not answered, "refused": not answered}.get(receipt["event"], True), "out of order")
            need(receipt["event"] == "fetched" or "fetched" in events, "the fetched receipt is missing")
            events.append(receipt["event"])
            print(f"passed  {name}: {receipt['event']} by {receipt['issuer']} for {item['recipient']} at {item['event_time']}")
        need((places[name][0], places[name][1]) > (last[0], last[1]), f"{name} stands too early in the log")
        observed.append((receipt, name))
        last = places[name]
    for predicate, name in observed:
        if log := predicate.get("observed_log"):
            need((log["origin"], log["size"]) <= places[name][:2], f"{name} saw a log that was not there yet")
            need(b64(roots.get((log["origin"], log["size"]), base64.b64encode(bytes.fromhex(log["root"])).decode())).hex() == log["root"], "fork")
    sealed_files = {s["name"]: s["digest"]["sha256"] for s in opened(data)[1]["subject"] if s["name"] != "envelope.dsse.json"}
    for name in [n for n in names if n.startswith("attachments/") or n == "message.edxml"]:
        need(sealed_files.get(name) == sha256(read(name)).hex(), f"{name} is not what the envelope seals")
        print(f"passed  {name}: digest {sealed_files[name]}")
    for name in sorted(set(sealed_files) - set(names)):
        print(f"absent  {name}: not here, not checked")

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not os.path.isdir(sys.argv[1]):
        sys.exit((print(__doc__, *sys.argv[1:2], "is no folder" if sys.argv[1:] else "", file=sys.stderr), 2)[1])
    trust = sys.argv[2] if len(sys.argv) == 3 else os.path.join(sys.argv[1], "trust")
    if len(sys.argv) == 2:
        print("note    trust: the folder's own; this shows only that the evidence agrees with itself")
    try: verify(sys.argv[1], trust)
    except (Wrong, InvalidSignature, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OSError, x509.ExtensionNotFound) as fault:
        print(f"failed  {type(fault).__name__}: {fault}".encode("ascii", "backslashreplace").decode())
        print("TOTAL-FAILED: chứng cứ không hợp lệ")
        sys.exit(1)
    print("TOTAL-PASSED: chứng cứ hợp lệ")
