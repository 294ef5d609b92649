/* ResourceQuota, LimitRange, and both as parts of a Namespace. */
#include <string.h>

#include "cli/describe/internal.h"

/* --- quotas */

static const char *scope_help(const char *scope)
{
        static const char *const helps[][2] = {
            {"Terminating",
                "Matches all pods that have an active deadline. These pods have a limited lifespan on a node before "
                "being actively terminated by the system."},
            {"NotTerminating",
                "Matches all pods that do not have an active deadline. These pods usually include long running pods "
                "whose container command is not expected to terminate."},
            {"BestEffort",
                "Matches all pods that do not have resource requirements set. These pods have a best effort quality of "
                "service."},
            {"NotBestEffort",
                "Matches all pods that have at least one resource requirement set. These pods have a burstable or "
                "guaranteed quality of service."}};
        for (size_t i = 0; i < KC_ARRAY_LEN(helps); i++)
                if (kc_streq(scope, helps[i][0]))
                        return helps[i][1];
        return NULL;
}

static char **scopes_of(const struct json_object *quota)
{
        const struct json_object *list = kc_json_at(quota, "spec.scopes");
        char **scopes = NULL;
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_strv_push(&scopes, kc_json_as_str(kc_json_idx(list, i)));
        if (scopes)
                kc_strv_sort(scopes);
        return scopes;
}

/* level: of all but the name. */
static void describe_quota(struct kc_describing *d, int level, const struct json_object *quota, const char *rule)
{
        const struct json_object *hard = kc_json_at(quota, "status.hard"), *used = kc_json_at(quota, "status.used");
        KC_CLEANUP(kc_strv_freep) char **scopes = scopes_of(quota);
        KC_CLEANUP(kc_strv_freep) char **names = kc_sorted_keys(hard);
        if (scopes) {
                KC_CLEANUP(kc_freep) char *text = kc_strv_join(scopes, ", ");
                kc_line(d, level, "Scopes:\t%s\n", text);
        }
        for (char **s = scopes; s && *s; s++)
                if (scope_help(*s))
                        kc_line(d, level, "%s* %s\n", level ? "" : " ", scope_help(*s));
        kc_line(d, level, "Resource\tUsed\tHard\n");
        kc_line(d, level, "--------\t%s\t%s\n", rule, rule);
        for (char **n = names; n && *n; n++) {
                KC_CLEANUP(kc_freep) char *h = kc_quantity_words(hard, *n);
                KC_CLEANUP(kc_freep) char *u = kc_quantity_words(used, *n);
                kc_line(d, level, "%s\t%s\t%s\n", *n, u, h);
        }
}

int kc_describe_resource_quota(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        kc_describe_name(d);
        kc_describe_namespace(d);
        describe_quota(d, 0, d->obj, "----");
        return 0;
}

void kc_describe_quotas_of_namespace(struct kc_describing *d, const struct json_object *quotas)
{
        KC_CLEANUP(kc_freep) size_t *order = kc_order_by(quotas, "metadata.name");
        kc_line(d, 0, kc_json_len(quotas) ? "Resource Quotas\n" : "No resource quota.\n");
        for (size_t i = 0; i < kc_json_len(quotas); i++) {
                const struct json_object *q = kc_json_idx(quotas, order[i]);
                kc_line(d, 1, "Name:\t%s\n", kc_meta_name(q));
                describe_quota(d, 1, q, "---");
        }
}

/* --- limits */

static void describe_limit(struct kc_describing *d, const struct json_object *limit, const char *indent)
{
        static const char *const columns[] = {"min", "max", "defaultRequest", "default", "maxLimitRequestRatio"};
        KC_CLEANUP(kc_strv_freep) char **names = NULL;
        for (size_t i = 0; i < KC_ARRAY_LEN(columns); i++)
                KC_JSON_FOREACH(kc_json_get(limit, columns[i]), key, val)
                {
                        (void)val;
                        kc_strv_push(&names, key);
                }
        if (names)
                kc_strv_sort_uniq(names);
        for (char **n = names; n && *n; n++) {
                kc_line(d, 0, "%s%s\t%s", indent, kc_text(limit, "type"), *n);
                for (size_t i = 0; i < KC_ARRAY_LEN(columns); i++) {
                        const struct json_object *list = kc_json_get(limit, columns[i]);
                        KC_CLEANUP(kc_freep) char *q = kc_quantity_words(list, *n);
                        kc_line(d, 0, "\t%s", kc_json_get(list, *n) ? q : "-");
                }
                kc_line(d, 0, "\n");
        }
}

static void describe_head(struct kc_describing *d, const char *indent)
{
        kc_line(d, 0, "%sType\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n", indent);
        kc_line(d, 0, "%s----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n", indent);
}

static void describe_range(struct kc_describing *d, const struct json_object *range, const char *indent)
{
        const struct json_object *limits = kc_json_at(range, "spec.limits");
        for (size_t i = 0; i < kc_json_len(limits); i++)
                describe_limit(d, kc_json_idx(limits, i), indent);
}

int kc_describe_limit_range(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        kc_describe_name(d);
        kc_describe_namespace(d);
        describe_head(d, "");
        describe_range(d, d->obj, "");
        return 0;
}

void kc_describe_limits_of_namespace(struct kc_describing *d, const struct json_object *ranges)
{
        if (kc_json_len(ranges) == 0) {
                kc_line(d, 0, "No LimitRange resource.\n");
                return;
        }
        kc_line(d, 0, "Resource Limits\n");
        describe_head(d, " ");
        for (size_t i = 0; i < kc_json_len(ranges); i++)
                describe_range(d, kc_json_idx(ranges, i), " ");
}
