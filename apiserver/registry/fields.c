/* managedFields of creates, updates, patches and applies. Worker threads. */
#include "registry/fields.h"

#include <errno.h>
#include <string.h>

#include "api/codec.h"
#include "api/convert.h"
#include "api/defaults.h"
#include "api/managed.h"
#include "api/object.h"
#include "api/structured.h"
#include "base/log.h"
#include "base/str.h"

/* --- what an endpoint does not write: GetResetFields of upstream's strategies */

static const char *const status_only[] = {"status", NULL};
static const char *const spec_only[] = {"spec", NULL};

/* Where it is more, or less, than status on the resource and spec on its status. */
static const struct {
        const char *group, *resource, *subresource;
        const char *const *reset, *const *only;
} exceptions[] = {
    {"", "pods", "status",
        (const char *const[]){"spec", "metadata.deletionTimestamp", "metadata.ownerReferences", NULL}, NULL},
    {"", "pods", "ephemeralcontainers", NULL, (const char *const[]){"spec.ephemeralContainers", NULL}},
    {"", "pods", "resize", NULL,
        (const char *const[]){"spec.containers.*.resources", "spec.containers.*.resizePolicy",
            "spec.initContainers.*.resources", "spec.initContainers.*.resizePolicy", "spec.resources", NULL}},
    {"", "namespaces", "finalize", status_only, NULL},
    {"apps", "deployments", "status", (const char *const[]){"spec", "metadata.labels", NULL}, NULL},
    {"certificates.k8s.io", "certificatesigningrequests", "status",
        (const char *const[]){"spec", "status.conditions", NULL}, NULL},
    {"certificates.k8s.io", "certificatesigningrequests", "approval",
        (const char *const[]){"spec", "status.certificate", NULL}, NULL},
    {"apiextensions.k8s.io", "customresourcedefinitions", "status", (const char *const[]){"metadata", "spec", NULL},
        NULL},
    {"apiregistration.k8s.io", "apiservices", "status", (const char *const[]){"spec", NULL}, NULL},
    {"flowcontrol.apiserver.k8s.io", "flowschemas", "status", (const char *const[]){"metadata", "spec", NULL}, NULL},
    {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status",
        (const char *const[]){"metadata", "spec", NULL}, NULL},
    {"storage.k8s.io", "volumeattachments", "status", (const char *const[]){"metadata", "spec", NULL}, NULL},
};

static void endpoint_of(const struct kc_registry_ctx *c, const char *subresource, struct kc_managed_kind *k)
{
        const struct kc_resource *row = c->stored->row;
        for (size_t i = 0; i < KC_ARRAY_LEN(exceptions); i++)
                if (strcmp(exceptions[i].group, row->group) == 0 &&
                    strcmp(exceptions[i].resource, row->resource) == 0 &&
                    strcmp(exceptions[i].subresource, subresource) == 0) {
                        k->reset = exceptions[i].reset;
                        k->only = exceptions[i].only;
                        return;
                }
        if (strcmp(subresource, "status") == 0)
                k->reset = spec_only;
        else if (!subresource[0] && kc_resource_subresource(row, "status"))
                k->reset = status_only;
}

/* Fields of a projection are all of the projection's. */
static bool is_projection(const struct kc_registry_ctx *c, const struct kc_fields_target *t)
{
        return strcmp(t->kind, c->row->kind) != 0;
}

static void kind_of(const struct kc_registry_ctx *c, const struct kc_fields_target *t, const char *api_version,
    struct kc_managed_kind *ret)
{
        *ret = (struct kc_managed_kind){
            .type = t->type, .api_version = api_version, .kind = t->kind, .subresource = t->subresource};
        if (!is_projection(c, t))
                endpoint_of(c, t->subresource, ret);
}

void kc_fields_target_of(const struct kc_registry_ctx *c, struct kc_fields_target *ret)
{
        *ret = (struct kc_fields_target){
            .type = c->row->type,
            .group = c->row->group,
            .version = c->row->version,
            .kind = c->row->kind,
            .row = c->row,
            .subresource = c->subresource,
        };
}

/* The object as Go has it before anything was set. */
static struct json_object *zero_of(const struct kc_fields_target *t, const char *api_version)
{
        struct json_object *o = json_object_new_object();
        kc_json_set_str(o, "kind", t->kind);
        kc_json_set_str(o, "apiVersion", api_version);
        (void)kc_codec_decode(o, t->type, NULL, NULL); /* an empty object has nothing that does not fit */
        return o;
}

static const struct json_object *entries_of(const struct json_object *obj)
{
        return kc_json_get(kc_json_get(obj, "metadata"), "managedFields");
}

static void set_entries(struct json_object *obj, struct json_object *take_entries)
{
        struct json_object *meta = kc_json_ensure_obj(obj, "metadata");
        kc_json_del(meta, "managedFields");
        if (take_entries)
                kc_json_set(meta, "managedFields", take_entries);
}

/* --- updates */

/* What was known before the write: by the request, else by the stored object (decodeLiveOrNew). */
static void known_before(const struct kc_fields_target *t, const struct json_object *before,
    const struct json_object *given, struct kc_managers *ret)
{
        const struct json_object *stored = entries_of(before);
        *ret = (struct kc_managers){0};
        if (!t->subresource[0] && kc_managed_is_reset(given))
                return;
        /* What a client sends back as it got it needs no second look. */
        if (!t->subresource[0] && given && !kc_json_equal(given, stored) && kc_managers_decode(ret, given, NULL) == 0 &&
            ret->n > 0) {
                for (size_t i = 0; i < ret->n; i++)
                        ret->v[i].source = NULL; /* it need not be in canonical form */
                return;
        }
        kc_managers_done(ret);
        (void)kc_managers_decode(ret, stored, NULL); /* what cannot be read does not count, as upstream */
}

void kc_fields_update(const struct kc_registry_ctx *c, const struct kc_fields_target *t,
    const struct json_object *before, struct json_object *after)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(t->group, t->version);
        KC_CLEANUP(kc_json_freep) struct json_object *zero = before ? NULL : zero_of(t, api_version);
        KC_CLEANUP(kc_json_freep) struct json_object *given = NULL;
        struct kc_managed_kind k;
        struct kc_managers m;
        struct json_object *meta = kc_json_ensure_obj(after, "metadata");
        if (kc_json_get(meta, "managedFields"))
                given = json_object_get(kc_json_get_mut(meta, "managedFields"));
        kc_json_del(meta, "managedFields");
        known_before(t, before, given, &m);
        kind_of(c, t, api_version, &k);
        /* An object that is not tracked stays so. */
        if (!before || m.n > 0)
                kc_managed_update(&m, &k, before ? before : zero, after, c->manager, c->now);
        set_entries(after, kc_managers_encode(&m));
        kc_managers_done(&m);
}

void kc_fields_track(const struct kc_registry_ctx *c, struct json_object *obj, const struct json_object *old)
{
        struct kc_fields_target t;
        if (!c->manager || c->fields_managed)
                return;
        kc_fields_target_of(c, &t);
        if (c->row == c->stored->row) {
                kc_fields_update(c, &t, old, obj);
                return;
        }
        KC_CLEANUP(kc_json_freep) struct json_object *before = old ? kc_json_copy(old) : NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *after = kc_json_copy(obj);
        if ((before && kc_convert(before, c->row, NULL) < 0) || kc_convert(after, c->row, NULL) < 0)
                return; /* a row says how it is stored because there is a conversion */
        kc_fields_update(c, &t, before, after);
        kc_strategy_keep(kc_json_get_mut(obj, "metadata"), kc_json_get(after, "metadata"), "managedFields");
}

/* --- apply */

/* "default/web; apps/v1, Kind=Deployment" */
static char *describe(const struct json_object *config)
{
        const char *api_version = kc_json_str(config, "apiVersion"), *kind = kc_json_str(config, "kind");
        const char *ns = kc_meta_namespace(config), *name = kc_meta_name(config);
        bool core = api_version && !strchr(api_version, '/');
        return kc_asprintf("%s/%s; %s%s, Kind=%s", ns ? ns : "", name ? name : "", core ? "/" : "",
            api_version ? api_version : "", kind ? kind : "");
}

/* The version check of upstream, and what may not be in a configuration. */
static int check_config(
    const struct kc_fields_target *t, const char *api_version, const struct json_object *config, struct kc_error *err)
{
        const char *version = kc_json_str(config, "apiVersion"), *kind = kc_json_str(config, "kind");
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        if (!kc_streq(version, api_version) || !kc_streq(kind, t->kind)) {
                bool core = version && !strchr(version, '/');
                return kc_err_bad_request(err, "invalid object type: %s%s, Kind=%s", core || !version ? "/" : "",
                    version ? version : "", kind ? kind : "");
        }
        if (kc_json_len(entries_of(config)) > 0)
                return kc_err_bad_request(err, "metadata.managedFields must be nil");
        if (kc_structured_check(config, t->type, &why) == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *what = describe(config);
        return kc_error_set_api(
            err, 500, "", "failed to create typed patch object (%s): %s", what, kc_error_message(&why));
}

static int normalize(
    const struct kc_fields_target *t, const struct json_object *config, struct json_object *obj, struct kc_error *err)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_strv_freep) char **unknown = NULL;
        if (kc_codec_decode(obj, t->type, &unknown, &why) < 0) {
                KC_CLEANUP(kc_freep) char *what = describe(config);
                return kc_error_set_api(err, 500, "", "failed to convert new typed object (%s) to object: %s", what,
                    kc_error_message(&why));
        }
        kc_codec_default(obj, t->type);
        if (t->row)
                kc_default_object(obj, t->row);
        return 0;
}

int kc_fields_apply(const struct kc_registry_ctx *c, const struct kc_fields_target *t, const struct json_object *live,
    const struct json_object *config, bool force, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(t->group, t->version);
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *bare = NULL, *obj = NULL;
        struct kc_managed_kind k;
        struct kc_managers m;
        int r = check_config(t, api_version, config, err);
        if (r < 0)
                return r;
        if (kc_managers_decode(&m, entries_of(live), &why) < 0)
                return kc_error_set_api(err, 500, "", "failed to decode managed fields: %s", kc_error_message(&why));
        bare = live ? kc_json_copy(live) : zero_of(t, api_version);
        set_entries(bare, NULL);
        kind_of(c, t, api_version, &k);
        const struct kc_managed_apply o = {
            .manager = c->manager, .force = force, .exists = live != NULL, .now = c->now};
        r = kc_managed_apply(&m, &k, &o, bare, config, &obj, err);
        if (r == 0 && obj)
                r = normalize(t, config, obj, err);
        if (r == 0) {
                if (!obj)
                        obj = kc_json_copy(bare);
                if (kc_streq(c->manager, "kubectl"))
                        kc_managed_sync_last_applied(obj, config);
                set_entries(obj, kc_managers_encode(&m));
                *ret = KC_TAKE(obj);
        }
        kc_managers_done(&m);
        return r;
}

/* --- comparing */

static bool same_but_time(const struct json_object *a, const struct json_object *b)
{
        size_t keys = kc_json_n_keys(b) - (kc_json_get(b, "time") ? 1 : 0);
        KC_JSON_FOREACH(a, key, val)
        {
                if (strcmp(key, "time") == 0)
                        continue;
                if (!kc_json_equal(val, kc_json_get(b, key)))
                        return false;
                keys--;
        }
        return keys == 0;
}

bool kc_fields_same_owners(const struct json_object *a, const struct json_object *b)
{
        if (kc_json_len(a) != kc_json_len(b))
                return false;
        for (size_t i = 0; i < kc_json_len(a); i++)
                if (!same_but_time(kc_json_idx(a, i), kc_json_idx(b, i)))
                        return false;
        return true;
}
