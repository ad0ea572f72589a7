/* Loaded into the node under test: gives what its allocator holds and does not use back to the kernel, at each SIGRTMIN + 7.

   What a process keeps is to be measured. glibc keeps more than that: of all that lay below one small block, nothing goes back
   by itself, and where that block lies is chance. */

#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

static sigset_t wanted;

static void *trim(void *unused) {
  int which;
  while (sigwait(&wanted, &which) == 0) {
    malloc_trim(0);
  }
  return unused;
}

/* Before main: the threads that are made later inherit that they do not take it. */
__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGRTMIN + 7);
  pthread_sigmask(SIG_BLOCK, &wanted, NULL);
  if (pthread_create(&thread, NULL, trim, NULL) != 0) {
    abort(); /* what is measured would be the allocator's */
  }
}
