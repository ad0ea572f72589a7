// WHISPER of C Zyre; see src/lib.rs for what a contestant is.
//
// ZYRE_LIBRARY names a shared object that exports the C API of Zyre and CZMQ: libzyre, or the extension module of the wheel
// `ingescape`. That one wants to be loaded by Python; of what it wants nothing is ever used here, so that symbols that lead
// nowhere do (`run` makes them).
//
// The nodes meet by gossip over the loopback, so that nothing is broadcast, but for those of a mesh.

#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contestant.h"

typedef void node;
typedef void message;
typedef void frame;
typedef void poller;

static node *(*zyre_new)(const char *);
static void (*zyre_destroy)(node **);
static void (*zyre_stop)(node *);
static int (*zyre_set_endpoint)(node *, const char *, ...);
static void (*zyre_gossip_bind)(node *, const char *, ...);
static void (*zyre_gossip_connect)(node *, const char *, ...);
static int (*zyre_start)(node *);
static void (*zyre_set_interface)(node *, const char *);
static int (*zyre_join)(node *, const char *);
static int (*zyre_whisper)(node *, const char *, message **);
static int (*zyre_shout)(node *, const char *, message **);
static void *(*zyre_socket)(node *);
static message *(*zyre_recv)(node *);
static message *(*zmsg_new)(void);
static void (*zmsg_destroy)(message **);
static int (*zmsg_addmem)(message *, const void *, size_t);
static frame *(*zmsg_first)(message *);
static frame *(*zmsg_next)(message *);
static frame *(*zmsg_last)(message *);
static unsigned char *(*zframe_data)(frame *);
static size_t (*zframe_size)(frame *);
static poller *(*zpoller_new)(void *, ...);
static int (*zpoller_add)(poller *, void *);
static void *(*zpoller_wait)(poller *, int);
static void (*zsys_set_logstream)(FILE *);

static const char GROUP[] = "CROWD";
static const char SHOUTER[] = "shouter";

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
    LOAD(zyre_set_interface)
    LOAD(zyre_join)
    LOAD(zyre_whisper)
    LOAD(zyre_shout)
    LOAD(zyre_socket)
    LOAD(zyre_recv)
    LOAD(zmsg_new)
    LOAD(zmsg_destroy)
    LOAD(zmsg_addmem)
    LOAD(zmsg_first)
    LOAD(zmsg_next)
    LOAD(zmsg_last)
    LOAD(zframe_data)
    LOAD(zframe_size)
    LOAD(zpoller_new)
    LOAD(zpoller_add)
    LOAD(zpoller_wait)
    LOAD(zsys_set_logstream)
    zsys_set_logstream(stderr); // what is said to stdout are results
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

// An ear, and what all ears of the process have in common.
struct ear {
    node *self;
    size_t total;
    size_t heard;
};

static pthread_once_t first_shout = PTHREAD_ONCE_INIT;
static double shouting_begun, shouting_before;

static void note_first_shout(void) {
    shouting_begun = now();
    shouting_before = cpu();
}

static void *listen_to_shouts(void *argument) {
    struct ear *ear = argument;
    char shouter[33] = {0};
    size_t others = 0, count = 0, window = 0;
    for (;;) {
        message *event = zyre_recv(ear->self);
        assert(event);
        frame *kind = zmsg_first(event);
        if (is(kind, "ENTER")) {
            char name[33];
            name_of(event, name);
            if (is(zmsg_next(event), SHOUTER)) {
                memcpy(shouter, name, sizeof shouter);
            }
            // The other ears, and the shouter.
            if (++others == ear->total) {
                assert(shouter[0]);
                whisper(ear->self, shouter, "here", 4);
            }
        } else if (is(kind, "SHOUT")) {
            if (!count) {
                frame *content = zmsg_last(event);
                char text[64] = {0};
                assert(zframe_size(content) < sizeof text);
                memcpy(text, zframe_data(content), zframe_size(content));
                assert(sscanf(text, "%zu %zu", &count, &window) == 2);
                pthread_once(&first_shout, note_first_shout);
            } else {
                ear->heard++;
                if (ear->heard % window == 0 || ear->heard == count) {
                    whisper(ear->self, shouter, "heard", 5);
                }
                if (ear->heard == count) {
                    zmsg_destroy(&event);
                    return NULL;
                }
            }
        } else {
            assert(!is(kind, "EXIT"));
        }
        zmsg_destroy(&event);
    }
}

static node *new_node(const char *name) {
    node *self = zyre_new(name);
    zyre_set_endpoint(self, "tcp://127.0.0.1:%d", free_port());
    return self;
}

// The first node of the first process is asked by all others who is there.
static void ears(size_t nodes, size_t total, const char *address) {
    char here[64];
    struct ear *ears = calloc(nodes, sizeof *ears);
    pthread_t *threads = calloc(nodes, sizeof *threads);
    for (size_t n = 0; n < nodes; n++) {
        node *self = new_node(NULL);
        zyre_join(self, GROUP);
        if (address) {
            zyre_gossip_connect(self, "%s", address);
            assert(zyre_start(self) == 0);
        } else {
            snprintf(here, sizeof here, "tcp://127.0.0.1:%d", free_port());
            address = here;
            zyre_gossip_bind(self, "%s", address);
            assert(zyre_start(self) == 0);
        }
        ears[n] = (struct ear){.self = self, .total = total};
    }
    printf("%s\n", address);
    fflush(stdout);
    for (size_t n = 0; n < nodes; n++) {
        assert(pthread_create(&threads[n], NULL, listen_to_shouts, &ears[n]) == 0);
    }
    size_t heard = 0;
    for (size_t n = 0; n < nodes; n++) {
        pthread_join(threads[n], NULL);
        heard += ears[n].heard;
    }
    report(heard, shouting_begun, shouting_before);
    // Who is gone is missed by nobody only when all are done.
    message *event = next(ears[0].self, "EXIT");
    zmsg_destroy(&event);
}

static void wait_for_whispers(node *self, size_t count) {
    while (count--) {
        message *event = next(self, "WHISPER");
        zmsg_destroy(&event);
    }
}

static void shout(node *self, const void *octets, size_t size) {
    message *content = zmsg_new();
    zmsg_addmem(content, octets, size);
    assert(zyre_shout(self, GROUP, &content) == 0);
}

static void shouter(size_t total, size_t count, size_t window, size_t size, const char *address) {
    node *self = new_node(SHOUTER);
    zyre_gossip_connect(self, "%s", address);
    assert(zyre_start(self) == 0);
    wait_for_whispers(self, total);
    char *content = malloc(size), text[64];
    memset(content, 7, size);
    size_t owed = 0;
    shout(self, text, (size_t)snprintf(text, sizeof text, "%zu %zu", count, window));
    double begun = now(), before = cpu();
    for (size_t said = 1; said <= count; said++) {
        shout(self, content, size);
        if (said % window == 0 || said == count) {
            wait_for_whispers(self, owed);
            owed = total;
        }
    }
    wait_for_whispers(self, owed);
    report(count, begun, before);
    free(content);
    zyre_stop(self);
    zyre_destroy(&self);
}

// Nodes that meet by beacons; one thread looks after all.
static void mesh(const char *interface, size_t nodes, size_t total) {
    char line[64];
    printf("ready\n");
    fflush(stdout);
    assert(fgets(line, sizeof line, stdin));
    double begun = now();
    node **all = calloc(nodes, sizeof *all);
    size_t *met = calloc(nodes, sizeof *met);
    poller *poller_ = zpoller_new(NULL);
    for (size_t n = 0; n < nodes; n++) {
        all[n] = zyre_new(NULL);
        zyre_set_interface(all[n], interface);
        assert(zyre_start(all[n]) == 0);
        zpoller_add(poller_, zyre_socket(all[n]));
    }
    for (size_t done = 0; done < nodes;) {
        void *socket_ = zpoller_wait(poller_, -1);
        size_t n = 0;
        while (n < nodes && zyre_socket(all[n]) != socket_) {
            n++;
        }
        assert(n < nodes);
        message *event = zyre_recv(all[n]);
        if (is(zmsg_first(event), "ENTER")) {
            done += ++met[n] == total - 1;
        } else if (is(zmsg_first(event), "EXIT")) {
            done -= met[n]-- == total - 1;
        }
        zmsg_destroy(&event);
    }
    printf("seconds=%.6f\n", now() - begun);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
    }
}

static size_t number(const char *text) {
    return strtoul(text, NULL, 10);
}

int main(int count, char **words) {
    assert(count > 1);
    load();
    const char *role = words[1];
    if (!strcmp(role, "ears")) {
        assert(count == 4 || count == 5);
        ears(number(words[2]), number(words[3]), count == 5 ? words[4] : NULL);
        // Each node takes its time to stop, and none has anything left to say.
        _exit(0);
    } else if (!strcmp(role, "shouter")) {
        assert(count >= 7);
        shouter(number(words[2]), number(words[3]), number(words[4]), number(words[5]), words[6]);
        return 0;
    } else if (!strcmp(role, "mesh")) {
        assert(count == 5);
        mesh(words[2], number(words[3]), number(words[4]));
        _exit(0);
    }
    node *self = new_node(role);
    if (!strcmp(role, "sink")) {
        sink(self);
    } else if (!strcmp(role, "echo")) {
        echo(self);
    } else {
        assert(count == 5);
        if (!strcmp(role, "source")) {
            source(self, words[2], number(words[3]), number(words[4]));
        } else {
            assert(!strcmp(role, "ping"));
            ping(self, words[2], number(words[3]), number(words[4]));
        }
    }
    zyre_stop(self);
    zyre_destroy(&self);
    return 0;
}
