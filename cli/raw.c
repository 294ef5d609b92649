/* Requests to a path of the user's. Main thread. */
#include "cli/raw.h"

#include <errno.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/builder.h"

enum { MAX_BODY = 64 << 20 };

static int read_body(struct kc_cli *c, const char *file, struct kc_bytes **ret, struct kc_error *err)
{
        struct kc_buf b = KC_BUF_INIT;
        int e = kc_streq(file, "-") ? kc_cli_read_stdin(c, &b, err) : kc_file_read(file, MAX_BODY, &b, err);
        if (e == 0)
                *ret = kc_bytes_from_buf(&b);
        kc_buf_done(&b);
        return e;
}

int kc_cli_raw(struct kc_cli *c, const char *method, const char *path, const char *file, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *body = NULL, *answer = NULL;
        if (path[0] != '/')
                return kc_error_set(
                    err, EINVAL, "--raw must be a valid URL path: parse \"%s\": invalid URI for request", path);
        int e = file ? read_body(c, file, &body, err) : 0;
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_raw(rest, method, path, body ? "application/json" : NULL, NULL, body, &answer, err);
        if (e == 0)
                (void)fwrite(kc_bytes_data(answer), 1, kc_bytes_len(answer), c->out);
        return e;
}
