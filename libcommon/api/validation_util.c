/* What all validation stands on: paths, errors, and checks of single values. Any thread. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/validation_internal.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/str.h"

static void format_path(struct kc_buf *b, const struct kc_vpath *p)
{
        if (!p)
                return;
        format_path(b, p->up);
        if (p->kind == KC_VPATH_INDEX)
                kc_buf_addf(b, "[%zu]", p->index);
        else if (p->kind == KC_VPATH_KEY)
                kc_buf_addf(b, "[%s]", p->key);
        else
                kc_buf_addf(b, "%s%s", b->len ? "." : "", p->key);
}

char *kc_v_path(const struct kc_vpath *p)
{
        struct kc_buf b = KC_BUF_INIT;
        format_path(&b, p);
        return kc_buf_take_str(&b);
}

void kc_v_add(struct kc_v *v, const char *reason, const struct kc_vpath *p, const char *message)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_add(v->errors, reason, at, message);
}

void kc_v_required(struct kc_v *v, const struct kc_vpath *p, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_required(v->errors, at, detail);
}

void kc_v_invalid(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_invalid(v->errors, at, value, detail);
}

void kc_v_invalid_str(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_invalid_str(v->errors, at, value, detail);
}

void kc_v_invalid_int(struct kc_v *v, const struct kc_vpath *p, int64_t value, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_invalid_int(v->errors, at, value, detail);
}

void kc_v_invalid_unsaid(struct kc_v *v, const struct kc_vpath *p, const char *detail)
{
        KC_CLEANUP(kc_freep) char *message = kc_asprintf("Invalid value: %s", detail);
        kc_v_add(v, "FieldValueInvalid", p, message);
}

void kc_v_not_supported(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *const *valid)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_not_supported(v->errors, at, value, valid);
}

void kc_v_duplicate(struct kc_v *v, const struct kc_vpath *p, const char *value)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_duplicate(v->errors, at, value);
}

void kc_v_duplicate_json(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_duplicate_json(v->errors, at, value);
}

void kc_v_forbidden(struct kc_v *v, const struct kc_vpath *p, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_forbidden(v->errors, at, detail);
}

void kc_v_not_found(struct kc_v *v, const struct kc_vpath *p, const char *value)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_not_found(v->errors, at, value);
}

void kc_v_too_long(struct kc_v *v, const struct kc_vpath *p, int max)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_too_long(v->errors, at, max);
}

void kc_v_too_many(struct kc_v *v, const struct kc_vpath *p, size_t actual, int max)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_too_many(v->errors, at, (int)KC_MIN(actual, (size_t)INT32_MAX), max);
}

void kc_v_internal(struct kc_v *v, const struct kc_vpath *p, const char *detail)
{
        KC_CLEANUP(kc_freep) char *at = kc_v_path(p);
        kc_field_internal(v->errors, at, detail);
}

const char *kc_v_str(const struct json_object *o, const char *key)
{
        const char *s = kc_json_str(o, key);
        return s ? s : "";
}

bool kc_v_is_blank(const char *s)
{
        return s[strspn(s, " \t\n\v\f\r")] == '\0';
}

bool kc_v_in(const char *s, const char *const *valid)
{
        for (; *valid; valid++) {
                if (strcmp(s, *valid) == 0)
                        return true;
        }
        return false;
}

struct kc_map *kc_v_index(const struct json_object *list, const char *key)
{
        struct kc_map *m = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_idx(list, i);
                const char *s = key ? kc_v_str(e, key) : kc_json_as_str(e);
                if (s && e)
                        (void)kc_map_set(m, s, (void *)e); /* new or not */
        }
        return m;
}

bool kc_v_first(struct kc_map *seen, const char *key)
{
        return kc_map_set(seen, key, seen);
}

void kc_v_repeated(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        for (size_t i = 0; i < kc_json_len(list); i++) {
                KC_CLEANUP(kc_freep) char *text = kc_json_to_str(kc_json_idx(list, i));
                if (!kc_v_first(seen, text))
                        kc_v_duplicate_json(v, V_INDEX(p, i), kc_json_idx(list, i));
        }
}

void kc_v_name(struct kc_v *v, const struct kc_vpath *p, const char *value, kc_name_fn check)
{
        struct kc_why why = {0};
        check(value, &why);
        for (size_t i = 0; i < why.n; i++)
                kc_v_invalid_str(v, p, value, why.v[i]);
}

void kc_v_domain_prefixed_path(struct kc_v *v, const struct kc_vpath *p, const char *value)
{
        static const char valid[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/-._~%!$&'()*+,;=:";
        const char *slash = strchr(value, '/');
        if (!*value) {
                kc_v_required(v, p, "");
                return;
        }
        if (!slash || slash == value || !slash[1]) {
                kc_v_invalid_str(v, p, value, "must be a domain-prefixed path (such as \"acme.io/foo\")");
                return;
        }
        KC_CLEANUP(kc_freep) char *host = kc_strndup(value, (size_t)(slash - value));
        kc_v_name(v, p, host, kc_name_dns1123_subdomain);
        if (slash[1 + strspn(slash + 1, valid)])
                kc_v_invalid_str(
                    v, p, slash + 1, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')");
}

void kc_v_fully_qualified_name(struct kc_v *v, const struct kc_vpath *p, const char *value)
{
        struct kc_why why = {0};
        const char *dot = strchr(value, '.');
        if (!*value) {
                kc_v_required(v, p, "");
                return;
        }
        kc_name_dns1123_subdomain(value, &why);
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, ",");
        if (why.n)
                kc_v_invalid_str(v, p, value, all);
        else if (!dot || !strchr(dot + 1, '.'))
                kc_v_invalid_str(v, p, value, "should be a domain with at least three segments separated by dots");
}

void kc_v_nonnegative(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const char *key)
{
        int64_t n = kc_json_int(o, key, 0);
        if (n < 0)
                kc_v_invalid_int(v, V_CHILD(p, key), n, "must be greater than or equal to 0");
}

void kc_v_enum(struct kc_v *v, const struct kc_vpath *p, const char *value, const char *const *valid)
{
        if (!*value)
                kc_v_required(v, p, "");
        else if (!kc_v_in(value, valid))
                kc_v_not_supported(v, p, value, valid);
}

void kc_v_port_number(struct kc_v *v, const struct kc_vpath *p, int64_t port)
{
        struct kc_why why = {0};
        kc_name_port_number(port, &why);
        if (why.n)
                kc_v_invalid_int(v, p, port, why.v[0]);
}

void kc_v_port_number_or_name(struct kc_v *v, const struct kc_vpath *p, const struct json_object *port)
{
        const char *name = kc_json_as_str(port);
        if (name)
                kc_v_name(v, p, name, kc_name_port);
        else
                kc_v_port_number(v, p, json_object_is_type(port, json_type_int) ? json_object_get_int64(port) : 0);
}

static bool is_empty(const struct json_object *o)
{
        return !o || (kc_json_is_obj(o) && kc_json_n_keys(o) == 0) || (kc_json_is_arr(o) && kc_json_len(o) == 0);
}

/* Are two texts the same quantity? Only where both are written as one. */
static bool same_quantity(const char *a, const char *b)
{
        struct kc_quantity x, y;
        return a && b && kc_quantity_parse(a, &x) == 0 && kc_quantity_parse(b, &y) == 0 && kc_quantity_cmp(&x, &y) == 0;
}

static bool equal(const struct json_object *a, const struct json_object *b, bool quantities)
{
        if (is_empty(a) || is_empty(b))
                return is_empty(a) && is_empty(b);
        if (kc_json_is_arr(a) && kc_json_is_arr(b)) {
                if (kc_json_len(a) != kc_json_len(b))
                        return false;
                for (size_t i = 0; i < kc_json_len(a); i++) {
                        if (!equal(kc_json_idx(a, i), kc_json_idx(b, i), false))
                                return false;
                }
                return true;
        }
        if (!kc_json_is_obj(a) || !kc_json_is_obj(b))
                return kc_json_equal(a, b) || (quantities && same_quantity(kc_json_as_str(a), kc_json_as_str(b)));
        KC_JSON_FOREACH(a, key, value)
        {
                bool list = kc_streq(key, "limits") || kc_streq(key, "requests") || kc_streq(key, "overhead");
                if (!equal(value, kc_json_get(b, key), list || quantities))
                        return false;
        }
        KC_JSON_FOREACH(b, key, value)
        {
                if (!is_empty(value) && is_empty(kc_json_get(a, key)))
                        return false;
        }
        return true;
}

bool kc_v_equal(const struct json_object *a, const struct json_object *b)
{
        return equal(a, b, false);
}

void kc_v_immutable(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *value, const struct json_object *old)
{
        if (!kc_v_equal(value, old))
                kc_v_invalid(v, p, value, "field is immutable");
}

void kc_v_int_or_percent(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value)
{
        const char *s = kc_json_as_str(value);
        if (s)
                kc_v_name(v, p, s, kc_name_percent);
        else if (value && json_object_get_int64(value) < 0)
                kc_v_invalid_int(v, p, json_object_get_int64(value), "must be greater than or equal to 0");
}

int64_t kc_v_int_or_percent_value(const struct json_object *value, bool *ret_percent)
{
        const char *s = kc_json_as_str(value);
        int64_t n = 0;
        bool percent = false;
        if (s) {
                size_t len = strlen(s);
                KC_CLEANUP(kc_freep) char *digits = kc_strndup(s, len && s[len - 1] == '%' ? len - 1 : len);
                percent = len > 1 && s[len - 1] == '%' && kc_str_to_i64(digits, &n) == 0;
        }
        if (ret_percent)
                *ret_percent = percent;
        if (!s)
                return json_object_get_int64(value);
        return percent ? n : 0;
}

void kc_v_at_most_100_percent(struct kc_v *v, const struct kc_vpath *p, const struct json_object *value)
{
        bool percent;
        if (kc_v_int_or_percent_value(value, &percent) > 100 && percent)
                kc_v_invalid(v, p, value, "must not be greater than 100%");
}

bool kc_v_ip(struct kc_v *v, const struct kc_vpath *p, const char *ip)
{
        struct kc_ip parsed;
        if (kc_ip_parse(ip, &parsed) == 0)
                return true;
        kc_v_invalid_str(v, p, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        return false;
}

static bool is_link_local_multicast(const struct kc_ip *ip)
{
        if (ip->family == AF_INET)
                return ip->b[0] == 224 && ip->b[1] == 0 && ip->b[2] == 0;
        return ip->b[0] == 0xff && (ip->b[1] & 0x0f) == 2;
}

void kc_v_ip_not_special(struct kc_v *v, const struct kc_vpath *p, const char *ip)
{
        struct kc_ip parsed;
        if (kc_ip_parse(ip, &parsed) < 0) {
                kc_v_invalid_str(v, p, ip, "must be a valid IP address");
                return;
        }
        if (kc_ip_is_unspecified(&parsed)) {
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("may not be unspecified (%s)", ip);
                kc_v_invalid_str(v, p, ip, detail);
        }
        if (kc_ip_is_loopback(&parsed))
                kc_v_invalid_str(v, p, ip, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
        if (is_link_local_multicast(&parsed))
                kc_v_invalid_str(v, p, ip, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
        else if (kc_ip_is_link_local(&parsed))
                kc_v_invalid_str(v, p, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
}

bool kc_v_cidr(struct kc_v *v, const struct kc_vpath *p, const char *cidr)
{
        struct kc_cidr parsed;
        if (kc_cidr_parse(cidr, &parsed, NULL) == 0)
                return true;
        kc_v_invalid_str(v, p, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
        return false;
}

bool kc_v_dual_stack(const struct json_object *list, const char *key)
{
        size_t n4 = 0, n6 = 0;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *e = kc_json_idx(list, i);
                const char *s = key ? kc_json_str(e, key) : kc_json_as_str(e);
                if (s && strchr(s, ':'))
                        n6++;
                else
                        n4++;
        }
        return n4 == 1 && n6 == 1;
}

static char **sorted_keys(const struct json_object *o)
{
        char **keys = NULL;
        KC_JSON_FOREACH(o, key, value)
        kc_strv_push(&keys, key);
        if (keys)
                kc_strv_sort(keys);
        return keys;
}

void kc_v_labels(struct kc_v *v, const struct kc_vpath *p, const struct json_object *labels)
{
        KC_CLEANUP(kc_strv_freep) char **keys = sorted_keys(labels);
        for (size_t i = 0; keys && keys[i]; i++) {
                kc_v_name(v, p, keys[i], kc_name_label_key);
                kc_v_name(v, p, kc_v_str(labels, keys[i]), kc_name_label_value);
        }
}

void kc_v_annotations(struct kc_v *v, const struct kc_vpath *p, const struct json_object *annotations)
{
        enum { MAX_TOTAL = 256 << 10 };
        KC_CLEANUP(kc_strv_freep) char **keys = sorted_keys(annotations);
        size_t total = 0;
        for (size_t i = 0; keys && keys[i]; i++) {
                total += strlen(keys[i]) + strlen(kc_v_str(annotations, keys[i]));
                KC_CLEANUP(kc_freep) char *lower = kc_strdup(keys[i]);
                for (char *c = lower; *c; c++)
                        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
                struct kc_why why = {0};
                kc_name_label_key(lower, &why);
                for (size_t j = 0; j < why.n; j++)
                        kc_v_invalid_str(v, p, keys[i], why.v[j]);
        }
        if (total > MAX_TOTAL)
                kc_v_too_long(v, p, MAX_TOTAL);
}

static void selector_requirement(struct kc_v *v, const struct kc_vpath *p, const struct json_object *r)
{
        const char *op = kc_v_str(r, "operator");
        const struct json_object *values = kc_json_get(r, "values");
        if (kc_streq(op, "In") || kc_streq(op, "NotIn")) {
                if (kc_json_len(values) == 0)
                        kc_v_required(v, V_CHILD(p, "values"), "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (kc_streq(op, "Exists") || kc_streq(op, "DoesNotExist")) {
                if (kc_json_len(values) > 0)
                        kc_v_forbidden(v, V_CHILD(p, "values"),
                            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        } else {
                kc_v_invalid_str(v, V_CHILD(p, "operator"), op, "not a valid selector operator");
        }
        kc_v_name(v, V_CHILD(p, "key"), kc_v_str(r, "key"), kc_name_label_key);
        for (size_t i = 0; i < kc_json_len(values); i++) {
                const char *s = kc_json_as_str(kc_json_idx(values, i));
                kc_v_name(v, V_INDEX(V_CHILD(p, "values"), i), s ? s : "", kc_name_label_value);
        }
}

void kc_v_label_selector(struct kc_v *v, const struct kc_vpath *p, const struct json_object *selector)
{
        if (!selector)
                return;
        kc_v_labels(v, V_CHILD(p, "matchLabels"), kc_json_get(selector, "matchLabels"));
        const struct json_object *exprs = kc_json_get(selector, "matchExpressions");
        for (size_t i = 0; i < kc_json_len(exprs); i++)
                selector_requirement(v, V_INDEX(V_CHILD(p, "matchExpressions"), i), kc_json_idx(exprs, i));
}

void kc_v_kube_finalizer(struct kc_v *v, const struct kc_vpath *p, const char *name)
{
        static const char *const standard[] = {"kubernetes", "orphan", "foregroundDeletion", NULL};
        if (!strchr(name, '/') && !kc_v_in(name, standard))
                kc_v_invalid_str(v, p, name, "name is neither a standard finalizer name nor is it fully qualified");
}
