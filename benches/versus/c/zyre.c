// WHISPER of C Zyre; see src/lib.rs for what a contestant is.
//
// ZYRE_LIBRARY names a shared object that exports the C API of Zyre and CZMQ: libzyre, or the extension module of the wheel
// `ingescape`. That one wants to be loaded by Python; of what it wants nothing is ever used here, so that symbols that lead
// nowhere do (`run` makes them).
//
// The nodes meet by gossip over the loopback, so that nothing is broadcast.

#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contestant.h"

typedef void node;
typedef void message;
typedef void frame;

static node *(*zyre_new)(const char *);
static void (*zyre_destroy)(node **);
static void (*zyre_stop)(node *);
static int (*zyre_set_endpoint)(node *, const char *, ...);
static void (*zyre_gossip_bind)(node *, const char *, ...);
static void (*zyre_gossip_connect)(node *, const char *, ...);
static int (*zyre_start)(node *);
static int (*zyre_whisper)(node *, const char *, message **);
static message *(*zyre_recv)(node *);
static message *(*zmsg_new)(void);
static void (*zmsg_destroy)(message **);
static int (*zmsg_addmem)(message *, const void *, size_t);
static frame *(*zmsg_first)(message *);
static frame *(*zmsg_next)(message *);
static frame *(*zmsg_last)(message *);
static unsigned char *(*zframe_data)(frame *);
static size_t (*zframe_size)(frame *);

static void load(void) {
    const char *path = getenv("ZYRE_LIBRARY");
    void *library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
    if (!library) {
        fprintf(stderr, "ZYRE_LIBRARY: %s\n", path ? dlerror() : "is not set");
        exit(1);
    }
#define LOAD(name)                                                                                 \
    if (!(*(void **)&name = dlsym(library, #name))) {                                              \
        fprintf(stderr, "%s: no %s\n", path, #name);                                               \
        exit(1);                                                                                   \
    }
    LOAD(zyre_new)
    LOAD(zyre_destroy)
    LOAD(zyre_stop)
    LOAD(zyre_set_endpoint)
    LOAD(zyre_gossip_bind)
    LOAD(zyre_gossip_connect)
    LOAD(zyre_start)
    LOAD(zyre_whisper)
    LOAD(zyre_recv)
    LOAD(zmsg_new)
    LOAD(zmsg_destroy)
    LOAD(zmsg_addmem)
    LOAD(zmsg_first)
    LOAD(zmsg_next)
    LOAD(zmsg_last)
    LOAD(zframe_data)
    LOAD(zframe_size)
}

// A port of the loopback that nobody has.
static int free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    assert(bind(socket_, (struct sockaddr *)&address, length) == 0);
    assert(getsockname(socket_, (struct sockaddr *)&address, &length) == 0);
    close(socket_);
    return ntohs(address.sin_port);
}

static int is(frame *text, const char *wanted) {
    size_t length = strlen(wanted);
    return zframe_size(text) == length && !memcmp(zframe_data(text), wanted, length);
}

// The identity of who did something.
static void name_of(message *event, char name[33]) {
    zmsg_first(event);
    frame *id = zmsg_next(event);
    assert(zframe_size(id) == 32);
    memcpy(name, zframe_data(id), 32);
    name[32] = 0;
}

// The next event of this kind.
static message *next(node *self, const char *kind) {
    for (;;) {
        message *event = zyre_recv(self);
        assert(event);
        if (is(zmsg_first(event), kind)) {
            return event;
        }
        zmsg_destroy(&event);
    }
}

static void whisper(node *self, const char *to, const void *octets, size_t size) {
    message *content = zmsg_new();
    zmsg_addmem(content, octets, size);
    assert(zyre_whisper(self, to, &content) == 0);
}

static void bind_and_say(node *self) {
    int gossip = free_port();
    zyre_gossip_bind(self, "tcp://127.0.0.1:%d", gossip);
    assert(zyre_start(self) == 0);
    printf("tcp://127.0.0.1:%d\n", gossip);
    fflush(stdout);
}

static void meet(node *self, const char *address, char name[33]) {
    zyre_gossip_connect(self, "%s", address);
    assert(zyre_start(self) == 0);
    message *event = next(self, "ENTER");
    name_of(event, name);
    zmsg_destroy(&event);
}

static void sink(node *self) {
    bind_and_say(self);
    message *event = next(self, "WHISPER");
    char name[33], text[32] = {0};
    name_of(event, name);
    frame *first = zmsg_last(event);
    memcpy(text, zframe_data(first), zframe_size(first));
    zmsg_destroy(&event);
    size_t count = strtoul(text, NULL, 10);
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        event = next(self, "WHISPER");
        zmsg_destroy(&event);
    }
    report(count, begun, before);
    whisper(self, name, "done", 4);
    event = next(self, "EXIT");
    zmsg_destroy(&event);
}

static void source(node *self, const char *address, size_t count, size_t size) {
    char name[33], text[32];
    char *content = malloc(size);
    memset(content, 7, size);
    meet(self, address, name);
    whisper(self, name, text, (size_t)snprintf(text, sizeof text, "%zu", count));
    double begun = now(), before = cpu();
    for (size_t n = 0; n < count; n++) {
        whisper(self, name, content, size);
    }
    message *event = next(self, "WHISPER");
    report(count, begun, before);
    zmsg_destroy(&event);
    free(content);
}

static void echo(node *self) {
    bind_and_say(self);
    for (;;) {
        message *event = next(self, "WHISPER");
        char name[33];
        name_of(event, name);
        frame *content = zmsg_last(event);
        // An empty message ends it.
        if (zframe_size(content) == 0) {
            zmsg_destroy(&event);
            return;
        }
        whisper(self, name, zframe_data(content), zframe_size(content));
        zmsg_destroy(&event);
    }
}

static void ping(node *self, const char *address, size_t count, size_t size) {
    char name[33];
    char *content = malloc(size);
    double *times = calloc(count, sizeof *times), before = 0;
    memset(content, 7, size);
    meet(self, address, name);
    size_t warm = count / 10;
    for (size_t n = 0; n < warm + count; n++) {
        if (n == warm) {
            before = cpu();
        }
        double begun = now();
        whisper(self, name, content, size);
        message *event = next(self, "WHISPER");
        if (n >= warm) {
            times[n - warm] = (now() - begun) * 1e6;
        }
        zmsg_destroy(&event);
    }
    double used = cpu() - before;
    report_round_trips(times, count, used);
    whisper(self, name, "", 0);
    free(content);
    free(times);
    // What was said last is sent by another thread.
    usleep(200000);
}

int main(int count, char **words) {
    assert(count > 1);
    load();
    const char *role = words[1];
    node *self = zyre_new(role);
    zyre_set_endpoint(self, "tcp://127.0.0.1:%d", free_port());
    if (!strcmp(role, "sink")) {
        sink(self);
    } else if (!strcmp(role, "echo")) {
        echo(self);
    } else {
        assert(count == 5);
        size_t messages = strtoul(words[3], NULL, 10), size = strtoul(words[4], NULL, 10);
        if (!strcmp(role, "source")) {
            source(self, words[2], messages, size);
        } else {
            assert(!strcmp(role, "ping"));
            ping(self, words[2], messages, size);
        }
    }
    zyre_stop(self);
    zyre_destroy(&self);
    return 0;
}
