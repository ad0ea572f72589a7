"""The C API of libzyre and CZMQ, as the extension module of the PyPI wheel `ingescape` exports it.

Only what the drivers call. A handle is an opaque `c_void_p`; a `char *` that the caller must free
is declared `c_void_p` as well, and read by `owned_string`.
"""

import ctypes
import glob
import os
import sysconfig
from ctypes import CDLL, POINTER, byref, c_bool, c_char_p, c_int, c_size_t, c_uint64, c_void_p

# CZMQ otherwise takes SIGINT and SIGTERM for itself. It reads the variable when it starts.
os.environ.setdefault("ZSYS_SIGHANDLER", "false")


def load():
    places = (sysconfig.get_paths()["platlib"], sysconfig.get_paths()["purelib"])
    for place in places:
        for path in glob.glob(os.path.join(place, "ingescape", "_ingescape*.so")):
            return CDLL(path, mode=ctypes.RTLD_LOCAL)
    raise SystemExit("the wheel `ingescape` is not installed here: run interop/install")


lib = load()


def declare(name, restype, *argtypes):
    function = getattr(lib, name)
    function.restype = restype
    function.argtypes = list(argtypes)
    return function


P = c_void_p
S = c_char_p
PP = POINTER(c_void_p)

zyre_version = declare("zyre_version", c_uint64)
zyre_new = declare("zyre_new", P, S)
zyre_destroy = declare("zyre_destroy", None, PP)
zyre_uuid = declare("zyre_uuid", S, P)
zyre_name = declare("zyre_name", S, P)
zyre_set_verbose = declare("zyre_set_verbose", None, P)
zyre_set_port = declare("zyre_set_port", None, P, c_int)
zyre_set_interface = declare("zyre_set_interface", None, P, S)
zyre_set_interval = declare("zyre_set_interval", None, P, c_size_t)
zyre_set_evasive_timeout = declare("zyre_set_evasive_timeout", None, P, c_int)
zyre_set_silent_timeout = declare("zyre_set_silent_timeout", None, P, c_int)
zyre_set_expired_timeout = declare("zyre_set_expired_timeout", None, P, c_int)
zyre_set_beacon_peer_port = declare("zyre_set_beacon_peer_port", None, P, c_int)
zyre_set_advertised_endpoint = declare("zyre_set_advertised_endpoint", None, P, S)
zyre_set_contest_in_group = declare("zyre_set_contest_in_group", None, P, S)
zyre_set_zcert = declare("zyre_set_zcert", None, P, P)
zyre_set_zap_domain = declare("zyre_set_zap_domain", None, P, S)
zyre_start = declare("zyre_start", c_int, P)
zyre_stop = declare("zyre_stop", None, P)
zyre_join = declare("zyre_join", c_int, P, S)
zyre_leave = declare("zyre_leave", c_int, P, S)
zyre_whisper = declare("zyre_whisper", c_int, P, S, PP)
zyre_shout = declare("zyre_shout", c_int, P, S, PP)
zyre_own_groups = declare("zyre_own_groups", P, P)
zyre_peers = declare("zyre_peers", P, P)
zyre_peer_address = declare("zyre_peer_address", P, P, S)
zyre_require_peer = declare("zyre_require_peer", c_int, P, S, S, S)
zyre_socket = declare("zyre_socket", P, P)

# Variadic functions are always called with the format "%s" and one string after it.
zyre_set_header = declare("zyre_set_header", None, P, S, S, S)
zyre_set_endpoint = declare("zyre_set_endpoint", c_int, P, S, S)
zyre_gossip_bind = declare("zyre_gossip_bind", None, P, S, S)
zyre_gossip_connect = declare("zyre_gossip_connect", None, P, S, S)
zyre_gossip_connect_curve = declare("zyre_gossip_connect_curve", None, P, S, S, S)

zyre_event_new = declare("zyre_event_new", P, P)
zyre_event_destroy = declare("zyre_event_destroy", None, PP)
zyre_event_type = declare("zyre_event_type", S, P)
zyre_event_peer_uuid = declare("zyre_event_peer_uuid", S, P)
zyre_event_peer_name = declare("zyre_event_peer_name", S, P)
zyre_event_peer_addr = declare("zyre_event_peer_addr", S, P)
zyre_event_headers = declare("zyre_event_headers", P, P)
zyre_event_group = declare("zyre_event_group", S, P)
zyre_event_msg = declare("zyre_event_msg", P, P)

zhash_first = declare("zhash_first", P, P)
zhash_next = declare("zhash_next", P, P)
zhash_cursor = declare("zhash_cursor", S, P)
zlist_first = declare("zlist_first", P, P)
zlist_next = declare("zlist_next", P, P)
zlist_destroy = declare("zlist_destroy", None, PP)
zmsg_new = declare("zmsg_new", P)
zmsg_addmem = declare("zmsg_addmem", c_int, P, P, c_size_t)
zmsg_first = declare("zmsg_first", P, P)
zmsg_next = declare("zmsg_next", P, P)
zmsg_destroy = declare("zmsg_destroy", None, PP)
zframe_data = declare("zframe_data", P, P)
zframe_size = declare("zframe_size", c_size_t, P)
zstr_free = declare("zstr_free", None, PP)
ROUTER, DEALER = 6, 5
zsock_new = declare("zsock_new", P, c_int)
zsock_attach = declare("zsock_attach", c_int, P, S, c_bool)
zsock_resolve = declare("zsock_resolve", P, P)
zmq_proxy = declare("zmq_proxy", c_int, P, P, P)
zsock_fd = declare("zsock_fd", c_int, P)
zsock_events = declare("zsock_events", c_int, P)
zcert_new = declare("zcert_new", P)
zcert_load = declare("zcert_load", P, S)
zcert_public_txt = declare("zcert_public_txt", S, P)
zcert_secret_txt = declare("zcert_secret_txt", S, P)
zcert_set_meta = declare("zcert_set_meta", None, P, S, S, S)
zcert_meta = declare("zcert_meta", S, P, S)
zcert_meta_keys = declare("zcert_meta_keys", P, P)
zcert_save = declare("zcert_save", c_int, P, S)
zcert_save_public = declare("zcert_save_public", c_int, P, S)
zcert_save_secret = declare("zcert_save_secret", c_int, P, S)
zcertstore_new = declare("zcertstore_new", P, S)
zcertstore_lookup = declare("zcertstore_lookup", P, P, S)
zcertstore_destroy = declare("zcertstore_destroy", None, PP)
zcert_destroy = declare("zcert_destroy", None, PP)
zactor_new = declare("zactor_new", P, P, P)
zactor_destroy = declare("zactor_destroy", None, PP)
zauth = lib.zauth
zstr_sendx = declare("zstr_sendx", c_int, P, S, S, S, P)
zsock_wait = declare("zsock_wait", c_int, P)
zsys_shutdown = declare("zsys_shutdown", None)
zmq_has = declare("zmq_has", c_int, S)
zmq_version = declare("zmq_version", None, POINTER(c_int), POINTER(c_int), POINTER(c_int))


def libzmq_version():
    parts = (c_int(), c_int(), c_int())
    zmq_version(*(byref(part) for part in parts))
    return ".".join(str(part.value) for part in parts)


def text(octets):
    return "" if octets is None else octets.decode("utf-8", "replace")


def owned_string(pointer):
    if not pointer:
        return ""
    value = text(ctypes.string_at(pointer))
    zstr_free(byref(c_void_p(pointer)))
    return value


def owned_list(pointer):
    """The strings of a zlist, which is destroyed."""
    if not pointer:
        return []
    values = []
    item = zlist_first(pointer)
    while item:
        values.append(text(ctypes.string_at(item)))
        item = zlist_next(pointer)
    zlist_destroy(byref(c_void_p(pointer)))
    return values


def hash_to_dict(pointer):
    values = {}
    if pointer:
        item = zhash_first(pointer)
        while item:
            values[text(zhash_cursor(pointer))] = text(ctypes.string_at(item))
            item = zhash_next(pointer)
    return values


def frames_of(message):
    frames = []
    if message:
        frame = zmsg_first(message)
        while frame:
            frames.append(ctypes.string_at(zframe_data(frame), zframe_size(frame)))
            frame = zmsg_next(message)
    return frames


def message_of(frames):
    if not frames:
        # zmsg_send of an empty message sends nothing, not even an end: the command that follows
        # would become the content.
        raise ValueError("libzyre cannot send a message without a content frame")
    message = c_void_p(zmsg_new())
    for frame in frames:
        zmsg_addmem(message, frame, len(frame))
    return message
