#!/usr/bin/env python3
"""An authentication handler of CZMQ or pyzmq, reached over TCP: what to write beside one to let atonce ask it.

    zap.py czmq ENDPOINT DIR     CZMQ's zauth, with a folder of certificates
    zap.py pyzmq ENDPOINT DIR    zmq.auth.thread.ThreadAuthenticator, with a folder of *.key
    zap.py none ENDPOINT DIR     a proxy behind which no handler is

Handlers are at inproc://zeromq.zap.01, so that a proxy in the same process has to be between: a ROUTER on TCP and a DEALER to
the handler. Tells `{"event": "start"}` when it can be asked, and runs until the end of its input.
"""

import json
import os
import sys
import threading
import time

import common

HANDLER = "inproc://zeromq.zap.01"
DOMAIN = "global"


def czmq(endpoint, folder):
    import czmq_api as c

    auth = c.c_void_p(c.zactor_new(c.zauth, None))
    c.zstr_sendx(auth, b"CURVE", folder.encode(), None, None)
    c.zsock_wait(auth)
    # The same as a zproxy, which this library does not have.
    front, back = c.zsock_new(c.ROUTER), c.zsock_new(c.DEALER)
    if c.zsock_attach(front, b"@" + endpoint.encode(), True) != 0:
        raise SystemExit(f"cannot bind {endpoint}")
    c.zsock_attach(back, b">" + HANDLER.encode(), False)
    return lambda: c.zmq_proxy(c.zsock_resolve(front), c.zsock_resolve(back), None)


def pyzmq(endpoint, folder, with_handler=True):
    import zmq
    from zmq.auth.thread import ThreadAuthenticator

    context = zmq.Context.instance()
    if with_handler:
        auth = ThreadAuthenticator(context)
        auth.start()
        auth.configure_curve(domain=DOMAIN, location=folder)
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    front.bind(endpoint)
    back.connect(HANDLER)
    return lambda: zmq.proxy(front, back)


def main():
    lines = common.claim_stdout()
    kind, endpoint, folder = sys.argv[1:]
    began = time.monotonic()
    proxy = {
        "czmq": czmq,
        "pyzmq": pyzmq,
        "none": lambda *where: pyzmq(*where, with_handler=False),
    }[kind](endpoint, folder)
    threading.Thread(target=proxy, daemon=True).start()
    print(json.dumps({"event": "start", "at": round((time.monotonic() - began) * 1000)}), file=lines)
    sys.stdin.buffer.read()
    # The libraries would wait for their proxies.
    os._exit(0)


if __name__ == "__main__":
    main()
