/* Running programs: posix_spawn, a memfd as standard input, and one poll loop for output, exit and time. */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

enum { DEFAULT_MAX_OUTPUT = 1 << 20 };

struct stream {
        int fd; /* our end; -1: closed */
        struct kc_buf *ret;
        size_t limit; /* of ret->len */
};

struct run {
        pid_t pid;
        int pid_fd;
        struct stream streams[2]; /* stdout, stderr */
        size_t max_output;
        kc_mono deadline; /* 0: none */
};

static int fail(struct kc_error *err, const char *what, int errnum)
{
        return kc_error_set(err, errnum, "%s: %s", what, strerrordesc_np(errnum));
}

/* A file of the input, so that nothing has to be written while the program runs. */
static int open_input(const struct kc_proc_opts *opts, struct kc_error *err)
{
        if (!opts || !opts->input) {
                int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                return fd < 0 ? fail(err, "open /dev/null", errno) : fd;
        }
        KC_CLEANUP(kc_closep) int fd = memfd_create("input", MFD_CLOEXEC);
        if (fd < 0)
                return fail(err, "memfd_create", errno);
        for (size_t done = 0; done < opts->input_len;) {
                ssize_t n = pwrite(fd, opts->input + done, opts->input_len - done, (off_t)done);
                if (n < 0 && errno != EINTR)
                        return fail(err, "write input", errno);
                done += n > 0 ? (size_t)n : 0;
        }
        int ret = fd;
        fd = -1;
        return ret;
}

/* dup2(n, n) would keep close-on-exec in some libcs; ours are never 0..2 once moved above them. */
static int move_above_stdio(int *fd)
{
        if (*fd > 2)
                return 0;
        int moved = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
        if (moved < 0)
                return -errno;
        (void)close(*fd);
        *fd = moved;
        return 0;
}

static int spawn(char *const argv[], char *const *env, const int fds[3], pid_t *ret_pid)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attr;
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        int r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attr);
        if (r != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        for (int i = 0; i < 3 && r == 0; i++)
                r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
        if (r == 0)
                r = posix_spawnattr_setflags(
                    &attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attr, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attr, &all);
        if (r == 0)
                r = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, env ? env : environ);
        posix_spawnattr_destroy(&attr);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Makes the pipes and starts the program; on success the run owns our ends. */
static int start(char *const argv[], const struct kc_proc_opts *opts, struct run *run, struct kc_error *err)
{
        KC_CLEANUP(kc_closep) int in = open_input(opts, err);
        if (in < 0)
                return in;
        int out[2] = {-1, -1}, errs[2] = {-1, -1};
        int r = 0;
        if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0)
                r = -errno;
        if (r == 0)
                r = move_above_stdio(&in);
        if (r == 0)
                r = move_above_stdio(&out[1]);
        if (r == 0)
                r = move_above_stdio(&errs[1]);
        if (r == 0)
                r = spawn(argv, opts ? opts->env : NULL, (int[]){in, out[1], errs[1]}, &run->pid);
        kc_closep(&out[1]);
        kc_closep(&errs[1]);
        run->streams[0].fd = out[0];
        run->streams[1].fd = errs[0];
        if (r == 0)
                return 0;
        return kc_error_set(err, -r, "start %s: %s", argv[0], strerrordesc_np(-r));
}

/* Reads once; false when there was nothing to read now. */
static bool drain_once(struct stream *s, int *ret_error)
{
        char chunk[16384];
        ssize_t n = read(s->fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
                return true;
        if (n < 0 && errno == EAGAIN)
                return false;
        if (n <= 0) {
                *ret_error = n < 0 ? -errno : 0;
                kc_closep(&s->fd);
                return false;
        }
        if (s->ret)
                *ret_error = kc_buf_add_limited(s->ret, chunk, (size_t)n, s->limit);
        return *ret_error == 0;
}

/* 0 when the program has ended and what it wrote is read. Processes that it left behind are not waited for. */
static int converse(struct run *run)
{
        for (;;) {
                struct pollfd fds[3] = {
                    {.fd = run->streams[0].fd, .events = POLLIN},
                    {.fd = run->streams[1].fd, .events = POLLIN},
                    {.fd = run->pid_fd, .events = POLLIN},
                };
                int timeout = -1;
                if (run->deadline) {
                        int64_t left = run->deadline - kc_clock_mono(NULL);
                        if (left <= 0)
                                return -ETIMEDOUT;
                        timeout = (int)KC_MIN(left / 1000 + 1, (int64_t)60000);
                }
                if (poll(fds, 3, timeout) < 0 && errno != EINTR)
                        return -errno;
                bool ended = fds[2].revents != 0;
                for (int i = 0; i < 2; i++) {
                        int r = 0;
                        while (run->streams[i].fd >= 0 && (ended || fds[i].revents) &&
                               drain_once(&run->streams[i], &r) && ended)
                                ;
                        if (r < 0)
                                return r;
                }
                if (ended)
                        return 0;
        }
}

static int finish(struct run *run, int r, const char *name, int *ret_status, struct kc_error *err)
{
        int status;
        if (r < 0)
                (void)kill(-run->pid, SIGKILL); /* ESRCH: it ended by itself */
        while (waitpid(run->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return kc_error_set(err, errno, "wait for %s: %s", name, strerrordesc_np(errno));
        if (r == -ETIMEDOUT)
                return kc_error_set(err, ETIMEDOUT, "%s did not end in time", name);
        if (r == -EMSGSIZE)
                return kc_error_set(err, EMSGSIZE, "%s wrote more than %zu bytes", name, run->max_output);
        if (r < 0)
                return kc_error_set(err, -r, "run %s: %s", name, strerrordesc_np(-r));
        if (ret_status)
                *ret_status = status;
        return 0;
}

int kc_proc_run(char *const argv[], const struct kc_proc_opts *opts, int *ret_status, struct kc_buf *ret_out,
    struct kc_buf *ret_err, struct kc_error *err)
{
        struct run run = {.pid_fd = -1, .streams = {{-1, ret_out}, {-1, ret_err}}, .max_output = DEFAULT_MAX_OUTPUT};
        if (opts && opts->max_output)
                run.max_output = opts->max_output;
        for (int i = 0; i < 2; i++)
                if (run.streams[i].ret)
                        run.streams[i].limit = run.streams[i].ret->len + run.max_output;
        if (opts && opts->timeout_ms)
                run.deadline = kc_clock_mono(NULL) + opts->timeout_ms * KC_MSEC;
        int r = start(argv, opts, &run, err);
        if (r == 0) {
                run.pid_fd = pidfd_open(run.pid, 0);
                if (run.pid_fd < 0 || fcntl(run.streams[0].fd, F_SETFL, O_NONBLOCK) < 0 ||
                    fcntl(run.streams[1].fd, F_SETFL, O_NONBLOCK) < 0)
                        r = -errno;
                else
                        r = converse(&run);
                r = finish(&run, r, argv[0], ret_status, err);
        }
        kc_closep(&run.pid_fd);
        kc_closep(&run.streams[0].fd);
        kc_closep(&run.streams[1].fd);
        return r;
}
