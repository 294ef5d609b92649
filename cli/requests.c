/* Requests and answers that several commands share. Main thread. */
#include "cli/requests.h"

#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/str.h"
#include "cli/printer_object.h"

enum { CHUNK = 500 };
static const struct kc_json_limits limits = {.max_bytes = 1 << 30, .max_depth = 256, .max_nodes = 64 << 20};

char *kc_cli_path(
    const struct kc_api_resource *res, const char *ns, const char *name, const char *sub, const char *query)
{
        struct kc_gvr g = kc_api_resource_gvr(res);
        KC_CLEANUP(kc_freep) char *path = kc_gvr_path(&g, res->namespaced ? ns : NULL, name, sub);
        return kc_str_empty(query) ? KC_TAKE(path) : kc_asprintf("%s?%s", path, query);
}

void kc_query_add(struct kc_buf *query, const char *key, const char *value)
{
        if (!value)
                return;
        KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(value, false);
        kc_buf_addf(query, "%s%s=%s", query->len > 0 ? "&" : "", key, escaped);
}

int kc_cli_fetch(struct kc_cli *c, const char *path, const char *accept, struct json_object **ret, struct kc_error *err)
{
        struct kc_rest *rest;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL;
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_rest_raw(rest, "GET", path, NULL, accept, NULL, &bytes, err);
        return e < 0 ? e : kc_json_parse(kc_bytes_data(bytes), kc_bytes_len(bytes), &limits, ret, err);
}

int kc_cli_get(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *name,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *path = kc_cli_path(res, ns, name, NULL, NULL);
        return kc_cli_fetch(c, path, "application/json", ret, err);
}

/* Listed objects lack apiVersion and kind. */
static void add_items(struct json_object *into, const struct json_object *list, const struct kc_api_resource *res)
{
        KC_CLEANUP(kc_freep)
        char *api_version = res->group[0] ? kc_asprintf("%s/%s", res->group, res->version) : kc_strdup(res->version);
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                struct json_object *item = kc_json_copy(kc_json_idx(items, i));
                if (kc_str_empty(kc_json_str(item, "kind"))) {
                        kc_json_set_str(item, "kind", res->kind);
                        kc_json_set_str(item, "apiVersion", api_version);
                }
                kc_json_push(into, item);
        }
}

int kc_cli_list_failed(
    const struct kc_api_resource *res, const char *label_selector, const char *field_selector, struct kc_error *err)
{
        if (!kc_error_is(err, KC_REASON_BAD_REQUEST) && !kc_error_is(err, KC_REASON_NOT_FOUND))
                return -err->errnum;
        if (kc_str_empty(label_selector) && kc_str_empty(field_selector))
                return kc_error_wrap(
                    err, "Unable to list \"%s/%s, Resource=%s\"", res->group, res->version, res->resource);
        return kc_error_wrap(err,
            "Unable to find \"%s/%s, Resource=%s\" that match label selector \"%s\", field selector \"%s\"", res->group,
            res->version, res->resource, label_selector ? label_selector : "", field_selector ? field_selector : "");
}

int kc_cli_list(struct kc_cli *c, const struct kc_api_resource *res, const char *ns, const char *query,
    struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *all = NULL;
        KC_CLEANUP(kc_freep) char *next = NULL;
        do {
                KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
                kc_buf_adds(&q, query ? query : "");
                kc_buf_addf(&q, "%slimit=%d", q.len > 0 ? "&" : "", CHUNK);
                kc_query_add(&q, "continue", next);
                KC_CLEANUP(kc_freep) char *path = kc_cli_path(res, ns, NULL, NULL, kc_buf_str(&q));
                KC_CLEANUP(kc_json_freep) struct json_object *page = NULL;
                int e = kc_cli_fetch(c, path, "application/json", &page, err);
                if (e < 0)
                        return e;
                if (!all) {
                        all = kc_json_build("{'items':[]}");
                        kc_json_set(all, "metadata", kc_json_copy(kc_json_get(page, "metadata")));
                }
                add_items(kc_json_get_mut(all, "items"), page, res);
                kc_str_set(&next, kc_json_str_at(page, "metadata.continue"));
        } while (!kc_str_empty(next));
        *ret = KC_TAKE(all);
        return 0;
}

int kc_dry_run_parse(const char *s, enum kc_dry_run *ret, struct kc_error *err)
{
        if (kc_str_empty(s) || kc_streq(s, "none"))
                *ret = KC_DRY_RUN_NONE;
        else if (kc_streq(s, "client") || kc_streq(s, "unchanged"))
                *ret = KC_DRY_RUN_CLIENT;
        else if (kc_streq(s, "server"))
                *ret = KC_DRY_RUN_SERVER;
        else
                return kc_error_set(
                    err, EINVAL, "Invalid dry-run value (%s). Must be \"none\", \"server\", or \"client\".", s);
        if (kc_streq(s, "unchanged"))
                kc_log_warn("--dry-run is deprecated and can be replaced with --dry-run=client.");
        return 0;
}

const char *kc_dry_run_suffix(enum kc_dry_run d)
{
        return d == KC_DRY_RUN_CLIENT ? " (dry run)" : d == KC_DRY_RUN_SERVER ? " (server dry run)" : "";
}

int kc_cli_check_output(const char *output, struct kc_error *err)
{
        KC_CLEANUP(kc_object_printer_freep) struct kc_object_printer *p = NULL;
        return kc_str_empty(output) ? 0 : kc_object_printer_new(output, false, &p, err);
}

int kc_cli_print_result(struct kc_cli *c, const struct kc_api_resource *res, const struct json_object *obj,
    const char *output, const char *operation, enum kc_dry_run dry_run, struct kc_error *err)
{
        if (!kc_str_empty(output)) {
                KC_CLEANUP(kc_object_printer_freep) struct kc_object_printer *p = NULL;
                KC_CLEANUP(kc_json_freep) struct json_object *copy = kc_json_copy(obj);
                kc_strip_managed_fields(copy);
                int e = kc_object_printer_new(output, false, &p, err);
                if (e == 0)
                        e = kc_object_printer_print(p, c, res, copy, err);
                if (e == 0)
                        kc_object_printer_flush(p, c);
                return e;
        }
        KC_CLEANUP(kc_freep) char *kind = kc_api_resource_name(res);
        const char *name = kc_meta_name(obj);
        (void)fprintf(c->out, "%s/%s %s%s\n", kind, name ? name : "<unknown>", operation, kc_dry_run_suffix(dry_run));
        return 0;
}
