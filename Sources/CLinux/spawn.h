#ifndef QUARTERMASTER_CLINUX_SPAWN_H
#define QUARTERMASTER_CLINUX_SPAWN_H

// Starting a program that dies with us. posix_spawn can ask for a process group, but for no parent-death signal.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct qm_program {
    const char *path;
    char *const *arguments;
    char *const *environment;
    const char *folder; // where it works
    int input, output, errors; // its descriptors 0, 1 and 2; it has no other one
};

// Everything the program inherits is put right here, between vfork and exec: only calls that are safe after a fork of a
// process with threads, and no write to memory but `failure` and its own frame, which therefore is not its caller's.
static inline __attribute__((noinline, noreturn)) void qm_become(const struct qm_program *program, pid_t parent,
                                                                     volatile int *failure) {
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (int number = 1; number < 65; number++) sigaction(number, &by_default, NULL);
    // The kernel kills it when the thread that started it ends; one that ended before this line is seen by the parent.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) goto failed;
    if (setpgid(0, 0) != 0 || chdir(program->folder) != 0) goto failed;
    // Above 2 first, so that none is overwritten before it is copied.
    int from[3] = {program->input, program->output, program->errors};
    for (int i = 0; i < 3; i++) {
        from[i] = fcntl(from[i], F_DUPFD, 3);
        if (from[i] < 0) goto failed;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(from[i], i) < 0) goto failed;
    }
    // Libraries of ours open descriptors that are not closed on exec.
    struct rlimit files = {1024, 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0) {
        for (rlim_t fd = 3; fd < files.rlim_cur; fd++) close((int)fd);
    }
    // We raise the limit for ourselves; a program that uses select could not bear it.
    if (files.rlim_cur > 1024) files.rlim_cur = 1024;
    setrlimit(RLIMIT_NOFILE, &files);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(program->path, program->arguments, program->environment);
failed:
    *failure = errno ? errno : ESRCH;
    _exit(127);
}

// Starts a program as the leader of a process group of its own. Returns its id, or minus the error of the call that
// failed, exec included. The calling thread waits until the program is loaded, and the program is killed when that
// thread ends.
static inline __attribute__((noinline)) pid_t qm_spawn(const struct qm_program *program) {
    volatile int failure = 0;
    pid_t parent = getpid();
    // A handler of ours must not run in the child, which shares our memory until exec.
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) qm_become(program, parent, &failure);
    int error = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) return -error;
    if (failure == 0) return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    return -failure;
}

// A descriptor that becomes readable when the process has ended.
static inline int qm_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0U); }

// A file in memory, closed on exec.
static inline int qm_memory_file(void) { return (int)syscall(SYS_memfd_create, "input", 1U); }

#endif
