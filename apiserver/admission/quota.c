/* ResourceQuota: what is created, or grows, must fit into the quotas of its namespace and is charged to them at once;
 * the controller finds out what has become free (upstream's plugin/resourcequota). Worker threads. */
#include "api/quota.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "api/status.h"
#include "base/map.h"
#include "base/str.h"

/* Requests of one namespace are charged one after the other: against each other they would only conflict. The locks are
 * the outermost; under them the store is written to. */
enum { N_LOCKS = 64 };
static pthread_mutex_t locks[N_LOCKS] = {[0 ... N_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

static void unlock(pthread_mutex_t **m)
{
        pthread_mutex_unlock(*m);
}

/* One request and what it costs. */
struct charge {
        const struct kc_admission_attrs *a;
        const char *group, *resource;
        struct json_object *delta; /* amounts; what does not change is left out */
};

/* --- One quota */

static bool is_tracked(const struct charge *c, const struct json_object *quota)
{
        KC_JSON_FOREACH(kc_json_at(quota, "status.hard"), name, value)
        {
                (void)value; /* only the names */
                if (kc_quota_counts(c->group, c->resource, name))
                        return kc_quota_scopes_match(quota, c->group, c->resource, c->a->obj);
        }
        return false;
}

/* "a=1,b=2", sorted: the amounts of those names. */
static char *shown(const struct json_object *amounts, char *const *names)
{
        KC_CLEANUP(kc_strv_freep) char **parts = NULL;
        for (size_t i = 0; names[i]; i++) {
                const char *v = kc_json_str(amounts, names[i]);
                if (v)
                        kc_strv_pushf(&parts, "%s=%s", names[i], v);
        }
        return parts ? kc_strv_join(parts, ",") : kc_strdup("");
}

/* What the quota demands of the object, and that the controller has counted what there is. */
static int check_demands(const struct charge *c, const struct json_object *quota, struct kc_error *err)
{
        const struct json_object *hard = kc_json_at(quota, "status.hard"), *used = kc_json_at(quota, "status.used");
        KC_CLEANUP(kc_freep) char *unmet = kc_quota_unmet(hard, c->group, c->resource, c->a->obj);
        KC_CLEANUP(kc_strv_freep) char **tracked = NULL;
        bool known = true;
        if (unmet)
                return adm_forbidden(err, c->a, "failed quota: %s: %s", kc_meta_name(quota), unmet);
        KC_JSON_FOREACH(hard, name, value)
        {
                (void)value; /* only the names */
                if (!kc_quota_counts(c->group, c->resource, name))
                        continue;
                kc_strv_push(&tracked, name);
                known = known && kc_json_get(used, name);
        }
        if (known)
                return 0;
        kc_strv_sort(tracked);
        KC_CLEANUP(kc_freep) char *names = kc_strv_join(tracked, ",");
        return adm_forbidden(err, c->a, "status unknown for quota: %s, resources: %s", kc_meta_name(quota), names);
}

/* *ret: what is used afterwards, or NULL when nothing of it is the quota's. */
static int compute_used(
    const struct charge *c, const struct json_object *quota, struct json_object **ret, struct kc_error *err)
{
        const struct json_object *hard = kc_json_at(quota, "status.hard"), *before = kc_json_at(quota, "status.used");
        KC_CLEANUP(kc_json_freep) struct json_object *used = before ? kc_json_copy(before) : json_object_new_object();
        KC_CLEANUP(kc_strv_freep) char **exceeded = NULL;
        bool concerned = false;
        kc_amounts_add(used, c->delta, hard);
        KC_JSON_FOREACH(c->delta, name, value)
        {
                (void)value; /* only the names */
                concerned = concerned || kc_json_get(hard, name);
                if (kc_json_get(hard, name) && kc_amounts_cmp(used, hard, name) > 0)
                        kc_strv_push(&exceeded, name);
        }
        *ret = NULL;
        if (!exceeded) {
                if (concerned)
                        *ret = KC_TAKE(used);
                return 0;
        }
        kc_strv_sort(exceeded);
        KC_CLEANUP(kc_freep) char *requested = shown(c->delta, exceeded);
        KC_CLEANUP(kc_freep) char *have = shown(before, exceeded);
        KC_CLEANUP(kc_freep) char *limited = shown(hard, exceeded);
        return adm_forbidden(err, c->a, "exceeded quota: %s, requested: %s, used: %s, limited: %s", kc_meta_name(quota),
            requested, have, limited);
}

/* Of the registry, on the quota as it is at the time of the write. */
static int charge_quota(struct json_object *quota, void *arg, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *used = NULL;
        int r = compute_used(arg, quota, &used, err);
        if (r < 0)
                return r;
        if (!used)
                return -EALREADY;
        kc_json_set(kc_json_ensure_obj(quota, "status"), "used", KC_TAKE(used));
        return 0;
}

/* --- All of a namespace */

/* All are looked at before the first one is charged. */
static int charge_all(struct kc_admission *adm, struct charge *c, const struct kc_objects *quotas, struct kc_error *err)
{
        const struct kc_resources *rs = kc_admission_resources(adm);
        int r = 0;
        for (size_t i = 0; i < quotas->n && r == 0; i++) {
                KC_CLEANUP(kc_object_unrefp) struct kc_object *now = NULL;
                KC_CLEANUP(kc_json_freep) struct json_object *used = NULL;
                r = kc_resources_get_live(rs, "", "resourcequotas", c->a->ns, kc_object_name(quotas->v[i]), &now, err);
                if (r == 0)
                        r = compute_used(c, kc_object_json(now), &used, err);
                else if (kc_error_is(err, KC_REASON_NOT_FOUND))
                        r = 0;
        }
        for (size_t i = 0; i < quotas->n && r == 0 && !c->a->dry_run; i++) {
                kc_error_done(err);
                r = kc_admission_change(
                    adm, "", "resourcequotas", "status", c->a->ns, kc_object_name(quotas->v[i]), charge_quota, c, err);
                if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND))
                        r = 0; /* deleted meanwhile */
        }
        if (r == 0)
                kc_error_done(err);
        return r;
}

/* What the request uses more, or less, than there was. */
static struct json_object *delta_of(const struct charge *c)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *all = kc_quota_usage(c->group, c->resource, c->a->obj, c->a->now);
        struct json_object *delta = json_object_new_object();
        if (c->a->op == KC_ADMIT_UPDATE && c->a->old) {
                KC_CLEANUP(kc_json_freep)
                struct json_object *old = kc_quota_usage(c->group, c->resource, c->a->old, c->a->now);
                kc_amounts_sub(all, old);
        }
        KC_JSON_FOREACH(all, name, value)
        {
                if (!kc_amounts_is_zero(all, name))
                        kc_json_set(delta, name, kc_json_copy(value));
        }
        return delta;
}

static int check(struct kc_admission *adm, struct charge *c, const struct kc_objects *all, struct kc_error *err)
{
        struct kc_objects concerned = {0};
        int r = 0;
        for (size_t i = 0; i < all->n && r == 0; i++) {
                const struct json_object *quota = kc_object_json(all->v[i]);
                if (!is_tracked(c, quota))
                        continue;
                r = check_demands(c, quota, err);
                kc_objects_push_take(&concerned, kc_object_ref(all->v[i]));
        }
        if (r == 0 && concerned.n > 0)
                c->delta = delta_of(c);
        if (r == 0 && kc_json_n_keys(c->delta) > 0) {
                pthread_mutex_t *lock = &locks[kc_hash_bytes(c->a->ns, strlen(c->a->ns)) % N_LOCKS];
                KC_CLEANUP(unlock) pthread_mutex_t *held = lock;
                pthread_mutex_lock(held);
                r = charge_all(adm, c, &concerned, err);
        }
        kc_json_free(c->delta);
        kc_objects_done(&concerned);
        return r;
}

/* Most kinds cost something when they are made; what these cost may also change. */
static bool concerns(const struct kc_admission_attrs *a)
{
        static const char *const changing[] = {"services", "persistentvolumeclaims", NULL};
        bool core = a->row->group[0] == '\0';
        if (!a->ns[0] || (core && strcmp(a->row->resource, "namespaces") == 0) ||
            kc_quota_ignores(a->row->group, a->row->resource))
                return false;
        if (a->op == KC_ADMIT_CREATE)
                return a->subresource[0] == '\0';
        return adm_is_sub(a, "", "pods", "resize") ||
               (core && a->subresource[0] == '\0' && kc_strv_has((char *const *)changing, a->row->resource));
}

ADM_VALIDATE(adm_resource_quota)
{
        struct charge c = {.a = a, .group = a->row->group, .resource = a->row->resource};
        KC_CLEANUP(kc_error_done) struct kc_error own = KC_ERROR_INIT;
        struct kc_error *e = err ? err : &own; /* its reason decides */
        struct kc_objects quotas = {0};
        if (!concerns(a))
                return 0;
        int r = kc_resources_list(kc_admission_resources(adm), "", "resourcequotas", a->ns, NULL, &quotas, e);
        if (r == 0 && quotas.n > 0)
                r = check(adm, &c, &quotas, e);
        kc_objects_done(&quotas);
        return r;
}
