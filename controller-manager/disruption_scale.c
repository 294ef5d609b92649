/* Expected and desired numbers of a disruption budget. Any thread. */
#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "controller-manager/disruption_internal.h"

void kc_disruption_owners_init(struct kc_disruption_owners *o, struct kc_informers *informers)
{
        o->replication_controllers = kc_informers_get(informers, &KC_REPLICATIONCONTROLLERS);
        o->replica_sets = kc_informers_get(informers, &KC_REPLICASETS);
        o->deployments = kc_informers_get(informers, &KC_DEPLOYMENTS);
        o->stateful_sets = kc_informers_get(informers, &KC_STATEFULSETS);
}

/* "apps" of "apps/v1"; versions do not matter. */
static bool ref_is(const struct json_object *ref, const char *group, const char *kind)
{
        const char *av = kc_json_str(ref, "apiVersion"), *slash = av ? strchr(av, '/') : NULL;
        size_t n = slash ? (size_t)(slash - av) : 0;

        return kc_streq(kc_json_str(ref, "kind"), kind) && strlen(group) == n && (n == 0 || strncmp(av, group, n) == 0);
}

/* The object that ref means, if the cache has that very one. */
static struct kc_object *lookup(struct kc_informer *i, const char *ns, const struct json_object *ref)
{
        struct kc_object *o = kc_informer_lookup(i, ns, kc_json_str(ref, "name"));

        if (o && kc_streq(kc_object_uid(o), kc_json_str(ref, "uid")))
                return o;
        kc_object_unref(o);
        return NULL;
}

/* Follows a ReplicaSet to its Deployment. NULL: not there. *ret_known: it is a kind that has replicas. */
static struct kc_object *scaled_owner(
    const struct kc_disruption_owners *o, const char *ns, const struct json_object *ref, bool *ret_known)
{
        *ret_known = true;
        if (ref_is(ref, "", "ReplicationController"))
                return lookup(o->replication_controllers, ns, ref);
        if (ref_is(ref, "apps", "StatefulSet"))
                return lookup(o->stateful_sets, ns, ref);
        if (ref_is(ref, "apps", "Deployment"))
                return lookup(o->deployments, ns, ref);
        if (!ref_is(ref, "apps", "ReplicaSet")) {
                *ret_known = false;
                return NULL;
        }
        struct kc_object *rs = lookup(o->replica_sets, ns, ref);
        const struct json_object *up = rs ? kc_meta_controller_ref(kc_object_json(rs)) : NULL;
        if (!ref_is(up, "apps", "Deployment"))
                return rs;
        struct kc_object *deployment = lookup(o->deployments, ns, up);
        kc_object_unref(rs);
        return deployment;
}

static int no_scale(const struct json_object *ref, struct kc_error *err)
{
        const char *av = kc_json_str(ref, "apiVersion"), *kind = kc_json_str(ref, "kind");
        const char *slash = av ? strchr(av, '/') : NULL;
        KC_CLEANUP(kc_freep) char *group = slash ? kc_strndup(av, (size_t)(slash - av)) : NULL;
        KC_CLEANUP(kc_freep) char *plural = kc_asprintf("%ss", kind ? kind : "");

        for (char *p = plural; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p += 'a' - 'A';
        return kc_error_set(err, ENOTSUP, "%s%s%s does not implement the scale subresource", plural, group ? "." : "",
            group ? group : "");
}

/* The sum of what the pods' controllers want, each counted once. */
static int expected_scale(const struct kc_disruption_owners *o, const struct kc_objects *pods,
    struct kc_disruption_counts *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);

        for (size_t i = 0; i < pods->n; i++) {
                const struct json_object *pod = kc_object_json(pods->v[i]), *ref = kc_meta_controller_ref(pod);
                bool known;
                if (!ref) {
                        ret->unmanaged = true;
                        continue;
                }
                if (kc_map_has(seen, kc_json_str(ref, "uid")))
                        continue;
                (void)kc_map_set(seen, kc_json_str(ref, "uid"), seen); /* it is new */
                KC_CLEANUP(kc_object_unrefp)
                struct kc_object *owner = scaled_owner(o, kc_meta_namespace(pod), ref, &known);
                if (!known)
                        return no_scale(ref, err);
                if (!owner)
                        return kc_error_set(err, ENOENT, "found no controllers for pod \"%s\"", kc_meta_name(pod));
                /* Two ReplicaSets of one Deployment are one controller. */
                if (!kc_streq(kc_object_uid(owner), kc_json_str(ref, "uid")) &&
                    !kc_map_set(seen, kc_object_uid(owner), seen))
                        continue;
                ret->expected += kc_json_int_at(kc_object_json(owner), "spec.replicas", 1);
        }
        return 0;
}

/* GetScaledValueFromIntOrPercent, rounding up. */
static int scaled(const struct json_object *v, int64_t total, int64_t *ret, struct kc_error *err)
{
        const char *text = kc_json_as_str(v);
        int64_t percent;
        size_t n = text ? strlen(text) : 0;

        if (!text) {
                *ret = json_object_get_int64((struct json_object *)v);
                return 0;
        }
        KC_CLEANUP(kc_freep) char *digits = kc_strndup(text, n ? n - 1 : 0);
        if (n < 2 || text[n - 1] != '%' || kc_str_to_i64(digits, &percent) < 0 || percent < 0 || percent > INT32_MAX)
                return kc_error_set(
                    err, EINVAL, "invalid value for IntOrString: invalid type: string is not a percentage");
        *ret = (percent * total + 99) / 100;
        return 0;
}

int kc_disruption_count(const struct kc_disruption_owners *o, const struct json_object *pdb,
    const struct kc_objects *pods, struct kc_disruption_counts *ret, struct kc_error *err)
{
        const struct json_object *max = kc_json_at(pdb, "spec.maxUnavailable"),
                                 *min = kc_json_at(pdb, "spec.minAvailable");
        int64_t value = 0;
        int rc;

        *ret = (struct kc_disruption_counts){0};
        if (!max && !min)
                return 0;
        if (!max && !kc_json_as_str(min)) {
                ret->expected = (int64_t)pods->n;
                ret->desired_healthy = json_object_get_int64((struct json_object *)min);
                return 0;
        }
        rc = expected_scale(o, pods, ret, err);
        if (rc == 0)
                rc = scaled(max ? max : min, ret->expected, &value, err);
        if (rc == 0)
                ret->desired_healthy = max ? KC_MAX(ret->expected - value, (int64_t)0) : value;
        return rc;
}
