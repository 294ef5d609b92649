/* Waiting on objects: read, then watch from what was read. Main thread. */
#include "cli/wait_for.h"

#include <errno.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/lines.h"
#include "cli/requests.h"

/* 1: reached, 0: the watch has ended, negative. */
static int follow(
    struct kc_cli *c, struct kc_lines *lines, kc_mono deadline, kc_cli_condition_fn fn, void *arg, struct kc_error *err)
{
        for (;;) {
                const char *line;
                size_t len;
                KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
                int e = kc_lines_next(lines, deadline, &line, &len, NULL, NULL, err);
                if (e <= 0)
                        return e;
                e = kc_json_parse(line, len, NULL, &event, err);
                if (e < 0)
                        return e;
                const char *type = kc_json_str(event, "type");
                if (kc_streq(type, "ERROR"))
                        return 0;
                if (kc_streq(type, "BOOKMARK"))
                        continue;
                e = fn(c, kc_streq(type, "DELETED") ? NULL : kc_json_get(event, "object"), arg, err);
                if (e != 0)
                        return e;
        }
}

static int watch_once(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name,
    const char *version, kc_mono deadline, kc_cli_condition_fn fn, void *arg, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *field = kc_asprintf("metadata.name=%s", name);
        kc_query_add(&q, "fieldSelector", field);
        kc_query_add(&q, "resourceVersion", version);
        kc_query_add(&q, "watch", "true");
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(res, ns, NULL, NULL, kc_buf_str(&q));
        int e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        e = kc_lines_open(lines, path, "application/json", NULL, err);
        return e < 0 ? e : follow(c, lines, deadline, fn, arg, err);
}

int kc_cli_wait(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name, kc_mono deadline,
    kc_cli_condition_fn fn, void *arg, struct kc_error *err)
{
        for (;;) {
                KC_CLEANUP(kc_json_freep) struct json_object *obj = NULL;
                KC_CLEANUP(kc_freep) char *version = NULL;
                int e = kc_cli_get(c, res, ns, name, &obj, err);
                if (e < 0 && !kc_error_is(err, KC_REASON_NOT_FOUND))
                        return e;
                if (e < 0 && err)
                        kc_error_done(err);
                version = kc_strdup(kc_meta_resource_version(obj));
                e = fn(c, obj, arg, err);
                if (e == 0)
                        e = watch_once(c, res, ns, name, version, deadline, fn, arg, err);
                if (e == -ETIME && deadline > 0 && kc_clock_mono(NULL) >= deadline)
                        return kc_error_set(
                            err, ETIME, "timed out waiting for the condition on %s/%s", res->resource, name);
                if (e != 0)
                        return e < 0 ? e : 0;
        }
}

static int is_gone(struct kc_cli *c, const struct json_object *obj, void *arg, struct kc_error *err)
{
        (void)c;
        (void)err;
        const char *uid = arg;
        return !obj || (uid && !kc_streq(kc_meta_uid(obj), uid));
}

int kc_cli_wait_gone(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name,
    const char *uid, kc_mono deadline, struct kc_error *err)
{
        union {
                const char *in;
                void *out;
        } as = {.in = uid};
        return kc_cli_wait(c, res, ns, name, deadline, is_gone, as.out, err);
}
