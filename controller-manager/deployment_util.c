/* Numbers, hashes, annotations and conditions of Deployments. Pure functions. */
#include <string.h>

#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"
#include "controller-manager/deployment_internal.h"

int64_t kc_replicas(const struct json_object *o)
{
        return kc_json_int_at(o, "spec.replicas", 1);
}

int64_t kc_status_int(const struct json_object *o, const char *field)
{
        return kc_json_int(kc_json_get(o, "status"), field, 0);
}

bool kc_is_rolling(const struct json_object *d)
{
        return kc_streq(kc_json_str_at(d, "spec.strategy.type"), "RollingUpdate");
}

/* An integer or "25%" of total. */
static int64_t scaled(const struct json_object *v, int64_t total, bool up)
{
        const char *text = kc_json_as_str(v);
        KC_CLEANUP(kc_freep) char *digits = NULL;
        int64_t percent;

        if (!text)
                return json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : 0;
        digits = kc_strndup(text, strcspn(text, "%"));
        if (kc_str_to_i64(digits, &percent) < 0)
                return 0;
        return up ? (percent * total + 99) / 100 : percent * total / 100;
}

static void fenceposts(const struct json_object *d, int64_t *ret_surge, int64_t *ret_unavailable)
{
        const struct json_object *r = kc_json_at(d, "spec.strategy.rollingUpdate");

        *ret_surge = scaled(kc_json_get(r, "maxSurge"), kc_replicas(d), true);
        *ret_unavailable = scaled(kc_json_get(r, "maxUnavailable"), kc_replicas(d), false);
        /* Both zero by rounding would never get anywhere. */
        if (*ret_surge == 0 && *ret_unavailable == 0)
                *ret_unavailable = 1;
}

int64_t kc_max_surge(const struct json_object *d)
{
        int64_t surge, unavailable;
        if (!kc_is_rolling(d))
                return 0;
        fenceposts(d, &surge, &unavailable);
        return surge;
}

int64_t kc_max_unavailable(const struct json_object *d)
{
        int64_t surge, unavailable;
        if (!kc_is_rolling(d) || kc_replicas(d) == 0)
                return 0;
        fenceposts(d, &surge, &unavailable);
        return KC_MIN(unavailable, kc_replicas(d));
}

bool kc_is_active_set(const struct json_object *rs)
{
        return kc_replicas(rs) > 0;
}

static struct json_object *without_hash(const struct json_object *pod_template)
{
        struct json_object *t = kc_json_copy(pod_template), *labels = kc_json_at_mut(t, "metadata.labels");

        if (labels)
                kc_json_del(labels, KC_TEMPLATE_HASH);
        if (labels && kc_json_n_keys(labels) == 0)
                kc_json_del(kc_json_get_mut(t, "metadata"), "labels");
        return t;
}

bool kc_template_equal(const struct json_object *a, const struct json_object *b)
{
        KC_CLEANUP(kc_json_freep) struct json_object *x = without_hash(a), *y = without_hash(b);
        return kc_json_equal(x, y);
}

char *kc_template_hash(const struct json_object *pod_template, int64_t collisions)
{
        struct kc_buf b = KC_BUF_INIT;

        kc_json_write_sorted(&b, pod_template);
        if (collisions)
                kc_buf_addf(&b, "%lld", (long long)collisions);
        uint32_t hash = kc_fnv32a(b.data, b.len);
        kc_buf_done(&b);
        return kc_safe_encode(hash);
}

int64_t kc_revision(const struct json_object *o)
{
        const char *text = kc_meta_annotation(o, KC_REVISION);
        int64_t v;
        return text && kc_str_to_i64(text, &v) == 0 ? v : 0;
}

int64_t kc_sum_replicas(const struct kc_dsync *s, bool old_only)
{
        int64_t sum = 0;
        for (size_t i = 0; i < s->n; i++)
                if (!old_only || (int)i != s->new_set)
                        sum += kc_replicas(s->sets[i]);
        return sum;
}

int64_t kc_sum_status(const struct kc_dsync *s, const char *field)
{
        int64_t sum = 0;
        for (size_t i = 0; i < s->n; i++)
                sum += kc_status_int(s->sets[i], field);
        return sum;
}

static bool set_annotation(struct json_object *o, const char *key, const char *value)
{
        if (kc_streq(kc_meta_annotation(o, key), value))
                return false;
        kc_meta_set_annotation(o, key, value);
        return true;
}

bool kc_set_replicas_annotations(struct json_object *rs, int64_t desired, int64_t max)
{
        KC_CLEANUP(kc_freep)
        char *d = kc_asprintf("%lld", (long long)desired), *m = kc_asprintf("%lld", (long long)max);
        bool changed = set_annotation(rs, KC_DESIRED, d);
        return set_annotation(rs, KC_MAX_REPLICAS, m) || changed;
}

bool kc_copy_annotations(struct json_object *rs, const struct json_object *d)
{
        static const char *const skipped[] = {"kubectl.kubernetes.io/last-applied-configuration", KC_REVISION,
            KC_REVISION_HISTORY, KC_DESIRED, KC_MAX_REPLICAS, "deprecated.deployment.rollback.to"};
        bool changed = false;

        KC_JSON_FOREACH(kc_json_at(d, "metadata.annotations"), key, value)
        {
                bool skip = false;
                for (size_t i = 0; i < KC_ARRAY_LEN(skipped) && !skip; i++)
                        skip = kc_streq(skipped[i], key);
                if (!skip)
                        changed |= set_annotation(rs, key, kc_json_as_str(value));
        }
        return changed;
}

void kc_deployment_condition(
    struct json_object *status, const char *type, const char *value, const char *reason, const char *message)
{
        const struct json_object *have = kc_condition_get(status, type);
        char now[KC_TIME_LEN];
        bool same_status = kc_streq(kc_json_str(have, "status"), value);
        KC_CLEANUP(kc_freep) char *since = kc_strdup(kc_json_str(have, "lastTransitionTime"));

        if (same_status && kc_streq(kc_json_str(have, "reason"), reason) &&
            kc_streq(kc_json_str(have, "message"), message))
                return;
        kc_time_format(kc_clock_now(NULL), now);
        kc_condition_remove(status, type);
        kc_json_push(kc_json_ensure_arr(status, "conditions"),
            kc_json_build(
                "{'type':%s,'status':%s,'lastUpdateTime':%s,'lastTransitionTime':%s,'reason':%s,'message':%s}", type,
                value, now, same_status && since ? since : now, reason, message));
}

void kc_condition_remove(struct json_object *status, const char *type)
{
        struct json_object *list = kc_json_get_mut(status, "conditions");
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (kc_streq(kc_json_str(kc_json_idx(list, i), "type"), type)) {
                        json_object_array_del_idx(list, i, 1);
                        return;
                }
}
