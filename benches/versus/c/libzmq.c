// Bare sockets of libzmq; see src/lib.rs for what a contestant is.
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

// Waits until whoever plays says a line.
static void until_told(void) {
    char line[16];
    if (!fgets(line, sizeof line, stdin)) {
        fprintf(stderr, "nobody says when\n");
        exit(1);
    }
}

// Takes messages as a ROUTER, or as a PULL, which has no name to answer to.
static void sink(void *context, int type) {
    void *socket = open_socket(context, type);
    int routed = type == ZMQ_ROUTER;
    zmq_msg_t name, frame;
    zmq_msg_init(&name);
    zmq_msg_init(&frame);
    bind_and_say(socket);
    if (routed) {
        take(socket, &name);
    }
    size_t length = take(socket, &frame);
    char text[32] = {0};
    memcpy(text, zmq_msg_data(&frame), length < sizeof text - 1 ? length : sizeof text - 1);
    size_t count = strtoul(text, NULL, 10);
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        if (routed) {
            take(socket, &name);
        }
        take(socket, &frame);
    }
    report(count, begun, before);
    if (routed) {
        check(zmq_msg_send(&name, socket, ZMQ_SNDMORE), "send");
        check(zmq_send(socket, "done", 4, 0), "send");
    }
    zmq_close(socket);
}

// Sends as a DEALER, or as a PUSH, which whoever plays tells that all has come.
static void source(void *context, int type, const char *address, size_t count, size_t size) {
    void *socket = open_socket(context, type);
    char *content = malloc(size);
    char text[32];
    memset(content, 7, size);
    check(zmq_connect(socket, address), "connect");
    check(zmq_send(socket, text, (size_t)snprintf(text, sizeof text, "%zu", count), 0), "send");
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        check(zmq_send(socket, content, size, 0), "send");
    }
    if (type == ZMQ_PUSH) {
        until_told();
    } else {
        check(zmq_recv(socket, text, sizeof text, 0), "receive");
    }
    report(count, begun, before);
    zmq_close(socket);
    free(content);
}

// Answers as a ROUTER, or as a REP, which answers whoever asked.
static void echo(void *context, int type) {
    void *socket = open_socket(context, type);
    int routed = type == ZMQ_ROUTER;
    zmq_msg_t name, frame;
    zmq_msg_init(&name);
    zmq_msg_init(&frame);
    bind_and_say(socket);
    for (;;) {
        if (routed) {
            take(socket, &name);
        }
        // An empty message ends it.
        if (take(socket, &frame) == 0) {
            break;
        }
        if (routed) {
            check(zmq_msg_send(&name, socket, ZMQ_SNDMORE), "send");
        }
        check(zmq_msg_send(&frame, socket, 0), "send");
    }
    zmq_close(socket);
}

// Asks as a DEALER or as a REQ.
static void ping(void *context, int type, const char *address, size_t count, size_t size) {
    void *socket = open_socket(context, type);
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

// How long a PUB waits for an answer, and how often it says what will follow until all have heard it; milliseconds.
static const int PATIENCE = 60000, AGAIN = 5;

static void waits(void *socket, int milliseconds) {
    check(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &milliseconds, sizeof milliseconds), "RCVTIMEO");
}

static void publish(void *context, size_t processes, size_t count, size_t window, size_t size) {
    void *publisher = open_socket(context, ZMQ_PUB), *answers = open_socket(context, ZMQ_PULL);
    char at[128], back[128], text[64];
    size_t length = sizeof at;
    check(zmq_bind(publisher, "tcp://127.0.0.1:*"), "bind");
    check(zmq_getsockopt(publisher, ZMQ_LAST_ENDPOINT, at, &length), "endpoint");
    length = sizeof back;
    check(zmq_bind(answers, "tcp://127.0.0.1:*"), "bind");
    check(zmq_getsockopt(answers, ZMQ_LAST_ENDPOINT, back, &length), "endpoint");
    printf("%s %s\n", at, back);
    fflush(stdout);
    size_t said = (size_t)snprintf(text, sizeof text, "%zu %zu", count, window);
    waits(answers, AGAIN);
    for (size_t here = 0; here < processes;) {
        check(zmq_send(publisher, text, said, 0), "send");
        here += zmq_recv(answers, NULL, 0, 0) >= 0;
    }
    waits(answers, PATIENCE);
    char *content = malloc(size);
    memset(content, 7, size);
    size_t owed = 0;
    double begun = now(), before = cpu();
    for (size_t n = 1; n <= count; n++) {
        check(zmq_send(publisher, content, size, 0), "send");
        if (n % window == 0 || n == count) {
            for (; owed; owed--) {
                check(zmq_recv(answers, NULL, 0, 0), "answer");
            }
            owed = processes;
        }
    }
    for (; owed; owed--) {
        check(zmq_recv(answers, NULL, 0, 0), "answer");
    }
    report(count, begun, before);
    free(content);
    zmq_close(publisher);
    zmq_close(answers);
}

// One of the SUBs of a process.
struct hearing {
    size_t heard, answers;
};

static void subscribe(void *context, size_t sockets, const char *address, const char *back) {
    void *push = open_socket(context, ZMQ_PUSH);
    zmq_pollitem_t *items = calloc(sockets, sizeof *items);
    struct hearing *those = calloc(sockets, sizeof *those);
    check(zmq_connect(push, back), "connect");
    for (size_t n = 0; n < sockets; n++) {
        items[n].socket = open_socket(context, ZMQ_SUB);
        items[n].events = ZMQ_POLLIN;
        check(zmq_setsockopt(items[n].socket, ZMQ_SUBSCRIBE, "", 0), "SUBSCRIBE");
        check(zmq_connect(items[n].socket, address), "connect");
    }
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    // What the PUB says first: how many messages follow, and after how many a process answers.
    size_t count = 0, window = 0;
    // How many of the SUBs have made each answer: the process has when all have.
    size_t *made = NULL, answers = 0, done = 0, heard = 0;
    double begun = 0, before = 0;
    while (done < sockets) {
        int ready = zmq_poll(items, (int)sockets, PATIENCE);
        check(ready, "poll");
        assert(ready > 0);
        for (size_t n = 0; n < sockets; n++) {
            if (!(items[n].revents & ZMQ_POLLIN)) {
                continue;
            }
            struct hearing *it = &those[n];
            while (zmq_msg_recv(&frame, items[n].socket, ZMQ_DONTWAIT) >= 0) {
                const char *octets = zmq_msg_data(&frame);
                if (zmq_msg_size(&frame) && octets[0] == 7) {
                    it->heard++;
                    heard++;
                    done += it->heard == count;
                    if (it->heard % window && it->heard != count) {
                        continue;
                    }
                } else {
                    // It is said until all have heard it.
                    if (it->answers) {
                        continue;
                    }
                    if (!made) {
                        char text[64] = {0};
                        assert(zmq_msg_size(&frame) < sizeof text);
                        memcpy(text, octets, zmq_msg_size(&frame));
                        assert(sscanf(text, "%zu %zu", &count, &window) == 2);
                        made = calloc(count / window + 2, sizeof *made);
                    }
                }
                if (++made[it->answers++] == sockets) {
                    if (answers++ == 0) {
                        // The PUB begins when all processes have said so.
                        begun = now();
                        before = cpu();
                    }
                    check(zmq_send(push, "heard", 5, 0), "answer");
                }
            }
        }
    }
    report(heard, begun, before);
    for (size_t n = 0; n < sockets; n++) {
        zmq_close(items[n].socket);
    }
    zmq_close(push);
    free(made);
    free(those);
    free(items);
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

static size_t number(const char *word) {
    return strtoul(word, NULL, 10);
}

int main(int count, char **words) {
    assert(count > 1);
    void *context = zmq_ctx_new();
    const char *role = words[1];
    if (!strcmp(role, "sink")) {
        sink(context, ZMQ_ROUTER);
    } else if (!strcmp(role, "pull")) {
        sink(context, ZMQ_PULL);
    } else if (!strcmp(role, "echo")) {
        echo(context, ZMQ_ROUTER);
    } else if (!strcmp(role, "reply")) {
        echo(context, ZMQ_REP);
    } else if (!strcmp(role, "publish")) {
        assert(count == 6);
        publish(context, number(words[2]), number(words[3]), number(words[4]), number(words[5]));
    } else if (!strcmp(role, "subscribe")) {
        assert(count == 5);
        subscribe(context, number(words[2]), words[3], words[4]);
    } else {
        assert(count == 5);
        size_t messages = number(words[3]), size = number(words[4]);
        if (!strcmp(role, "source")) {
            source(context, ZMQ_DEALER, words[2], messages, size);
        } else if (!strcmp(role, "push")) {
            source(context, ZMQ_PUSH, words[2], messages, size);
        } else if (!strcmp(role, "knocks")) {
            knock(context, words[2], messages, size);
        } else if (!strcmp(role, "request")) {
            ping(context, ZMQ_REQ, words[2], messages, size);
        } else {
            assert(!strcmp(role, "ping"));
            ping(context, ZMQ_DEALER, words[2], messages, size);
        }
    }
    zmq_ctx_term(context);
    return 0;
}
