/* Values as kubectl's describe words them, and the blocks that many kinds have. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/quantity.h"
#include "api/selector.h"
#include "base/clock.h"
#include "cli/describe/internal.h"
#include "json/jsonpath.h"

enum { MAX_ANNOTATION = 140 };
#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

const char *kc_text(const struct json_object *o, const char *path)
{
        const char *s = kc_json_str_at(o, path);
        return s ? s : "";
}

const char *kc_bool_word(bool b)
{
        return b ? "true" : "false";
}

const char *kc_bool_title(bool b)
{
        return b ? "True" : "False";
}

char *kc_time_words(const char *rfc3339)
{
        kc_time t;
        if (!rfc3339)
                return kc_strdup("Mon, 01 Jan 0001 00:00:00 +0000"); /* as Go words the zero time */
        if (kc_time_parse(rfc3339, &t) < 0)
                return kc_strdup(rfc3339);
        time_t seconds = (time_t)(t / KC_SEC);
        struct tm tm;
        char buf[64];
        (void)localtime_r(&seconds, &tm);
        (void)strftime(buf, sizeof(buf), "%a, %d %b %Y %H:%M:%S %z", &tm);
        return kc_strdup(buf);
}

const char *kc_since(const char *rfc3339, char *buf)
{
        kc_time t;
        if (!rfc3339 || kc_time_parse(rfc3339, &t) < 0)
                return "<unknown>";
        return kc_duration_human(kc_clock_now(NULL) - t, buf);
}

char *kc_scalar(const struct json_object *o)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (o)
                kc_jsonpath_value_text(o, &b);
        return kc_buf_take_str(&b);
}

char *kc_joined(const struct json_object *list, const char *separator)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                KC_CLEANUP(kc_freep) char *s = kc_scalar(kc_json_idx(list, i));
                kc_buf_addf(&b, "%s%s", i ? separator : "", s);
        }
        return kc_buf_take_str(&b);
}

char *kc_bracketed(const struct json_object *list)
{
        KC_CLEANUP(kc_freep) char *s = kc_joined(list, " ");
        return kc_asprintf("[%s]", s);
}

char **kc_sorted_keys(const struct json_object *o)
{
        char **keys = NULL;
        KC_JSON_FOREACH(o, key, val)
        {
                (void)val;
                kc_strv_push(&keys, key);
        }
        if (keys)
                kc_strv_sort(keys);
        return keys;
}

char *kc_quantity_words(const struct json_object *resources, const char *name)
{
        struct kc_quantity q;
        char buf[KC_QUANTITY_LEN];
        const char *s = kc_json_str(resources, name);
        if (!s || kc_quantity_parse(s, &q) < 0)
                return kc_strdup(s ? s : "0");
        return kc_strdup(kc_quantity_format(&q, buf));
}

char *kc_label_selector_words(const struct json_object *selector)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = NULL;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (!selector)
                return kc_strdup("<none>");
        if (kc_selector_from_label_selector(selector, &s, &why) < 0)
                return kc_strdup("<error>");
        KC_CLEANUP(kc_freep) char *text = kc_selector_format(s);
        return text[0] ? KC_TAKE(text) : kc_strdup("<none>");
}

char *kc_labels_words(const struct json_object *labels)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(labels);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (!keys)
                return kc_strdup("<none>");
        for (char **k = keys; *k; k++) {
                const char *value = kc_json_str(labels, *k);
                kc_buf_addf(&b, "%s%s=%s", k == keys ? "" : ",", *k, value ? value : "");
        }
        return kc_buf_take_str(&b);
}

size_t *kc_order_by(const struct json_object *array, const char *path)
{
        size_t n = kc_json_len(array);
        size_t *order = kc_calloc(n + 1, sizeof(*order));
        for (size_t i = 0; i < n; i++) {
                const char *key = kc_text(kc_json_idx(array, i), path);
                size_t at = i;
                for (; at > 0 && strcmp(kc_text(kc_json_idx(array, order[at - 1]), path), key) > 0; at--)
                        order[at] = order[at - 1];
                order[at] = i;
        }
        return order;
}

char *kc_access_modes_words(const struct json_object *modes)
{
        static const char *const names[][2] = {
            {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++)
                for (size_t j = 0; j < kc_json_len(modes); j++)
                        if (kc_streq(kc_json_as_str(kc_json_idx(modes, j)), names[i][0])) {
                                kc_buf_addf(&b, "%s%s", b.len ? "," : "", names[i][1]);
                                break;
                        }
        return kc_buf_take_str(&b);
}

/* --- blocks */

void kc_describe_name(struct kc_describing *d)
{
        kc_line(d, 0, "Name:\t%s\n", kc_text(d->obj, "metadata.name"));
}

void kc_describe_namespace(struct kc_describing *d)
{
        kc_line(d, 0, "Namespace:\t%s\n", kc_text(d->obj, "metadata.namespace"));
}

void kc_describe_labels(struct kc_describing *d, const char *title, const struct json_object *labels)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(labels);
        kc_line(d, 0, "%s:\t%s", title, keys ? "" : "<none>\n");
        for (char **k = keys; k && *k; k++)
                kc_line(d, 0, "%s%s=%s\n", k == keys ? "" : "\t", *k, kc_json_str(labels, *k));
}

static void add_annotation(struct kc_describing *d, const char *key, const char *value)
{
        KC_CLEANUP(kc_freep) char *text = kc_strdup(value ? value : "");
        size_t len = strlen(text);
        if (len > 0 && text[len - 1] == '\n')
                text[--len] = '\0';
        if (len + strlen(key) + 2 <= MAX_ANNOTATION && !strchr(text, '\n')) {
                kc_line(d, 0, "%s: %s\n", key, text);
                return;
        }
        kc_line(d, 0, "%s:\n", key);
        KC_CLEANUP(kc_strv_freep) char **lines = kc_strv_split(text, '\n');
        for (char **l = lines; *l; l++) {
                bool cut = strlen(*l) > MAX_ANNOTATION - 2;
                kc_line(d, 0, "\t  %.*s%s\n", MAX_ANNOTATION - 2, *l, cut ? "..." : "");
        }
}

void kc_describe_annotations(struct kc_describing *d, const char *title, const struct json_object *annotations)
{
        KC_CLEANUP(kc_strv_freep) char **keys = kc_sorted_keys(annotations);
        if (keys)
                (void)kc_strv_remove(keys, LAST_APPLIED);
        kc_line(d, 0, "%s:\t%s", title, kc_strv_len(keys) ? "" : "<none>\n");
        for (char **k = keys; k && *k; k++) {
                if (k != keys)
                        kc_line(d, 0, "\t");
                add_annotation(d, *k, kc_json_str(annotations, *k));
        }
}

void kc_describe_meta(struct kc_describing *d)
{
        kc_describe_labels(d, "Labels", kc_json_at(d->obj, "metadata.labels"));
        kc_describe_annotations(d, "Annotations", kc_json_at(d->obj, "metadata.annotations"));
}

void kc_describe_controller(struct kc_describing *d)
{
        const struct json_object *ref = kc_meta_controller_ref(d->obj);
        if (ref)
                kc_line(d, 0, "Controlled By:\t%s/%s\n", kc_text(ref, "kind"), kc_text(ref, "name"));
}
