/* Running a program and waiting for it, with its output captured. Blocks: worker threads only. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

struct kc_proc_opts {
        const char *input; /* to standard input; NULL: /dev/null */
        size_t input_len;
        int timeout_ms;    /* 0: none; on expiry the process group gets SIGKILL and -ETIMEDOUT is returned */
        size_t max_output; /* per stream; more is -EMSGSIZE. 0: 1 MiB */
        char *const *env;  /* NULL: ours */
};

/* argv[0] is looked up in PATH. ret_status: wait(2) status. ret_out, ret_err may be NULL (discarded). opts may be NULL.
 * Returns 0 whenever the program ran, whatever its exit status. */
int kc_proc_run(char *const argv[], const struct kc_proc_opts *opts, int *ret_status, struct kc_buf *ret_out,
    struct kc_buf *ret_err, struct kc_error *err);
