/* History of templates, for DaemonSets and StatefulSets. Worker threads. */
#include "controller-manager/history.h"

#include "base/map.h"
#include "base/rand.h"
#include "base/str.h"

struct json_object *kc_history_data(const struct json_object *owner)
{
        struct json_object *t = kc_json_copy(kc_json_at(owner, "spec.template"));
        kc_json_set_str(t, "$patch", "replace");
        return kc_json_build("{'spec':{'template':%o}}", t);
}

static void own_revisions(const struct kc_history *h, struct kc_objects *ret)
{
        kc_informer_by_index(h->revisions, "controller", kc_meta_uid(h->owner), ret);
}

static int64_t revision_of(const struct kc_object *o)
{
        return kc_json_int(kc_object_json(o), "revision", 0);
}

static char *hash_of(const struct json_object *data, int64_t collisions)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_json_write_sorted(&b, data);
        if (collisions)
                kc_buf_addf(&b, "%lld", (long long)collisions);
        uint32_t hash = kc_fnv32a(b.data, b.len);
        kc_buf_done(&b);
        return kc_safe_encode(hash);
}

static int renumber(const struct kc_history *h, const struct kc_object *rev, int64_t revision, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *tree = kc_object_copy_json(rev);
        if (revision_of(rev) == revision)
                return 0;
        kc_json_set_int(tree, "revision", revision);
        return kc_rest_update(h->rest, &KC_CONTROLLERREVISIONS, NULL, tree, NULL, err);
}

/* Another template has the same hash: the count of collisions makes the next one differ. */
static int collide(const struct kc_history *h, const char *name, int64_t collisions, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *owner = kc_json_copy(h->owner);
        kc_json_set_int(kc_json_ensure_obj(owner, "status"), "collisionCount", collisions + 1);
        int rc = kc_rest_update(h->rest, h->gvr, "status", owner, NULL, err);
        return rc < 0 ? rc : kc_error_set_api(err, 409, KC_REASON_CONFLICT, "the hash of %s collides", name);
}

static int create(const struct kc_history *h, struct json_object *take_data, int64_t revision, char **ret_name,
    char **ret_hash, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *data = take_data, *have = NULL;
        int64_t collisions = kc_json_int_at(h->owner, "status.collisionCount", 0);
        KC_CLEANUP(kc_freep) char *hash = hash_of(data, collisions);
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s-%s", kc_meta_name(h->owner), hash);
        KC_CLEANUP(kc_freep) char *api_version = kc_gvr_api_version(h->gvr);
        const struct json_object *labels = kc_json_at(h->owner, "spec.template.metadata.labels");
        KC_CLEANUP(kc_json_freep)
        struct json_object *tree = kc_json_build(
            "{'apiVersion':'apps/v1','kind':'ControllerRevision','metadata':{'name':%s,'namespace':%s,"
            "'labels':%o,'ownerReferences':[%o]},'data':%o,'revision':%lld}",
            name, kc_meta_namespace(h->owner), labels ? kc_json_copy(labels) : json_object_new_object(),
            kc_meta_new_controller_ref(h->owner, api_version, h->gvr->kind), kc_json_copy(data), (long long)revision);
        int rc;

        kc_meta_set_label(tree, h->label, hash);
        rc = kc_rest_create(h->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(h->owner), tree, NULL, err);
        if (rc < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                rc = kc_rest_get(h->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(h->owner), name, &have, err);
                if (rc == 0 && !kc_json_equal(kc_json_get(have, "data"), data))
                        return collide(h, name, collisions, err);
        }
        if (rc < 0)
                return rc;
        if (ret_name)
                *ret_name = KC_TAKE(name);
        if (ret_hash)
                *ret_hash = KC_TAKE(hash);
        return 0;
}

int kc_history_sync(
    const struct kc_history *h, struct json_object *take_data, char **ret_name, char **ret_hash, struct kc_error *err)
{
        struct kc_objects revisions = {0};
        const struct kc_object *current = NULL;
        int64_t max_old = 0;
        int rc;

        own_revisions(h, &revisions);
        for (size_t i = 0; i < revisions.n; i++) {
                if (!current && kc_json_equal(kc_json_get(kc_object_json(revisions.v[i]), "data"), take_data))
                        current = revisions.v[i];
                else
                        max_old = KC_MAX(max_old, revision_of(revisions.v[i]));
        }
        if (current) {
                if (ret_name)
                        *ret_name = kc_strdup(kc_object_name(current));
                if (ret_hash)
                        *ret_hash = kc_strdup(kc_meta_label(kc_object_json(current), h->label));
                rc = renumber(h, current, KC_MAX(max_old + 1, revision_of(current)), err);
                kc_json_free(take_data);
        } else {
                rc = create(h, take_data, max_old + 1, ret_name, ret_hash, err);
        }
        kc_objects_done(&revisions);
        return rc;
}

int kc_history_cleanup(const struct kc_history *h, int64_t limit,
    bool (*in_use)(void *arg, const struct json_object *revision), void *arg, struct kc_error *err)
{
        struct kc_objects revisions = {0};
        int64_t unused = 0;
        int rc = 0;

        own_revisions(h, &revisions);
        for (size_t i = 0; i < revisions.n; i++)
                unused += !in_use(arg, kc_object_json(revisions.v[i]));
        for (; unused > limit && rc == 0; unused--) {
                size_t victim = revisions.n;
                for (size_t i = 0; i < revisions.n; i++)
                        if (revisions.v[i] && !in_use(arg, kc_object_json(revisions.v[i])) &&
                            (victim == revisions.n || revision_of(revisions.v[i]) < revision_of(revisions.v[victim])))
                                victim = i;
                if (victim == revisions.n)
                        break;
                rc = kc_rest_delete(h->rest, &KC_CONTROLLERREVISIONS, kc_meta_namespace(h->owner),
                    kc_object_name(revisions.v[victim]), NULL, NULL, err);
                kc_object_unref(revisions.v[victim]);
                revisions.v[victim] = NULL;
        }
        kc_objects_done(&revisions);
        return rc;
}
