/* Copying between this machine and containers; kubec cp. Main thread, with a thread that waits for the remote tar. */
#pragma once

#include "cli/cli.h"

struct kc_cp_spec {
        char *ns, *pod, *file; /* pod NULL: here; ns "" when not given */
};

struct kc_cp {
        struct kc_cli *c;
        const char *container; /* NULL: the default one */
        bool no_preserve;
        int retries; /* negative: for ever */
};

int kc_cp_to_pod(struct kc_cp *cp, const struct kc_cp_spec *from, const struct kc_cp_spec *to, struct kc_error *err);
int kc_cp_from_pod(struct kc_cp *cp, const struct kc_cp_spec *from, const struct kc_cp_spec *to, struct kc_error *err);

/* A command in the pod, with one of its streams in our hands. */
struct kc_cp_pipe;
/* command: a strv. writes: what goes to our end of the pipe is its input, else its output comes out of it. Messages go
 * to out and err (descriptors; -1: nowhere). quiet: the default container is not announced. */
int kc_cp_pipe_open(struct kc_cp *cp, const struct kc_cp_spec *spec, char *const *command, bool writes, bool quiet,
    int out, int err_fd, struct kc_cp_pipe **ret, struct kc_error *err);
/* Our end; closed by kc_cp_pipe_close. */
int kc_cp_pipe_fd(const struct kc_cp_pipe *p);
/* Ends our side and waits for the command: its exit code or a negative errno. Frees. */
int kc_cp_pipe_close(struct kc_cp_pipe *take_p, struct kc_error *err);

/* Go's path.Clean, path.Join (b may be empty), path.Dir and path.Base. Heap. */
char *kc_cp_clean(const char *path);
char *kc_cp_join(const char *a, const char *b);
char *kc_cp_dir(const char *path);
char *kc_cp_base(const char *path);
/* errno about a file of this machine, in Go's words: "open /x: permission denied". Negative. */
int kc_cp_local_error(struct kc_error *err, const char *what, const char *path);
