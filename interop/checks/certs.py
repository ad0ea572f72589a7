"""Certificates in files: what CZMQ, pyzmq and ours write, the others read, with the same keys and metadata."""

import json
import os
import subprocess
import tempfile

import harness

EXAMPLE = os.path.abspath(os.environ.get("ATONCE_CERTIFICATE") or os.path.join(
    harness.HERE, "..", "target", "release", "examples", "certificate"))
ZCERT = [harness.PYTHON, "-B", os.path.join(harness.HERE, "peers", "zcert.py")]

META = {"name": "Jo Doe", "email": "jo@example.org", "place": "Köln # 1", "said": "it's", "share": "50 % %s %n"}
# CZMQ writes every value in double quotes and cannot read this again.
QUOTED = {"said-too": "say \"yes\""}
UNKNOWN = "0" * 40


def run(argv, status=0):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    assert done.returncode == status, f"{argv}: status {done.returncode}: {done.stderr}"
    return done.stdout if status == 0 else done.stderr


def theirs(*args):
    return json.loads(run([*ZCERT, *args]))


def pairs(meta):
    return [f"{name}={value}" for name, value in meta.items()]


def ours(*args, status=0):
    return run([EXAMPLE, *args], status)


def shown(path):
    """What ours says of a certificate: its public key, whether the secret one is known, and its metadata."""
    fields = dict(line.split(": ", 1) for line in ours("show", path).splitlines())
    meta = {name.removeprefix("metadata "): value for name, value in fields.items() if name.startswith("metadata ")}
    return fields["public-key"], fields["secret-key"], meta


def equal(seen, expected):
    assert seen == expected, f"{seen} instead of {expected}"


def mode(path):
    return os.stat(path).st_mode & 0o777


def from_czmq(report, folder):
    path = os.path.join(folder, "jo.cert")
    made = theirs("save", path, *pairs(META))

    def loads():
        equal(shown(path), (made["public"], "known", META))
        return made["public"]

    def copies():
        copy = os.path.join(folder, "copy.cert")
        ours("copy", path, copy)
        equal(theirs("load", copy), made)
        equal((mode(copy + "_secret"), mode(copy) & 0o111), (0o600, 0))
        os.remove(copy + "_secret")
        equal(theirs("load", copy), made | {"secret": UNKNOWN})

    def public():
        path = os.path.join(folder, "public.cert")
        made = theirs("save-public", path, *pairs(META))
        equal(shown(path), (made["public"], "unknown", META))

    def unknown():
        # CZMQ writes a secret key of zeros for one that it does not know.
        path = os.path.join(folder, "again.cert")
        made = theirs("again", os.path.join(folder, "public.cert"), path)
        equal(shown(path), (made["public"], "unknown", META))

    def both_in_one():
        path = os.path.join(folder, "both.cert")
        made = theirs("save-secret", path, *pairs(META))
        equal(shown(path), (made["public"], "known", META))
        equal(mode(path), 0o600)

    def open_to_others():
        os.chmod(path + "_secret", 0o644)
        said = ours("show", path, status=1)
        assert f"`chmod 600 {path}_secret`" in said, said
        run(["sh", "-c", said.split("`")[1]])
        equal(shown(path), (made["public"], "known", META))

    report.must("zcert_save, and ours loads both keys and the metadata", loads)
    report.check("ours saves them again, and zcert_load has the same keys and metadata", copies)
    report.must("zcert_save_public, and ours loads the public key", public)
    report.check("zcert_save of a public key only, and ours knows no secret one", unknown)
    report.check("zcert_save_secret, and ours loads both keys", both_in_one)
    report.check("a secret file that others can read is refused with what mends it", open_to_others)


def from_ours(report, folder):
    path = os.path.join(folder, "alice.cert")
    meta = META | QUOTED
    key = run([harness.ATONCE, "keygen", path, *(word for pair in pairs(meta) for word in ("--meta", pair))]).strip()

    def loads():
        seen = theirs("load", path)
        equal(seen["public"], key)
        assert seen["secret"] not in ("", UNKNOWN), seen
        own = {name: seen["meta"].pop(name) for name in ("created-by", "date-created")}
        equal(seen["meta"], meta)
        assert own["created-by"].startswith("atonce "), own
        return f"{key}, {own['date-created']}"

    def secrets():
        # The secret key is the one that belongs to it: ours says so when it loads what CZMQ saves.
        copy = os.path.join(folder, "of_czmq.cert")
        run([harness.ATONCE, "keygen", os.path.join(folder, "plain.cert")])
        seen = theirs("again", os.path.join(folder, "plain.cert"), copy)
        equal(shown(copy)[:2], (seen["public"], "known"))

    def public():
        os.rename(path + "_secret", os.path.join(folder, "away"))
        seen = theirs("load", path)
        equal((seen["public"], seen["secret"]), (key, UNKNOWN))
        os.rename(os.path.join(folder, "away"), path + "_secret")

    def pyzmq():
        seen = theirs("pyzmq-load", path + "_secret")
        equal(seen, {name: theirs("load", path)[name] for name in ("public", "secret")})
        equal(theirs("pyzmq-load", path), {"public": key, "secret": None})

    report.must("atonce keygen, and zcert_load has both keys and the metadata", loads)
    report.check("zcert_save of it, and ours loads both keys", secrets)
    report.check("zcert_load of its public file", public)
    report.check("pyzmq reads both keys", pyzmq)


def from_pyzmq(report, folder):
    def loads():
        public, secret = theirs("pyzmq-save", folder, "jo")
        # Its own do not keep others from reading it.
        os.chmod(secret, 0o644)
        assert "chmod 600" in ours("show", public, status=1)
        os.chmod(secret, 0o600)
        keys = theirs("pyzmq-load", secret)
        equal(shown(public), (keys["public"], "known", {"name": "Jo Doe", "team": "it's \"us\""}))
        copy = os.path.join(folder, "copy")
        ours("copy", public, copy)
        equal(theirs("pyzmq-load", copy + "_secret"), keys)
        equal(shown(copy), shown(public))

    report.check("zmq.auth.create_certificates, and ours loads both keys and the metadata", loads)


def trust(report, folder):
    def each_knows_the_others():
        ours_key = run([harness.ATONCE, "keygen", os.path.join(folder, "ours.cert")]).strip()
        their_key = theirs("save", os.path.join(folder, "theirs.cert"))["public"]
        for key in (ours_key, their_key):
            equal(ours("trusts", folder, key).strip(), "yes")
            equal(theirs("trusts", folder, key), "yes")
        stranger = theirs("save", os.path.join(folder, "stranger.cert_secret"))["public"]
        equal(ours("trusts", folder, stranger).strip(), "no")
        equal(theirs("trusts", folder, stranger), "no")

    report.check("a folder of both is the same to ours and to a zcertstore", each_knows_the_others)


def everything(report):
    for part in (from_czmq, from_ours, from_pyzmq, trust):
        with tempfile.TemporaryDirectory(prefix="atonce-certs-") as folder:
            part(report, folder)


def jobs():
    yield "certs", everything
