/* Label selectors: requirements, matching and canonical text. The parser is in selector_parse.c, field selectors are in
 * field_selector.c. */
#include <stdio.h>
#include <string.h>

#include "api/names.h"
#include "api/selector_internal.h"
#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"

void kc_selector_free(struct kc_selector *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].key);
                kc_strv_free(s->v[i].values);
        }
        kc_free(s->v);
        kc_free(s);
}

static void append_take(
    struct kc_selector *s, char *take_key, enum kc_selector_op op, char **take_values, int64_t number)
{
        s->v = kc_reallocarray(s->v, s->n + 1, sizeof(*s->v));
        s->v[s->n++] = (struct kc_requirement){.key = take_key, .op = op, .values = take_values, .number = number};
}

/* The values as a JSON array, as a message shows them. */
static void invalid_values(struct kc_field_errors *l, char *const *values, const char *detail)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = json_object_new_array();
        for (size_t i = 0; values && values[i]; i++)
                kc_json_push_str(list, values[i]);
        kc_field_invalid(l, "values", list, detail);
}

static void check_values(
    struct kc_field_errors *l, const char *key, enum kc_selector_op op, char *const *values, int64_t *ret_number)
{
        size_t n = kc_strv_len(values);
        char path[32];
        switch (op) {
        case KC_SELECTOR_IN:
        case KC_SELECTOR_NOT_IN:
                if (n == 0)
                        invalid_values(l, values, "for 'in', 'notin' operators, values set can't be empty");
                break;
        case KC_SELECTOR_EQUALS:
        case KC_SELECTOR_DOUBLE_EQUALS:
        case KC_SELECTOR_NOT_EQUALS:
                if (n != 1)
                        invalid_values(l, values, "exact-match compatibility requires one single value");
                break;
        case KC_SELECTOR_EXISTS:
        case KC_SELECTOR_NOT_EXISTS:
                if (n != 0)
                        invalid_values(l, values, "values set must be empty for exists and does not exist");
                break;
        case KC_SELECTOR_GREATER:
        case KC_SELECTOR_LESS:
                if (n != 1)
                        invalid_values(l, values, "for 'Gt', 'Lt' operators, exactly one value is required");
                for (size_t i = 0; i < n; i++) {
                        snprintf(path, sizeof(path), "values[%zu]", i);
                        if (kc_str_to_i64(values[i], ret_number) < 0)
                                kc_field_invalid_str(
                                    l, path, values[i], "for 'Gt', 'Lt' operators, the value must be an integer");
                }
                break;
        }
        for (size_t i = 0; i < n; i++) {
                struct kc_why why = {0};
                kc_name_label_value(values[i], &why);
                if (!why.n)
                        continue;
                KC_CLEANUP(kc_freep) char *text = kc_why_join(&why, "; ");
                KC_CLEANUP(kc_freep) char *at = kc_asprintf("values[%zu][%s]", i, key);
                kc_field_invalid_str(l, at, values[i], text);
        }
}

int kc_selector_add(struct kc_selector *s, const char *key, enum kc_selector_op op, char **take_values,
    const char *prefix, struct kc_error *err)
{
        struct kc_field_errors errors = {0};
        int64_t number = 0;
        struct kc_why why = {0};
        kc_name_label_key(key, &why);
        if (why.n) {
                KC_CLEANUP(kc_freep) char *text = kc_why_join(&why, "; ");
                kc_field_invalid_str(&errors, "key", key, text);
        }
        if (take_values)
                kc_strv_sort_uniq(take_values);
        check_values(&errors, key, op, take_values, &number);
        if (errors.n == 0) {
                append_take(s, kc_strdup(key), op, take_values, number);
                return 0;
        }
        kc_strv_free(take_values);
        KC_CLEANUP(kc_freep) char *text = kc_field_errors_text(&errors);
        kc_field_errors_done(&errors);
        return kc_err_bad_request(err, "%s%s", prefix, text);
}

void kc_selector_sort(struct kc_selector *s)
{
        /* Few and mostly in order; stable, so that the text of a selector is deterministic. */
        for (size_t i = 1; i < s->n; i++) {
                struct kc_requirement r = s->v[i];
                size_t j = i;
                for (; j > 0 && strcmp(s->v[j - 1].key, r.key) > 0; j--)
                        s->v[j] = s->v[j - 1];
                s->v[j] = r;
        }
}

static int add_expression(struct kc_selector *s, const struct json_object *e, struct kc_error *err)
{
        static const struct {
                const char *text;
                enum kc_selector_op op;
        } ops[] = {{"In", KC_SELECTOR_IN}, {"NotIn", KC_SELECTOR_NOT_IN}, {"Exists", KC_SELECTOR_EXISTS},
            {"DoesNotExist", KC_SELECTOR_NOT_EXISTS}};
        const char *key = kc_json_str(e, "key"), *op = kc_json_str(e, "operator");
        const struct json_object *list = kc_json_get(e, "values");
        for (size_t i = 0; i < KC_ARRAY_LEN(ops); i++) {
                if (!kc_streq(op, ops[i].text))
                        continue;
                char **values = NULL;
                for (size_t j = 0; j < kc_json_len(list); j++) {
                        const char *v = kc_json_as_str(kc_json_idx(list, j));
                        kc_strv_push(&values, v ? v : "");
                }
                return kc_selector_add(s, key ? key : "", ops[i].op, values, "", err);
        }
        return kc_err_bad_request(err, "\"%s\" is not a valid label selector operator", op ? op : "");
}

int kc_selector_from_label_selector(const struct json_object *sel, struct kc_selector **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *s = KC_NEW(struct kc_selector);
        s->nothing = sel == NULL;
        KC_JSON_FOREACH(kc_json_get(sel, "matchLabels"), key, value)
        {
                const char *v = kc_json_as_str(value);
                char **values = NULL;
                kc_strv_push(&values, v ? v : "");
                int r = kc_selector_add(s, key, KC_SELECTOR_EQUALS, values, "", err);
                if (r < 0)
                        return r;
        }
        const struct json_object *exprs = kc_json_get(sel, "matchExpressions");
        for (size_t i = 0; i < kc_json_len(exprs); i++) {
                int r = add_expression(s, kc_json_idx(exprs, i), err);
                if (r < 0)
                        return r;
        }
        kc_selector_sort(s);
        *ret = KC_TAKE(s);
        return 0;
}

struct kc_selector *kc_selector_from_map(const struct json_object *map)
{
        struct kc_selector *s = KC_NEW(struct kc_selector);
        KC_JSON_FOREACH(map, key, value)
        {
                const char *v = kc_json_as_str(value);
                char **values = NULL;
                kc_strv_push(&values, v ? v : "");
                append_take(s, kc_strdup(key), KC_SELECTOR_EQUALS, values, 0);
        }
        kc_selector_sort(s);
        return s;
}

static bool requirement_matches(const struct kc_requirement *r, const struct json_object *labels)
{
        const char *v = kc_json_str(labels, r->key);
        int64_t number;
        switch (r->op) {
        case KC_SELECTOR_IN:
        case KC_SELECTOR_EQUALS:
        case KC_SELECTOR_DOUBLE_EQUALS:
                return v && kc_strv_has(r->values, v);
        case KC_SELECTOR_NOT_IN:
        case KC_SELECTOR_NOT_EQUALS:
                return !v || !kc_strv_has(r->values, v);
        case KC_SELECTOR_EXISTS:
                return v != NULL;
        case KC_SELECTOR_NOT_EXISTS:
                return v == NULL;
        case KC_SELECTOR_GREATER:
                return v && kc_str_to_i64(v, &number) == 0 && number > r->number;
        case KC_SELECTOR_LESS:
                return v && kc_str_to_i64(v, &number) == 0 && number < r->number;
        }
        return false;
}

bool kc_selector_matches(const struct kc_selector *s, const struct json_object *labels)
{
        if (s->nothing)
                return false;
        for (size_t i = 0; i < s->n; i++) {
                if (!requirement_matches(&s->v[i], labels))
                        return false;
        }
        return true;
}

bool kc_selector_is_everything(const struct kc_selector *s)
{
        return !s->nothing && s->n == 0;
}

char *kc_selector_format(const struct kc_selector *s)
{
        static const struct {
                const char *before, *between, *after; /* the key; the values */
        } forms[] = {
            [KC_SELECTOR_IN] = {"", " in (", ")"},
            [KC_SELECTOR_NOT_IN] = {"", " notin (", ")"},
            [KC_SELECTOR_EQUALS] = {"", "=", ""},
            [KC_SELECTOR_DOUBLE_EQUALS] = {"", "==", ""},
            [KC_SELECTOR_NOT_EQUALS] = {"", "!=", ""},
            [KC_SELECTOR_EXISTS] = {"", "", ""},
            [KC_SELECTOR_NOT_EXISTS] = {"!", "", ""},
            [KC_SELECTOR_GREATER] = {"", ">", ""},
            [KC_SELECTOR_LESS] = {"", "<", ""},
        };
        struct kc_buf b = KC_BUF_INIT;
        for (size_t i = 0; i < s->n; i++) {
                const struct kc_requirement *r = &s->v[i];
                KC_CLEANUP(kc_freep) char *values = kc_strv_join(r->values, ",");
                kc_buf_addf(&b, "%s%s%s%s%s%s", i ? "," : "", forms[r->op].before, r->key, forms[r->op].between, values,
                    forms[r->op].after);
        }
        return kc_buf_take_str(&b);
}

struct json_object *kc_selector_requirements(const struct kc_selector *s)
{
        static const char *const operators[] = {
            [KC_SELECTOR_IN] = "In",
            [KC_SELECTOR_NOT_IN] = "NotIn",
            [KC_SELECTOR_EQUALS] = "In",
            [KC_SELECTOR_DOUBLE_EQUALS] = "In",
            [KC_SELECTOR_NOT_EQUALS] = "NotIn",
            [KC_SELECTOR_EXISTS] = "Exists",
            [KC_SELECTOR_NOT_EXISTS] = "DoesNotExist",
            [KC_SELECTOR_GREATER] = NULL,
            [KC_SELECTOR_LESS] = NULL,
        };
        struct json_object *list = json_object_new_array();
        for (size_t i = 0; i < s->n; i++) {
                const struct kc_requirement *r = &s->v[i];
                if (!operators[r->op])
                        continue;
                struct json_object *o = kc_json_build("{'key':%s,'operator':%s}", r->key, operators[r->op]);
                for (char **v = r->values; v && *v; v++)
                        kc_json_push_str(kc_json_ensure_arr(o, "values"), *v);
                kc_json_push(list, o);
        }
        return list;
}
