/* API errors and metav1.Status. Pure functions: any thread. */
#include "api/status.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

/* "pods" or "deployments.apps"; also for kinds. Heap. */
static char *qualified(const char *group, const char *resource)
{
        return kc_str_empty(group) ? kc_strdup(resource) : kc_asprintf("%s.%s", resource, group);
}

void kc_go_value_add(struct kc_buf *b, const struct json_object *v)
{
        const char *s = kc_json_as_str(v);
        if (s) {
                kc_buf_adds(b, s);
        } else if (!v) {
                kc_buf_adds(b, "<nil>");
        } else if (kc_json_is_arr(v)) {
                kc_buf_addc(b, '[');
                for (size_t i = 0; i < kc_json_len(v); i++) {
                        if (i)
                                kc_buf_addc(b, ' ');
                        kc_go_value_add(b, kc_json_idx(v, i));
                }
                kc_buf_addc(b, ']');
        } else if (kc_json_is_obj(v)) {
                KC_CLEANUP(kc_strv_freep) char **keys = NULL;
                KC_JSON_FOREACH(v, key, value)
                kc_strv_push(&keys, key);
                if (keys)
                        kc_strv_sort(keys);
                kc_buf_adds(b, "map[");
                for (size_t i = 0; keys && keys[i]; i++) {
                        kc_buf_addf(b, "%s%s:", i ? " " : "", keys[i]);
                        kc_go_value_add(b, kc_json_get(v, keys[i]));
                }
                kc_buf_addc(b, ']');
        } else {
                kc_json_write(b, v);
        }
}

static void set_details(struct kc_error *err, const char *group, const char *kind, const char *name)
{
        if (!err)
                return;
        struct kc_error_details *d = kc_error_details(err);
        kc_str_set(&d->group, kc_str_empty(group) ? NULL : group);
        kc_str_set(&d->kind, kc_str_empty(kind) ? NULL : kind);
        kc_str_set(&d->name, kc_str_empty(name) ? NULL : name);
}

/* <prefix><resource> "<name>"<suffix>, and the details. */
static int named(struct kc_error *err, int code, const char *reason, const char *prefix, const char *group,
    const char *resource, const char *name, const char *suffix)
{
        KC_CLEANUP(kc_freep) char *what = qualified(group, resource);
        struct kc_buf b = KC_BUF_INIT;
        kc_buf_addf(&b, "%s%s ", prefix, what);
        kc_quote_add(&b, name);
        kc_buf_adds(&b, suffix);
        int r = kc_error_set_api(err, code, reason, "%s", kc_buf_str(&b));
        kc_buf_done(&b);
        set_details(err, group, resource, name);
        return r;
}

int kc_err_not_found(struct kc_error *err, const char *group, const char *resource, const char *name)
{
        return named(err, 404, KC_REASON_NOT_FOUND, "", group, resource, name, " not found");
}

int kc_err_already_exists(struct kc_error *err, const char *group, const char *resource, const char *name)
{
        return named(err, 409, KC_REASON_ALREADY_EXISTS, "", group, resource, name, " already exists");
}

int kc_err_conflict(struct kc_error *err, const char *group, const char *resource, const char *name, const char *why)
{
        KC_CLEANUP(kc_freep) char *suffix = kc_asprintf(": %s", why);
        return named(err, 409, KC_REASON_CONFLICT, "Operation cannot be fulfilled on ", group, resource, name, suffix);
}

int kc_err_forbidden(struct kc_error *err, const char *group, const char *resource, const char *name, const char *why)
{
        int r;
        if (kc_str_empty(resource) && kc_str_empty(group)) {
                r = kc_error_set_api(err, 403, KC_REASON_FORBIDDEN, "forbidden: %s", why);
        } else if (kc_str_empty(name)) {
                KC_CLEANUP(kc_freep) char *what = qualified(group, resource);
                r = kc_error_set_api(err, 403, KC_REASON_FORBIDDEN, "%s is forbidden: %s", what, why);
        } else {
                KC_CLEANUP(kc_freep) char *suffix = kc_asprintf(" is forbidden: %s", why);
                return named(err, 403, KC_REASON_FORBIDDEN, "", group, resource, name, suffix);
        }
        set_details(err, group, resource, name);
        return r;
}

int kc_err_bad_request(struct kc_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        return kc_error_set_api(err, 400, KC_REASON_BAD_REQUEST, "%s", message);
}

int kc_err_unauthorized(struct kc_error *err)
{
        return kc_error_set_api(err, 401, KC_REASON_UNAUTHORIZED, "Unauthorized");
}

int kc_err_method_not_supported(struct kc_error *err, const char *group, const char *resource, const char *action)
{
        KC_CLEANUP(kc_freep) char *what = qualified(group, resource);
        int r = kc_error_set_api(
            err, 405, KC_REASON_METHOD_NOT_ALLOWED, "%s is not supported on resources of kind \"%s\"", action, what);
        set_details(err, group, resource, NULL);
        return r;
}

int kc_err_internal(struct kc_error *err, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *message = kc_vasprintf(fmt, ap);
        va_end(ap);
        int r = kc_error_set_api(err, 500, KC_REASON_INTERNAL_ERROR, "Internal error occurred: %s", message);
        if (err)
                kc_error_add_cause(err, NULL, NULL, message);
        return r;
}

int kc_err_gone(struct kc_error *err, const char *message)
{
        return kc_error_set_api(err, 410, KC_REASON_EXPIRED, "%s", message);
}

int kc_err_too_large_resource_version(struct kc_error *err, uint64_t wanted, uint64_t current)
{
        int r =
            kc_error_set_api(err, 504, KC_REASON_TIMEOUT, "Timeout: Too large resource version: %llu, current: %llu",
                (unsigned long long)wanted, (unsigned long long)current);
        if (err) {
                kc_error_details(err)->retry_after_seconds = 1;
                kc_error_add_cause(err, "ResourceVersionTooLarge", NULL, "Too large resource version");
        }
        return r;
}

int kc_err_too_many_requests(struct kc_error *err, const char *message, int retry_after_seconds)
{
        int r = kc_error_set_api(err, 429, KC_REASON_TOO_MANY_REQUESTS, "%s", message);
        if (err)
                kc_error_details(err)->retry_after_seconds = retry_after_seconds;
        return r;
}

char *kc_field_errors_text(const struct kc_field_errors *l)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < l->n; i++) {
                KC_CLEANUP(kc_freep)
                char *text = kc_asprintf("%s: %s", l->v[i].field ? l->v[i].field : "", l->v[i].message);
                if (!kc_map_set(seen, text, seen))
                        continue;
                if (b.len)
                        kc_buf_adds(&b, ", ");
                kc_buf_adds(&b, text);
        }
        char *joined = kc_buf_take_str(&b);
        if (kc_map_len(seen) < 2)
                return joined;
        char *list = kc_asprintf("[%s]", joined);
        kc_free(joined);
        return list;
}

int kc_err_invalid(
    struct kc_error *err, const char *group, const char *kind, const char *name, struct kc_field_errors *l)
{
        KC_CLEANUP(kc_freep) char *why = kc_field_errors_text(l);
        KC_CLEANUP(kc_freep) char *suffix = kc_asprintf(l->n ? " is invalid: %s" : " is invalid", why);
        int r = named(err, 422, KC_REASON_INVALID, "", group, kind, name, suffix);
        for (size_t i = 0; err && i < l->n; i++)
                kc_error_add_cause(err, l->v[i].reason, l->v[i].field, l->v[i].message);
        kc_field_errors_done(l);
        return r;
}

static struct json_object *causes_json(const struct kc_error_details *d)
{
        struct json_object *causes = json_object_new_array();
        for (size_t i = 0; i < d->n_causes; i++) {
                struct json_object *c = json_object_new_object();
                kc_json_set_str(c, "reason", d->causes[i].reason);
                kc_json_set_str(c, "message", d->causes[i].message);
                kc_json_set_str(c, "field", d->causes[i].field);
                kc_json_push(causes, c);
        }
        return causes;
}

static struct json_object *details_json(const struct kc_error_details *d)
{
        struct json_object *o = json_object_new_object();
        kc_json_set_str(o, "name", d->name);
        kc_json_set_str(o, "group", d->group);
        kc_json_set_str(o, "kind", d->kind);
        kc_json_set_str(o, "uid", d->uid);
        if (d->n_causes)
                kc_json_set(o, "causes", causes_json(d));
        if (d->retry_after_seconds)
                kc_json_set_int(o, "retryAfterSeconds", d->retry_after_seconds);
        return o;
}

static struct json_object *new_status(const char *status)
{
        return kc_json_build("{'kind':'Status','apiVersion':'v1','metadata':{},'status':%s}", status);
}

struct json_object *kc_status_from_error(const struct kc_error *err)
{
        struct json_object *s = new_status("Failure");
        kc_json_set_str(s, "message", kc_error_message(err));
        kc_json_set_str(s, "reason",
            !err->code                  ? KC_REASON_INTERNAL_ERROR
            : kc_str_empty(err->reason) ? NULL
                                        : err->reason);
        if (err->details)
                kc_json_set(s, "details", details_json(err->details));
        kc_json_set_int(s, "code", err->code ? err->code : 500);
        return s;
}

struct json_object *kc_status_success(const char *group, const char *resource, const char *name, const char *uid)
{
        struct json_object *s = new_status("Success");
        struct kc_error_details d = {.name = (char *)name,
            .kind = (char *)resource,
            .uid = (char *)uid,
            .group = kc_str_empty(group) ? NULL : (char *)group}; /* borrowed */
        kc_json_set(s, "details", details_json(&d));
        return s;
}

/* What client-go makes of a response that is no Status. */
static int generic_response(struct kc_error *err, int code, const char *body, size_t len)
{
        static const struct {
                int code;
                const char *reason, *message; /* message NULL: the body */
        } known[] = {
            {400, KC_REASON_BAD_REQUEST, "the server rejected our request for an unknown reason"},
            {401, KC_REASON_UNAUTHORIZED, "the server has asked for the client to provide credentials"},
            {403, KC_REASON_FORBIDDEN, NULL},
            {404, KC_REASON_NOT_FOUND, "the server could not find the requested resource"},
            {405, KC_REASON_METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource"},
            {406, KC_REASON_NOT_ACCEPTABLE,
                "the server was unable to respond with a content type that the client supports"},
            {409, KC_REASON_CONFLICT, "the server reported a conflict"},
            {410, KC_REASON_GONE, "the server reported that the resource is gone"},
            {413, KC_REASON_REQUEST_ENTITY_TOO_LARGE, "the request entity is too large"},
            {415, KC_REASON_UNSUPPORTED_MEDIA_TYPE, "the body of the request was in an unknown format"},
            {422, KC_REASON_INVALID, "the server rejected our request due to an error in our request"},
            {429, KC_REASON_TOO_MANY_REQUESTS,
                "the server has received too many requests and has asked us to try again later"},
            {503, KC_REASON_SERVICE_UNAVAILABLE, "the server is currently unable to handle the request"},
            {504, KC_REASON_TIMEOUT,
                "the server was unable to return a response in the time allotted, but may still be processing the "
                "request"},
        };
        enum { MAX_BODY = 2048 }; /* of it in a message */
        KC_CLEANUP(kc_freep) char *raw = kc_strndup(body ? body : "", KC_MIN(len, (size_t)MAX_BODY));
        KC_CLEANUP(kc_freep) char *text = kc_str_trim(raw);
        for (size_t i = 0; i < KC_ARRAY_LEN(known); i++) {
                if (known[i].code == code)
                        return kc_error_set_api(err, code, known[i].reason, "%s",
                            known[i].message ? known[i].message
                            : *text          ? text
                                             : "the server refused the request");
        }
        if (code >= 500) {
                struct kc_buf quoted = KC_BUF_INIT;
                kc_quote_add(&quoted, *text ? text : "unknown");
                int r = kc_error_set_api(err, code, KC_REASON_INTERNAL_ERROR,
                    "an error on the server (%s) has prevented the request from succeeding", kc_buf_str(&quoted));
                kc_buf_done(&quoted);
                return r;
        }
        return kc_error_set_api(
            err, code, "", "the server responded with the status code %d but did not return more information", code);
}

static void details_from_json(struct kc_error *err, const struct json_object *details)
{
        struct kc_error_details *d = kc_error_details(err);
        kc_str_set(&d->name, kc_json_str(details, "name"));
        kc_str_set(&d->group, kc_json_str(details, "group"));
        kc_str_set(&d->kind, kc_json_str(details, "kind"));
        kc_str_set(&d->uid, kc_json_str(details, "uid"));
        int64_t retry = kc_json_int(details, "retryAfterSeconds", 0);
        d->retry_after_seconds = retry < 0 ? 0 : retry > 3600 ? 3600 : (int)retry;
        const struct json_object *causes = kc_json_get(details, "causes");
        for (size_t i = 0; i < kc_json_len(causes); i++) {
                const struct json_object *c = kc_json_idx(causes, i);
                kc_error_add_cause(err, kc_json_str(c, "reason"), kc_json_str(c, "field"), kc_json_str(c, "message"));
        }
}

int kc_error_from_response(struct kc_error *err, int code, const char *body, size_t len)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = NULL;
        if (!body || kc_json_parse(body, len, NULL, &tree, NULL) < 0 ||
            !kc_streq(kc_json_str(tree, "kind"), "Status") || kc_streq(kc_json_str(tree, "status"), "Success"))
                return generic_response(err, code, body, len);
        const char *reason = kc_json_str(tree, "reason"), *message = kc_json_str(tree, "message");
        int64_t status_code = kc_json_int(tree, "code", code);
        if (status_code < 100 || status_code > 599)
                status_code = code;
        int r = kc_error_set_api(err, (int)status_code, reason ? reason : "", "%s", message ? message : "unknown");
        const struct json_object *details = kc_json_get(tree, "details");
        if (err && kc_json_is_obj(details))
                details_from_json(err, details);
        return r;
}
