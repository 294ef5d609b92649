/* Making and changing objects as the apiserver itself; the system's namespaces and priority classes. Worker threads. */
#include <errno.h>
#include <string.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/object.h"
#include "base/str.h"
#include "bootstrap/bootstrap_internal.h"
#include "registry/strategy.h"

int boot_create(struct kc_registry *r, const char *group, const char *resource, const char *ns,
    struct json_object *take_obj, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *obj = take_obj;
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, r, group, resource, ns, "", NULL, false, NULL);
        if (!c.stored)
                return kc_error_set(err, ENOTSUP, "%s is not served", resource);
        const struct kc_resource *row = c.stored->row;
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(row->group, row->version);
        KC_CLEANUP(kc_freep) char *name = kc_strdup(kc_meta_name(obj));
        kc_json_set_str(obj, "kind", row->kind);
        kc_json_set_str(obj, "apiVersion", api_version);
        int e = kc_codec_decode(obj, row->type, NULL, err);
        if (e < 0)
                return kc_error_wrap(err, "cannot make %s %s", resource, name);
        kc_codec_default(obj, row->type);
        kc_default_object(obj, row);
        c.name = name;
        e = kc_registry_create(&c, KC_TAKE(obj), NULL, NULL, err);
        if (e == 0)
                return 0;
        /* Somebody else made it; for a Service, its address is then taken before its name is looked at. */
        KC_CLEANUP(kc_object_unrefp) struct kc_object *there = NULL;
        if (e == -EEXIST ||
            kc_resources_get_live(kc_registry_resources(r), group, resource, ns, name, &there, NULL) == 0) {
                kc_error_done(err);
                return 0;
        }
        return kc_error_wrap(err, "cannot create %s %s", resource, name);
}

bool boot_exists(struct kc_registry *r, const char *group, const char *resource, const char *ns, const char *name)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        return kc_resources_get(kc_registry_resources(r), group, resource, ns, name, &o, NULL) == 0;
}

struct change {
        boot_change_fn fn;
        void *arg;
};

static int transform(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        (void)c;
        (void)err; /* cannot fail */
        const struct change *ch = arg;
        struct json_object *obj = kc_object_copy_json(current);
        if (!ch->fn(obj, ch->arg)) {
                kc_json_free(obj);
                return -EALREADY;
        }
        *ret = obj;
        return 0;
}

int boot_update(struct kc_registry *r, const char *group, const char *resource, const char *ns, const char *name,
    boot_change_fn change, void *arg, struct kc_error *err)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, r, group, resource, ns, name, NULL, false, NULL);
        if (!c.stored)
                return kc_error_set(err, ENOTSUP, "%s is not served", resource);
        struct change ch = {change, arg};
        const struct kc_registry_update_opts o = {.transform = transform, .arg = &ch};
        int e = kc_registry_update(&c, &o, NULL, NULL, err);
        return e < 0 && e != -ENOENT ? kc_error_wrap(err, "cannot update %s %s", resource, name) : e;
}

/* --- namespaces */

int boot_namespaces(struct kc_registry *r, struct kc_error *err)
{
        static const char *const names[] = {"kube-system", "kube-public", "kube-node-lease", "default"};
        for (size_t i = 0; i < KC_ARRAY_LEN(names); i++) {
                if (boot_exists(r, "", "namespaces", "", names[i]))
                        continue;
                int e = boot_create(r, "", "namespaces", "", kc_json_build("{'metadata':{'name':%s}}", names[i]), err);
                if (e < 0)
                        return e;
        }
        return 0;
}

/* --- priority classes */

int boot_priority_classes(struct kc_registry *r, struct kc_error *err)
{
        static const struct {
                const char *name;
                int value;
                const char *description;
        } classes[] = {
            {"system-node-critical", 2000001000,
                "Used for system critical pods that must not be moved from their current node."},
            {"system-cluster-critical", 2000000000,
                "Used for system critical pods that must run in the cluster, but can be moved to another node if "
                "necessary."},
        };
        for (size_t i = 0; i < KC_ARRAY_LEN(classes); i++) {
                if (boot_exists(r, "scheduling.k8s.io", "priorityclasses", "", classes[i].name))
                        continue;
                int e = boot_create(r, "scheduling.k8s.io", "priorityclasses", "",
                    kc_json_build("{'metadata':{'name':%s},'value':%d,'description':%s,"
                                  "'preemptionPolicy':'PreemptLowerPriority'}",
                        classes[i].name, classes[i].value, classes[i].description),
                    err);
                if (e < 0)
                        return e;
        }
        return 0;
}
