/* kubec get -w: a list, and what changes after it. Main thread. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/get_internal.h"
#include "cli/lines.h"
#include "cli/requests.h"

/* With --output-watch-events, objects are in their events. */
static int print_watched(struct kc_cli *c, const struct kc_get_plan *p, const struct kc_wanted *w,
    struct json_object *object, const char *type, struct kc_error *err)
{
        bool json = kc_streq(p->output, "json"), yaml = kc_streq(p->output, "yaml");
        int e = 0;
        if (!kc_get_opt.output_watch_events || (!json && !yaml)) {
                e = kc_get_print_object(c, p, w->res, object, err);
        } else {
                KC_CLEANUP(kc_json_freep) struct json_object *event = kc_json_build("{'type':%s}", type);
                kc_json_set(event, "object", kc_json_copy(object));
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                if (json) { /* a line for each: kubectl does not indent events */
                        KC_CLEANUP(kc_buf_done) struct kc_buf sorted = KC_BUF_INIT;
                        kc_json_write_sorted(&sorted, kc_json_get(event, "object"));
                        kc_buf_addf(&b, "{\"type\":\"%s\",\"object\":%s}\n", type, kc_buf_str(&sorted));
                        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
                } else {
                        e = kc_object_printer_print(p->printer, c, w->res, event, err);
                }
        }
        if (e == 0)
                kc_object_printer_flush(p->printer, c);
        return e;
}

static int print_event(struct kc_cli *c, const struct kc_get_plan *p, const struct kc_wanted *w, struct kc_tables *t,
    const char *line, size_t len, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *event = NULL;
        int e = kc_json_parse(line, len, NULL, &event, err);
        if (e < 0)
                return kc_error_wrap(err, "unable to decode an event from the watch stream");
        const char *type = kc_json_str(event, "type");
        struct json_object *object = kc_json_get_mut(event, "object");
        if (kc_streq(type, "BOOKMARK"))
                return 0;
        if (kc_streq(type, "ERROR")) {
                KC_CLEANUP(kc_freep) char *status = kc_json_to_str(object);
                return kc_error_from_response(err, (int)kc_json_int(object, "code", 500), status, strlen(status));
        }
        if (!p->printer) {
                kc_tables_add(c, t, object, kc_get_opt.output_watch_events ? type : NULL);
                kc_tables_flush(c, t);
        } else {
                e = print_watched(c, p, w, object, type, err);
                if (e < 0)
                        return e;
        }
        return fflush(c->out) == 0 ? 0 : kc_cli_write_failed(c);
}

static int list_first(struct kc_cli *c, const struct kc_get_plan *p, const struct kc_wanted *w, struct kc_tables *t,
    char **ret_version, struct kc_error *err)
{
        const char *event = kc_get_opt.output_watch_events ? "ADDED" : NULL;
        if (!p->printer) {
                /* Of one object, the table has no version: the watch begins with what the object has. */
                KC_CLEANUP(kc_tables_done) struct kc_tables silent;
                kc_tables_init(&silent, p);
                silent.columns = NULL;
                if (!kc_get_opt.watch_only)
                        return kc_tables_fetch(c, w, t, ret_version, event, err);
                KC_CLEANUP(kc_json_freep) struct json_object *items = json_object_new_array();
                return kc_get_objects(c, w, items, ret_version, err);
        }
        KC_CLEANUP(kc_json_freep) struct json_object *items = json_object_new_array();
        int e = kc_get_objects(c, w, items, ret_version, err);
        for (size_t i = 0; e == 0 && !kc_get_opt.watch_only && i < kc_json_len(items); i++)
                e = print_watched(c, p, w, kc_json_idx_mut(items, i), "ADDED", err);
        return e;
}

static int check(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err)
{
        if (p->manifests.n == 0 && kc_get_several_resources(p))
                return kc_error_set(err, EINVAL, "you may only specify a single resource type");
        for (size_t i = 0; p->n > 1 && i < p->n; i++) { /* one that is missing is said first */
                KC_CLEANUP(kc_json_freep) struct json_object *found = NULL;
                int e = kc_cli_get(c, p->v[i].res, p->v[i].ns, p->v[i].name, &found, err);
                if (e < 0)
                        return e;
        }
        if (p->n > 1)
                return kc_error_set(err, EINVAL,
                    "watch is only supported on individual resources and resource collections - more than 1 resource "
                    "was found");
        return 0;
}

static char *watch_path(const struct kc_wanted *w, const char *version)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_freep) char *by_name = w->name ? kc_asprintf("metadata.name=%s", w->name) : NULL;
        if (w->name)
                kc_query_add(&q, "fieldSelector", by_name);
        else
                kc_get_add_selectors(&q);
        kc_query_add(&q, "resourceVersion", kc_str_empty(version) ? NULL : version);
        kc_query_add(&q, "watch", "true");
        return kc_cli_path(w->res, w->ns, NULL, NULL, kc_buf_str(&q));
}

static void warn_unsorted(struct kc_cli *c)
{
        if (kc_str_empty(kc_get_opt.sort_by))
                return;
        if (kc_get_opt.watch_only)
                (void)fprintf(c->err, "warning: --watch-only requested, --sort-by will be ignored\n");
        else
                (void)fprintf(
                    c->err, "warning: --watch requested, --sort-by will be ignored for watch events received\n");
}

int kc_get_watch(struct kc_cli *c, const struct kc_get_plan *p, struct kc_error *err)
{
        int timeout_ms = 0, e = check(c, p, err);
        if (e == 0)
                e = kc_cli_request_timeout_ms(c, &timeout_ms, err);
        if (e < 0)
                return e;
        const struct kc_wanted *w = &p->v[0];
        KC_CLEANUP(kc_tables_done) struct kc_tables t;
        KC_CLEANUP(kc_freep) char *version = NULL;
        struct kc_rest *rest;
        kc_tables_init(&t, p);
        kc_tables_switch(c, &t, w->res, kc_get_opt.show_kind);
        warn_unsorted(c);
        e = list_first(c, p, w, &t, &version, err);
        if (e != 0)
                return e;
        kc_tables_flush(c, &t);
        (void)fflush(c->out);
        KC_CLEANUP(kc_freep) char *path = watch_path(w, version);
        e = kc_cli_rest(c, &rest, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
        kc_mono deadline = timeout_ms > 0 ? kc_clock_mono(NULL) + timeout_ms * KC_MSEC : 0;
        e = kc_lines_open(lines, path, kc_get_accept(!p->printer), NULL, err);
        while (e == 0) {
                const char *line;
                size_t len;
                e = kc_lines_next(lines, deadline, &line, &len, NULL, NULL, err);
                if (e == -ETIME) { /* --request-timeout is how long is watched */
                        kc_error_done(err);
                        return 0;
                }
                if (e <= 0)
                        return e;
                e = print_event(c, p, w, &t, line, len, err);
        }
        return e;
}
