/* Disruption budgets, priority classes, quotas. Any thread. */
#include <errno.h>
#include <string.h>

#include "api/quantity.h"
#include "api/selector.h"
#include "base/str.h"
#include "cli/generate/generate.h"

/* --- label selectors. Terms come sorted by key, as the parser of upstream gives them. */

struct term {
        char *key;
        const char *operator_name; /* NULL: an equality */
        char **values;
};

static void term_done(struct term *t)
{
        kc_free(t->key);
        kc_strv_free(t->values);
}

/* One term of the canonical form: "a=b", "a", "!a", "a!=b", "a in (b,c)", "a notin (b,c)". */
static int parse_term(const char *text, struct term *t)
{
        size_t len = strcspn(text, "=!<> ");
        const char *rest = text + len;
        if (text[0] == '!') {
                t->key = kc_strdup(text + 1);
                t->operator_name = "DoesNotExist";
                return 0;
        }
        t->key = kc_strndup(text, len);
        if (!*rest) {
                t->operator_name = "Exists";
        } else if (*rest == '=') {
                kc_strv_push(&t->values, rest + 1 + (rest[1] == '='));
        } else if (kc_str_has_prefix(rest, "!=")) {
                t->operator_name = "NotIn";
                kc_strv_push(&t->values, rest + 2);
        } else if (kc_str_has_prefix(rest, " in (") || kc_str_has_prefix(rest, " notin (")) {
                const char *open = strchr(rest, '(') + 1;
                KC_CLEANUP(kc_freep) char *list = kc_strndup(open, strcspn(open, ")"));
                t->operator_name = rest[1] == 'i' ? "In" : "NotIn";
                t->values = kc_strv_split(list, ',');
        } else {
                return -EINVAL;
        }
        return 0;
}

static void add_term(struct json_object *selector, const struct term *t)
{
        if (!t->operator_name) {
                kc_json_set_str(kc_json_ensure_obj(selector, "matchLabels"), t->key, t->values[0]);
                return;
        }
        struct json_object *e = kc_json_build("{'key':%s,'operator':%s}", t->key, t->operator_name);
        for (char **v = t->values; v && *v; v++)
                kc_json_push_str(kc_json_ensure_arr(e, "values"), *v);
        kc_json_push(kc_json_ensure_arr(selector, "matchExpressions"), e);
}

int kc_generate_label_selector(const char *text, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_selector_freep) struct kc_selector *parsed = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *selector = json_object_new_object();
        int e = kc_selector_parse(text, &parsed, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) char *canonical = kc_selector_format(parsed);
        for (const char *at = canonical; *at;) {
                size_t len = 0;
                for (bool in_list = false; at[len] && (in_list || at[len] != ','); len++)
                        in_list = at[len] == '(' || (in_list && at[len] != ')');
                KC_CLEANUP(kc_freep) char *one = kc_strndup(at, len);
                KC_CLEANUP(term_done) struct term t = {0};
                if (parse_term(one, &t) < 0)
                        return kc_error_set(err, EINVAL, "\"%s\" is not a valid label selector operator", one);
                add_term(selector, &t);
                at += len + (at[len] == ',');
        }
        *ret = KC_TAKE(selector);
        return 0;
}

/* --- PodDisruptionBudgets */

/* "3" or "50%". */
static int set_amount(
    struct json_object *spec, const char *field, const char *flag, const char *text, struct kc_error *err)
{
        int64_t number;
        if (kc_str_empty(text))
                return 0;
        KC_CLEANUP(kc_freep) char *digits = kc_strndup(text, strspn(text, "0123456789"));
        const char *rest = text + strlen(digits);
        if (!digits[0] || (rest[0] && !kc_streq(rest, "%")) || kc_str_to_i64(digits, &number) < 0)
                return kc_error_set(err, EINVAL, "invalid format specified for %s", flag);
        if (rest[0])
                kc_json_set_str(spec, field, text);
        else
                kc_json_set_int(spec, field, number);
        return 0;
}

int kc_generate_disruption_budget(const char *name, const char *selector, const char *min_available,
    const char *max_unavailable, struct json_object **ret, struct kc_error *err)
{
        struct json_object *labels = NULL;
        if (kc_str_empty(selector))
                return kc_error_set(err, EINVAL, "a selector must be specified");
        if (kc_str_empty(max_unavailable) && kc_str_empty(min_available))
                return kc_error_set(err, EINVAL, "one of min-available or max-unavailable must be specified");
        if (!kc_str_empty(min_available) && !kc_str_empty(max_unavailable))
                return kc_error_set(err, EINVAL, "min-available and max-unavailable cannot be both specified");
        int e = kc_generate_label_selector(selector, &labels, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build("{'apiVersion':'policy/v1','kind':'PodDisruptionBudget',"
                                                "'metadata':{'name':%s},'spec':{'selector':%o}}",
            name, labels);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        e = set_amount(spec, "minAvailable", "min-available", min_available, err);
        if (e == 0)
                e = set_amount(spec, "maxUnavailable", "max-unavailable", max_unavailable, err);
        if (e == 0)
                *ret = KC_TAKE(obj);
        return e;
}

/* --- PriorityClasses */

struct json_object *kc_generate_priority_class(
    const char *name, int64_t value, bool global_default, const char *description, const char *preemption_policy)
{
        struct json_object *obj = kc_json_build(
            "{'apiVersion':'scheduling.k8s.io/v1','kind':'PriorityClass','metadata':{'name':%s},'value':%lld,"
            "'preemptionPolicy':%s}",
            name, (long long)value, preemption_policy);
        if (global_default)
                kc_json_set_bool(obj, "globalDefault", true);
        if (!kc_str_empty(description))
                kc_json_set_str(obj, "description", description);
        return obj;
}

/* --- ResourceQuotas */

static int set_hard(struct json_object *spec, const char *hard, struct kc_error *err)
{
        if (kc_str_empty(hard))
                return 0;
        KC_CLEANUP(kc_strv_freep) char **pairs = kc_strv_split(hard, ',');
        for (char **p = pairs; p && *p; p++) {
                struct kc_quantity quantity;
                KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(*p, '=');
                if (kc_strv_len(parts) != 2)
                        return kc_error_set(err, EINVAL, "Invalid argument syntax %s, expected <resource>=<value>", *p);
                if (kc_quantity_parse(parts[1], &quantity) < 0)
                        return kc_error_set(err, EINVAL,
                            "quantities must match the regular expression "
                            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
                kc_json_set_str(kc_json_ensure_obj(spec, "hard"), parts[0], parts[1]);
        }
        return 0;
}

int kc_generate_quota(
    const char *name, const char *hard, const char *scopes, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj =
            kc_json_build("{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':%s},'spec':{}}", name);
        struct json_object *spec = kc_json_get_mut(obj, "spec");
        int e = set_hard(spec, hard, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_strv_freep) char **names = kc_strv_split(scopes ? scopes : "", ',');
        for (char **s = names; s && *s; s++)
                kc_json_push_str(kc_json_ensure_arr(spec, "scopes"), *s);
        *ret = KC_TAKE(obj);
        return 0;
}
