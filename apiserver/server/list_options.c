/* The query parameters of reads: metav1.ListOptions with upstream's checks. Pure: any thread. */
#include "server/list_options.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

static int parse_revision(const char *text, int64_t *ret, struct kc_error *err)
{
        uint64_t v;
        int r = kc_str_to_u64(text, &v);
        if (r < 0 || v > INT64_MAX)
                /* Upstream's code, and no reason. */
                return kc_error_set_api(err, 500, NULL,
                    "resourceVersion: Invalid value: \"%s\": strconv.ParseUint: parsing \"%s\": %s", text, text,
                    r == -EINVAL ? "invalid syntax" : "value out of range");
        *ret = (int64_t)v;
        return 0;
}

int read_of_revision(const char *resource_version, struct kc_cache_read *ret, struct kc_error *err)
{
        *ret = (struct kc_cache_read){.match = KC_CACHE_CONSISTENT};
        if (kc_str_empty(resource_version))
                return 0;
        ret->match = KC_CACHE_NOT_OLDER;
        return parse_revision(resource_version, &ret->revision, err);
}

/* --- selectors */

static bool is_selectable(const struct kc_resource *row, const char *field)
{
        if (strcmp(field, "metadata.name") == 0 || (row->namespaced && strcmp(field, "metadata.namespace") == 0))
                return true;
        for (const char *const *f = row->selectable_fields; f && *f; f++)
                if (strcmp(*f, field) == 0)
                        return true;
        return false;
}

static int check_fields(const struct list_options *o, struct kc_error *err)
{
        for (size_t i = 0; i < kc_field_selector_len(o->fields); i++) {
                const char *field, *value;
                bool negated;
                kc_field_selector_at(o->fields, i, &field, &negated, &value);
                if (!is_selectable(o->row, field))
                        return kc_err_bad_request(err, "field label not supported: %s", field);
        }
        return 0;
}

static int parse_selectors(const struct api_req *q, struct list_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *labels = api_req_param(q, "labelSelector");
        KC_CLEANUP(kc_freep) char *fields = api_req_param(q, "fieldSelector");
        struct kc_error why = KC_ERROR_INIT;
        int r = 0;
        if (!kc_str_empty(labels))
                r = kc_selector_parse(labels, &o->labels, &why);
        if (r == 0 && !kc_str_empty(fields))
                r = kc_field_selector_parse(fields, &o->fields, &why);
        if (r < 0) {
                r = kc_err_bad_request(err, "%s", kc_error_message(&why));
                kc_error_done(&why);
                return r;
        }
        return 0;
}

static const char *get_field(const char *field, void *arg)
{
        void *const *both = arg;
        return kc_cache_entry_field(convert_field(both[0], field), both[1]);
}

bool list_options_match(const struct kc_cache_entry *e, void *options)
{
        const struct list_options *o = options;
        if (o->labels && !kc_selector_matches(o->labels, kc_cache_entry_labels(e)))
                return false;
        void *both[2] = {(void *)(uintptr_t)o->row, (void *)(uintptr_t)e};
        return !o->fields || kc_field_selector_matches(o->fields, get_field, both);
}

bool (*list_options_matcher(const struct list_options *o))(const struct kc_cache_entry *e, void *options)
{
        return o->labels || o->fields ? list_options_match : NULL;
}

/* --- the rest */

static const char LIST_KIND[] = "ListOptions", META_GROUP[] = "meta.k8s.io";

/* metav1/validation.ValidateListOptions */
static int validate(const struct list_options *o, bool watch, const char *match, const char *rv, struct kc_error *err)
{
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors e = {0};
        bool initial = o->initial_events != KC_INITIAL_EVENTS_UNSET;
        static const char *const for_list[] = {"Exact", "NotOlderThan", "", NULL};
        static const char *const for_watch[] = {"NotOlderThan", NULL};
        static const char with_continue[] = "resourceVersionMatch is forbidden when continue is provided";
        if (initial && watch && !kc_streq(match, "NotOlderThan"))
                kc_field_forbidden(&e, "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        if (!kc_str_empty(match) && watch) {
                if (!initial)
                        kc_field_forbidden(&e, "resourceVersionMatch",
                            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
                if (strcmp(match, "NotOlderThan") != 0)
                        kc_field_not_supported(&e, "resourceVersionMatch", match, for_watch);
                if (!kc_str_empty(o->continue_token))
                        kc_field_forbidden(&e, "resourceVersionMatch", with_continue);
        } else if (!kc_str_empty(match)) {
                if (kc_str_empty(rv))
                        kc_field_forbidden(&e, "resourceVersionMatch",
                            "resourceVersionMatch is forbidden unless resourceVersion is provided");
                if (!kc_str_empty(o->continue_token))
                        kc_field_forbidden(&e, "resourceVersionMatch", with_continue);
                if (strcmp(match, "Exact") != 0 && strcmp(match, "NotOlderThan") != 0)
                        kc_field_not_supported(&e, "resourceVersionMatch", match, for_list);
                if (strcmp(match, "Exact") == 0 && kc_streq(rv, "0"))
                        kc_field_forbidden(&e, "resourceVersionMatch",
                            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if (initial && !watch)
                kc_field_forbidden(&e, "sendInitialEvents", "sendInitialEvents is forbidden for list");
        return e.n == 0 ? 0 : kc_err_invalid(err, META_GROUP, LIST_KIND, "", &e);
}

static int parse_int(const struct api_req *q, const char *name, int64_t *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *text = api_req_param(q, name);
        *ret = 0;
        if (!kc_str_empty(text) && kc_str_to_i64(text, ret) < 0)
                return kc_err_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", text);
        return 0;
}

/* What resourceVersion, its match and limit mean for a list. */
static int list_read(struct list_options *o, const char *rv, const char *match, struct kc_error *err)
{
        int r = read_of_revision(rv, &o->read, err);
        if (r < 0)
                return r;
        if (!kc_str_empty(o->continue_token)) {
                if (!kc_str_empty(rv) && strcmp(rv, "0") != 0)
                        return kc_err_bad_request(
                            err, "specifying resource version is not allowed when using continue");
                return 0;
        }
        if (o->read.revision > 0 && (kc_streq(match, "Exact") || (kc_str_empty(match) && o->limit > 0)))
                o->read.match = KC_CACHE_EXACT;
        return 0;
}

static void take_scope(const struct api_req *q, struct list_options *o)
{
        const char *ns = q->row->namespaced ? q->info.ns : "";
        const char *name = kc_strv_len(q->info.parts) >= 2 ? q->info.name : NULL;
        if (o->fields && kc_str_empty(name))
                name = kc_field_selector_requires(o->fields, "metadata.name");
        if (o->fields && kc_str_empty(ns) && q->row->namespaced)
                ns = kc_field_selector_requires(o->fields, "metadata.namespace");
        o->ns = kc_str_empty(ns) ? NULL : kc_strdup(ns);
        o->name = kc_str_empty(name) ? NULL : kc_strdup(name);
}

/* .../watch/<resource>/<name>: a field selector must name the same one. */
static int check_path_name(const struct api_req *q, const struct list_options *o, struct kc_error *err)
{
        if (kc_strv_len(q->info.parts) < 2 || !o->fields)
                return 0;
        const char *name = kc_field_selector_requires(o->fields, "metadata.name");
        if (kc_streq(name, q->info.name))
                return 0;
        return kc_err_bad_request(err, "fieldSelector metadata.name doesn't match requested name");
}

static int parse(const struct api_req *q, bool watch, struct list_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *rv = api_req_param(q, "resourceVersion");
        KC_CLEANUP(kc_freep) char *match = api_req_param(q, "resourceVersionMatch");
        KC_CLEANUP(kc_freep) char *initial = api_req_param(q, "sendInitialEvents");
        int r = parse_selectors(q, o, err);
        if (r == 0)
                r = parse_int(q, "limit", &o->limit, err);
        if (r == 0)
                r = parse_int(q, "timeoutSeconds", &o->timeout_seconds, err);
        if (r < 0)
                return r;
        o->limit = KC_MAX(o->limit, 0);
        o->continue_token = api_req_param(q, "continue");
        o->bookmarks = api_req_param_bool(q, "allowWatchBookmarks", false);
        if (!kc_str_empty(initial))
                o->initial_events = api_req_param_bool(q, "sendInitialEvents", false) ? KC_INITIAL_EVENTS_TRUE
                                                                                      : KC_INITIAL_EVENTS_FALSE;
        r = validate(o, watch, match, rv, err);
        if (r == 0 && o->fields)
                r = check_fields(o, err);
        if (r == 0)
                r = check_path_name(q, o, err);
        if (r == 0 && !watch)
                r = list_read(o, rv, match, err);
        o->watch_revision = -1;
        if (r == 0 && watch && !kc_str_empty(rv))
                r = parse_revision(rv, &o->watch_revision, err);
        take_scope(q, o);
        return r;
}

int list_options_parse(const struct api_req *q, bool watch, struct list_options *ret, struct kc_error *err)
{
        *ret = (struct list_options){.row = q->row};
        int r = parse(q, watch, ret, err);
        if (r < 0)
                list_options_done(ret);
        return r;
}

void list_options_done(struct list_options *o)
{
        kc_selector_free(o->labels);
        kc_field_selector_free(o->fields);
        kc_free(o->name);
        kc_free(o->ns);
        kc_free(o->continue_token);
        *o = (struct list_options){0};
}
