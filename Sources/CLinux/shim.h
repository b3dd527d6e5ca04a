#ifndef QUARTERMASTER_CLINUX_H
#define QUARTERMASTER_CLINUX_H

// Linux calls that the Glibc module leaves out or hides behind _GNU_SOURCE.
#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include "spawn.h"

extern int accept4(int, struct sockaddr *, socklen_t *, int);

// In _GNU_SOURCE builds the socket calls take transparent unions, which Swift cannot pass; these take plain pointers.
static inline int qm_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }
static inline int qm_bind(int fd, const struct sockaddr *address, socklen_t n) { return bind(fd, address, n); }
static inline int qm_connect(int fd, const struct sockaddr *address, socklen_t n) { return connect(fd, address, n); }
static inline int qm_sockname(int fd, struct sockaddr *address, socklen_t *n) { return getsockname(fd, address, n); }
static inline int qm_peername(int fd, struct sockaddr *address, socklen_t *n) { return getpeername(fd, address, n); }

#endif
