//  The beacon actor of CZMQ by itself: publishes the octets it is given, and prints every beacon
//  it hears as a JSON line. Ends on end of input, SIGTERM or SIGINT.
//
//      zbeacon DEVICE UDPPORT [HEX|-] [INTERVAL_MS]
//
//  With "-" it only listens. An interval of 0 is CZMQ's default of one second. While it publishes,
//  a line of hex on stdin changes what it publishes, the line "silence" stops that.

#define _POSIX_C_SOURCE 200809L
#include <czmq.h>
#include <poll.h>

static size_t from_hex (const char *text, byte *octets, size_t limit)
{
    size_t count = 0;
    unsigned value;
    while (count < limit && sscanf (text, "%2x", &value) == 1 && text [1]) {
        octets [count++] = (byte) value;
        text += 2;
    }
    return *text && !isspace ((unsigned char) *text)? 0: count;
}

static int publish (zactor_t *beacon, const char *hex, int interval)
{
    byte octets [255];
    size_t count = from_hex (hex, octets, sizeof octets);
    if (count == 0) {
        fprintf (stderr, "zbeacon: not hex: %s\n", hex);
        return -1;
    }
    return zsock_send (beacon, "sbi", "PUBLISH", octets, count, interval);
}

static void hear (zactor_t *beacon)
{
    char *source = zstr_recv (beacon);
    zframe_t *frame = zframe_recv (beacon);
    if (source && frame) {
        char *octets = zframe_strhex (frame);
        printf ("{\"event\":\"beacon\",\"from\":\"%s\",\"hex\":\"%s\"}\n", source, octets);
        fflush (stdout);
        zstr_free (&octets);
    }
    zframe_destroy (&frame);
    zstr_free (&source);
}

int main (int argc, char *argv [])
{
    if (argc < 3 || argc > 5) {
        fprintf (stderr, "usage: zbeacon DEVICE UDPPORT [HEX|-] [INTERVAL_MS]\n");
        return 2;
    }
    const char *hex = argc > 3? argv [3]: "-";
    int interval = argc > 4? atoi (argv [4]): 0;

    zsys_set_logstream (stderr);
    zsys_set_interface (argv [1]);
    zactor_t *beacon = zactor_new (zbeacon, NULL);
    if (!beacon)
        return 1;
    zsock_send (beacon, "si", "CONFIGURE", atoi (argv [2]));
    char *address = zstr_recv (beacon);
    if (!address || !*address) {
        fprintf (stderr, "zbeacon: CZMQ does not beacon on %s\n", argv [1]);
        zstr_free (&address);
        zactor_destroy (&beacon);
        return 1;
    }
    printf ("{\"event\":\"start\",\"address\":\"%s\"}\n", address);
    fflush (stdout);
    zstr_free (&address);

    //  An empty filter hears everything
    zsock_send (beacon, "sb", "SUBSCRIBE", (byte *) "", (size_t) 0);
    int status = 0;
    if (strcmp (hex, "-") != 0 && publish (beacon, hex, interval) != 0)
        status = 2;

    //  The end of input is a hang-up that zpoller does not report, hence poll(2). The descriptor of
    //  a ZeroMQ socket is edge-triggered: drain the socket first, then wait.
    setvbuf (stdin, NULL, _IONBF, 0);
    struct pollfd sources [] = {
        { .fd = zsock_fd (beacon), .events = POLLIN },
        { .fd = STDIN_FILENO, .events = POLLIN },
    };
    while (status == 0 && !zsys_interrupted) {
        while (zsock_events (beacon) & ZMQ_POLLIN)
            hear (beacon);
        if (poll (sources, 2, 200) > 0 && sources [1].revents) {
            char line [600];
            if (!fgets (line, sizeof line, stdin))
                break;
            if (strncmp (line, "silence", 7) == 0)
                zsock_send (beacon, "s", "SILENCE");
            else
                publish (beacon, line, interval);
        }
    }
    zactor_destroy (&beacon);
    puts ("{\"event\":\"stop\"}");
    return status;
}
