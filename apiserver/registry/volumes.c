/* PersistentVolumes, claims, and the kinds of storage.k8s.io. Worker threads. */
#include <string.h>

#include "api/object.h"
#include "api/warnings.h"
#include "base/str.h"
#include "registry/strategies.h"

/* --- PersistentVolumes */

static void set_transition_time(const struct kc_registry_ctx *c, struct json_object *pv)
{
        char now[KC_TIME_LEN];
        kc_json_set_str(kc_json_ensure_obj(pv, "status"), "lastPhaseTransitionTime", kc_time_format(c->now, now));
}

static void create_volume(const struct kc_registry_ctx *c, struct json_object *pv)
{
        kc_strategy_create_uncounted(c, pv);
        kc_json_set(pv, "status", kc_json_build("{'phase':'Pending'}"));
        set_transition_time(c, pv);
}

/* When the phase changed is for the server to say, unless the client does. */
static void update_volume_status(const struct kc_registry_ctx *c, struct json_object *pv, const struct json_object *old)
{
        const char *now = kc_json_str_at(pv, "status.lastPhaseTransitionTime");
        kc_strategy_keep(pv, old, "spec");
        if (kc_streq(kc_json_str_at(pv, "status.phase"), kc_json_str_at(old, "status.phase")))
                return;
        if (!now || kc_streq(now, kc_json_str_at(old, "status.lastPhaseTransitionTime")))
                set_transition_time(c, pv);
}

static void warn_of_volume(const struct kc_registry_ctx *c, const struct json_object *pv)
{
        kc_warn_persistent_volume(c->warnings, pv);
}

static void warn_of_volume_update(
    const struct kc_registry_ctx *c, const struct json_object *pv, const struct json_object *old)
{
        (void)old; /* what was wrong before still is */
        kc_warn_persistent_volume(c->warnings, pv);
}

static const struct kc_subresource_strategy volume_subresources[] = {
    {.name = "status", .prepare_for_update = update_volume_status},
};

const struct kc_strategy kc_strategy_persistentvolumes = {
    .group = "",
    .resource = "persistentvolumes",
    .prepare_for_create = create_volume,
    .prepare_for_update = kc_strategy_update_uncounted,
    .warnings_create = warn_of_volume,
    .warnings_update = warn_of_volume_update,
    .subresources = volume_subresources,
    .n_subresources = KC_ARRAY_LEN(volume_subresources),
};

/* --- Claims: two fields say where the data comes from, an older and a newer one */

static bool is_claim_or_snapshot(const struct json_object *source)
{
        const char *kind = kc_json_str(source, "kind"), *group = kc_json_str(source, "apiGroup");
        if (kc_streq(kind, "PersistentVolumeClaim"))
                return kc_str_empty(group);
        return kc_streq(kind, "VolumeSnapshot") && kc_streq(group, "snapshot.storage.k8s.io");
}

/* The namespace of the source is a field that v1.36 drops. */
static void drop_foreign_source(struct json_object *spec, const struct json_object *old_spec)
{
        const char *ns = kc_json_str(kc_json_get(spec, "dataSourceRef"), "namespace");
        if (!kc_str_empty(ns) && kc_str_empty(kc_json_str(kc_json_get(old_spec, "dataSourceRef"), "namespace")))
                kc_json_del(spec, "dataSourceRef");
}

static void normalize_sources(struct json_object *spec)
{
        const struct json_object *source = kc_json_get(spec, "dataSource"), *ref = kc_json_get(spec, "dataSourceRef");
        if (source && !ref)
                kc_json_set(spec, "dataSourceRef", kc_json_copy(source));
        else if (ref && !source && kc_str_empty(kc_json_str(ref, "namespace")))
                kc_json_set(spec, "dataSource", kc_json_copy(ref));
}

static void create_claim(const struct kc_registry_ctx *c, struct json_object *pvc)
{
        struct json_object *spec = kc_json_ensure_obj(pvc, "spec");
        kc_strategy_create_uncounted(c, pvc);
        kc_json_set(pvc, "status", kc_json_build("{'phase':'Pending'}"));
        drop_foreign_source(spec, NULL);
        if (!kc_json_get(spec, "dataSourceRef") && kc_json_get(spec, "dataSource") &&
            !is_claim_or_snapshot(kc_json_get(spec, "dataSource")))
                kc_json_del(spec, "dataSource");
        normalize_sources(spec);
}

static void update_claim(const struct kc_registry_ctx *c, struct json_object *pvc, const struct json_object *old)
{
        struct json_object *spec = kc_json_ensure_obj(pvc, "spec");
        const struct json_object *old_spec = kc_json_get(old, "spec");
        kc_strategy_update_uncounted(c, pvc, old);
        drop_foreign_source(spec, old_spec);
        normalize_sources(spec);
}

static void update_claim_status(const struct kc_registry_ctx *c, struct json_object *pvc, const struct json_object *old)
{
        (void)c; /* the same for every request */
        kc_strategy_keep(pvc, old, "spec");
}

static void warn_of_claim(const struct kc_registry_ctx *c, const struct json_object *pvc)
{
        kc_warn_claim_spec(c->warnings, "spec", kc_json_get(pvc, "spec"));
}

static void warn_of_claim_update(
    const struct kc_registry_ctx *c, const struct json_object *pvc, const struct json_object *old)
{
        (void)old; /* what was wrong before still is */
        warn_of_claim(c, pvc);
}

static const struct kc_subresource_strategy claim_subresources[] = {
    {.name = "status", .prepare_for_update = update_claim_status},
};

const struct kc_strategy kc_strategy_persistentvolumeclaims = {
    .group = "",
    .resource = "persistentvolumeclaims",
    .prepare_for_create = create_claim,
    .prepare_for_update = update_claim,
    .warnings_create = warn_of_claim,
    .warnings_update = warn_of_claim_update,
    .subresources = claim_subresources,
    .n_subresources = KC_ARRAY_LEN(claim_subresources),
};

/* --- storage.k8s.io */

static void warn_of_class(const struct kc_registry_ctx *c, const struct json_object *sc)
{
        kc_warn_storage_class(c->warnings, sc);
}

static void warn_of_class_update(
    const struct kc_registry_ctx *c, const struct json_object *sc, const struct json_object *old)
{
        (void)old; /* what was wrong before still is */
        kc_warn_storage_class(c->warnings, sc);
}

#define GROUP .group = "storage.k8s.io"

const struct kc_strategy kc_strategy_storageclasses = {
    GROUP,
    .resource = "storageclasses",
    .warnings_create = warn_of_class,
    .warnings_update = warn_of_class_update,
};

/* Generations count changes of what may change. */
static void update_driver(const struct kc_registry_ctx *c, struct json_object *driver, const struct json_object *old)
{
        static const char *const counted[] = {"tokenRequests", "requiresRepublish", "seLinuxMount",
            "nodeAllocatableUpdatePeriodSeconds", "serviceAccountTokenInSecrets"};
        const struct json_object *spec = kc_json_get(driver, "spec"), *old_spec = kc_json_get(old, "spec");
        bool changed = false;
        (void)c; /* the same for every request */
        for (size_t i = 0; i < KC_ARRAY_LEN(counted); i++)
                changed = changed || !kc_json_equal(kc_json_get(spec, counted[i]), kc_json_get(old_spec, counted[i]));
        if (changed)
                kc_json_set_int(kc_json_ensure_obj(driver, "metadata"), "generation", kc_meta_generation(old) + 1);
}

const struct kc_strategy kc_strategy_csidrivers = {
    GROUP,
    .resource = "csidrivers",
    .prepare_for_create = kc_strategy_create_uncounted,
    .prepare_for_update = update_driver,
    .require_resource_version = true,
};

const struct kc_strategy kc_strategy_csinodes = {GROUP, .resource = "csinodes", .require_resource_version = true};

const struct kc_strategy kc_strategy_csistoragecapacities = {
    GROUP, .resource = "csistoragecapacities", .require_resource_version = true};

const struct kc_strategy kc_strategy_volumeattributesclasses = {
    GROUP, .resource = "volumeattributesclasses", .require_resource_version = true};

const struct kc_strategy kc_strategy_volumeattachments = {
    GROUP,
    .resource = "volumeattachments",
    .prepare_for_create = kc_strategy_create_uncounted,
    .prepare_for_update = kc_strategy_update_uncounted,
    .require_resource_version = true,
};
