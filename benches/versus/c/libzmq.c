// Bare DEALER -> ROUTER of libzmq; see src/lib.rs for what a contestant is.
//
// LIBZMQ_HWM sets the high-water mark of both sides, where 1,000 is the library's own choice. A socket's monitor says when a
// handshake is over. A dealer that knocks is used again and again, so that what making sockets costs is not in the figures.

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "contestant.h"

static void check(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

// Those of src/keys.rs.
static const char *const CALLED[] = {
    "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"};
static const char *const CALLER[] = {
    "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"};

static void set_key(void *socket, int option, const char *key) {
    check(zmq_setsockopt(socket, option, key, strlen(key) + 1), "a key");
}

static void secure(void *socket, int called) {
    const char *const *keys = called ? CALLED : CALLER;
    set_key(socket, ZMQ_CURVE_PUBLICKEY, keys[0]);
    set_key(socket, ZMQ_CURVE_SECRETKEY, keys[1]);
    if (called) {
        check(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &called, sizeof called), "SERVER");
    } else {
        set_key(socket, ZMQ_CURVE_SERVERKEY, CALLED[0]);
    }
}

static void *open_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    if (getenv("CURVE")) {
        secure(socket, type == ZMQ_ROUTER);
    }
    const char *hwm = getenv("LIBZMQ_HWM");
    if (hwm) {
        int messages = atoi(hwm);
        check(zmq_setsockopt(socket, ZMQ_SNDHWM, &messages, sizeof messages), "SNDHWM");
        check(zmq_setsockopt(socket, ZMQ_RCVHWM, &messages, sizeof messages), "RCVHWM");
    }
    return socket;
}

// Receives a frame; says its length.
static size_t take(void *socket, zmq_msg_t *frame) {
    check(zmq_msg_recv(frame, socket, 0), "receive");
    return zmq_msg_size(frame);
}

static void bind_and_say(void *socket) {
    char address[128];
    size_t length = sizeof address;
    check(zmq_bind(socket, "tcp://127.0.0.1:*"), "bind");
    check(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, address, &length), "endpoint");
    printf("%s\n", address);
    fflush(stdout);
}

static void sink(void *context) {
    void *socket = open_socket(context, ZMQ_ROUTER);
    zmq_msg_t name, frame;
    zmq_msg_init(&name);
    zmq_msg_init(&frame);
    bind_and_say(socket);
    take(socket, &name);
    size_t length = take(socket, &frame);
    char text[32] = {0};
    memcpy(text, zmq_msg_data(&frame), length < sizeof text - 1 ? length : sizeof text - 1);
    size_t count = strtoul(text, NULL, 10);
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        take(socket, &name);
        take(socket, &frame);
    }
    report(count, begun, before);
    check(zmq_msg_send(&name, socket, ZMQ_SNDMORE), "send");
    check(zmq_send(socket, "done", 4, 0), "send");
    zmq_close(socket);
}

static void source(void *context, const char *address, size_t count, size_t size) {
    void *socket = open_socket(context, ZMQ_DEALER);
    char *content = malloc(size);
    char text[32];
    memset(content, 7, size);
    check(zmq_connect(socket, address), "connect");
    check(zmq_send(socket, text, (size_t)snprintf(text, sizeof text, "%zu", count), 0), "send");
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        check(zmq_send(socket, content, size, 0), "send");
    }
    check(zmq_recv(socket, text, sizeof text, 0), "receive");
    report(count, begun, before);
    zmq_close(socket);
    free(content);
}

static void echo(void *context) {
    void *socket = open_socket(context, ZMQ_ROUTER);
    zmq_msg_t name, frame;
    zmq_msg_init(&name);
    zmq_msg_init(&frame);
    bind_and_say(socket);
    for (;;) {
        take(socket, &name);
        // An empty message ends it.
        if (take(socket, &frame) == 0) {
            break;
        }
        check(zmq_msg_send(&name, socket, ZMQ_SNDMORE), "send");
        check(zmq_msg_send(&frame, socket, 0), "send");
    }
    zmq_close(socket);
}

static void ping(void *context, const char *address, size_t count, size_t size) {
    void *socket = open_socket(context, ZMQ_DEALER);
    char *content = malloc(size);
    double *times = calloc(count, sizeof *times), before = cpu();
    memset(content, 7, size);
    check(zmq_connect(socket, address), "connect");
    size_t warm = count / 10;
    for (size_t n = 0; n < warm + count; n++) {
        if (n == warm) {
            before = cpu();
        }
        double begun = now();
        check(zmq_send(socket, content, size, 0), "send");
        check(zmq_recv(socket, content, size, 0), "receive");
        if (n >= warm) {
            times[n - warm] = (now() - begun) * 1e6;
        }
    }
    double used = cpu() - before;
    report_round_trips(times, count, used);
    check(zmq_send(socket, "", 0, 0), "send");
    zmq_close(socket);
    free(content);
    free(times);
}

// Waits until it is told that a handshake is over.
static void until_ready(void *monitor) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    uint16_t event;
    assert(take(monitor, &frame) >= sizeof event);
    memcpy(&event, zmq_msg_data(&frame), sizeof event);
    assert(event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    take(monitor, &frame); // where
    zmq_msg_close(&frame);
}

static void knock(void *context, const char *address, size_t count, size_t at_once) {
    void **sockets = calloc(at_once, sizeof *sockets);
    zmq_pollitem_t *monitors = calloc(at_once, sizeof *monitors);
    for (size_t n = 0; n < at_once; n++) {
        char name[64];
        snprintf(name, sizeof name, "inproc://monitor-%zu", n);
        sockets[n] = open_socket(context, ZMQ_DEALER);
        check(zmq_socket_monitor(sockets[n], name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED), "monitor");
        monitors[n].socket = zmq_socket(context, ZMQ_PAIR);
        monitors[n].events = ZMQ_POLLIN;
        check(zmq_connect(monitors[n].socket, name), "monitor");
    }
    double begun = now(), before = cpu();
    size_t made = 0, done = 0;
    for (; made < at_once && made < count; made++) {
        check(zmq_connect(sockets[made], address), "connect");
    }
    while (done < count) {
        check(zmq_poll(monitors, (int)at_once, -1), "poll");
        for (size_t n = 0; n < at_once; n++) {
            if (!(monitors[n].revents & ZMQ_POLLIN)) {
                continue;
            }
            until_ready(monitors[n].socket);
            check(zmq_disconnect(sockets[n], address), "disconnect");
            done++;
            if (made < count) {
                check(zmq_connect(sockets[n], address), "connect");
                made++;
            }
        }
    }
    report(count, begun, before);
    for (size_t n = 0; n < at_once; n++) {
        check(zmq_socket_monitor(sockets[n], NULL, 0), "monitor");
        zmq_close(monitors[n].socket);
        zmq_close(sockets[n]);
    }
    free(monitors);
    free(sockets);
}

int main(int count, char **words) {
    assert(count > 1);
    void *context = zmq_ctx_new();
    const char *role = words[1];
    if (!strcmp(role, "sink")) {
        sink(context);
    } else if (!strcmp(role, "echo")) {
        echo(context);
    } else {
        assert(count == 5);
        size_t messages = strtoul(words[3], NULL, 10), size = strtoul(words[4], NULL, 10);
        if (!strcmp(role, "source")) {
            source(context, words[2], messages, size);
        } else if (!strcmp(role, "knocks")) {
            knock(context, words[2], messages, size);
        } else {
            assert(!strcmp(role, "ping"));
            ping(context, words[2], messages, size);
        }
    }
    zmq_ctx_term(context);
    return 0;
}
