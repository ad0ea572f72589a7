// What the contestants in C have in common.

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(size_t messages, double begun, double before) {
    printf("messages=%zu seconds=%.6f cpu=%.6f\n", messages, now() - begun, cpu() - before);
    fflush(stdout);
}

static int compare(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

// Sorts the times, which are in microseconds.
static void report_round_trips(double *times, size_t count, double used) {
    qsort(times, count, sizeof *times, compare);
    double last = (double)(count - 1);
    printf("messages=%zu p50=%.2f p99=%.2f p999=%.2f cpu=%.6f\n", count, times[(size_t)(last * 0.5)],
           times[(size_t)(last * 0.99)], times[(size_t)(last * 0.999)], used);
}
