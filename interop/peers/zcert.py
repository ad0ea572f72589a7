#!/usr/bin/env python3
"""Certificates of CZMQ and of pyzmq: does one thing and tells what came of it as a line of JSON.

    zcert.py save FILE [K=V…]         a new certificate of CZMQ: zcert_save
    zcert.py save-public FILE [K=V…]  its public half only
    zcert.py save-secret FILE [K=V…]  both halves in this very file
    zcert.py load FILE                zcert_load
    zcert.py again FROM TO            zcert_load and zcert_save
    zcert.py trusts DIR KEY           whether a zcertstore knows the key: "yes" or "no"
    zcert.py pyzmq-save DIR NAME      zmq.auth.create_certificates: NAME.key and NAME.key_secret
    zcert.py pyzmq-load FILE          zmq.auth.load_certificate
"""

import json
import sys
from ctypes import byref, c_void_p

import common
import czmq_api as c


def told(cert):
    """What CZMQ says of a certificate, which is destroyed."""
    meta = {name: c.text(c.zcert_meta(cert, name.encode())) for name in c.owned_list(c.zcert_meta_keys(cert))}
    said = {"public": c.text(c.zcert_public_txt(cert)), "secret": c.text(c.zcert_secret_txt(cert)), "meta": meta}
    c.zcert_destroy(byref(cert))
    return said


def loaded(path):
    cert = c_void_p(c.zcert_load(path.encode()))
    if not cert:
        raise SystemExit(f"zcert_load: CZMQ cannot load {path}")
    return cert


def save(how, path, *pairs):
    cert = c_void_p(c.zcert_new())
    for pair in pairs:
        name, _, value = pair.partition("=")
        c.zcert_set_meta(cert, name.encode(), b"%s", value.encode())
    if how(cert, path.encode()) != 0:
        raise SystemExit(f"CZMQ cannot save {path}")
    return told(cert)


def again(old, new):
    cert = loaded(old)
    if c.zcert_save(cert, new.encode()) != 0:
        raise SystemExit(f"CZMQ cannot save {new}")
    return told(cert)


def trusts(folder, key):
    store = c_void_p(c.zcertstore_new(folder.encode()))
    known = bool(c.zcertstore_lookup(store, key.encode()))
    c.zcertstore_destroy(byref(store))
    return "yes" if known else "no"


def pyzmq_save(folder, name):
    import zmq.auth
    return list(zmq.auth.create_certificates(folder, name, {"name": "Jo Doe", "team": "it's \"us\""}))


def pyzmq_load(path):
    import zmq.auth
    public, secret = zmq.auth.load_certificate(path)
    return {"public": public.decode(), "secret": secret and secret.decode()}


def main():
    lines = common.claim_stdout()
    commands = {
        "save": lambda *args: save(c.zcert_save, *args),
        "save-public": lambda *args: save(c.zcert_save_public, *args),
        "save-secret": lambda *args: save(c.zcert_save_secret, *args),
        "load": lambda path: told(loaded(path)),
        "again": again,
        "trusts": trusts,
        "pyzmq-save": pyzmq_save,
        "pyzmq-load": pyzmq_load,
    }
    command, *args = sys.argv[1:]
    if not c.zmq_has(b"curve"):
        raise SystemExit("this libzmq has no CURVE")
    print(json.dumps(commands[command](*args)), file=lines)


if __name__ == "__main__":
    main()
