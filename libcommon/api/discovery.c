/* Discovery documents, legacy and aggregated, from the tables. Any thread. */
#include "api/discovery.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const verb_names[] = {
    "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};

static struct json_object *verbs_array(uint32_t verbs)
{
        struct json_object *a = kc_json_build("[]");
        for (size_t i = 0; i < KC_ARRAY_LEN(verb_names); i++)
                if (verbs & (1U << i))
                        kc_json_push_str(a, verb_names[i]);
        return a;
}

static void set_words(struct json_object *o, const char *key, const char *const *words)
{
        if (!words)
                return;
        struct json_object *a = kc_json_build("[]");
        for (; *words; words++)
                kc_json_push_str(a, *words);
        kc_json_set(o, key, a);
}

static struct json_object *version_entry(const struct kc_group_version *gv)
{
        KC_CLEANUP(kc_freep) char *name = kc_api_version_join(gv->group, gv->version);
        return kc_json_build("{'groupVersion':%s,'version':%s}", name, gv->version);
}

static const struct kc_group_version *next_of_group(const char *group, size_t *at)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        while (*at < n) {
                const struct kc_group_version *gv = gvs[(*at)++];
                if (kc_streq(gv->group, group))
                        return gv;
        }
        return NULL;
}

/* True if no earlier group-version has the same group: groups are listed once, where their first version stands. */
static bool is_first_of_group(const struct kc_group_version *const *gvs, size_t at)
{
        for (size_t i = 0; i < at; i++)
                if (kc_streq(gvs[i]->group, gvs[at]->group))
                        return false;
        return true;
}

struct json_object *kc_discovery_api_versions(const char *server_address)
{
        struct json_object *versions = kc_json_build("[]");
        const struct kc_group_version *gv;
        for (size_t at = 0; (gv = next_of_group("", &at));)
                kc_json_push_str(versions, gv->version);
        return kc_json_build("{'kind':'APIVersions','versions':%o,'serverAddressByClientCIDRs':"
                             "[{'clientCIDR':'0.0.0.0/0','serverAddress':%s}]}",
            versions, server_address);
}

static void fill_group(struct json_object *o, const char *group)
{
        struct json_object *versions = kc_json_build("[]"), *preferred = NULL;
        const struct kc_group_version *gv;
        for (size_t at = 0; (gv = next_of_group(group, &at));) {
                if (!preferred)
                        preferred = version_entry(gv);
                kc_json_push(versions, version_entry(gv));
        }
        kc_json_set_str(o, "name", group);
        kc_json_set(o, "versions", versions);
        kc_json_set(o, "preferredVersion", preferred);
}

struct json_object *kc_discovery_group(const char *group)
{
        size_t at = 0;
        if (kc_str_empty(group) || !next_of_group(group, &at))
                return NULL;
        struct json_object *o = kc_json_build("{'kind':'APIGroup','apiVersion':'v1'}");
        fill_group(o, group);
        return o;
}

struct json_object *kc_discovery_group_list(void)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        struct json_object *groups = kc_json_build("[]");
        for (size_t i = 0; i < n; i++) {
                if (!*gvs[i]->group || !is_first_of_group(gvs, i))
                        continue;
                struct json_object *o = kc_json_build("{}");
                fill_group(o, gvs[i]->group);
                kc_json_push(groups, o);
        }
        return kc_json_build("{'kind':'APIGroupList','apiVersion':'v1','groups':%o}", groups);
}

static struct json_object *legacy_resource(const struct kc_resource *r)
{
        struct json_object *o = kc_json_build("{'name':%s,'singularName':%s,'namespaced':%b,'kind':%s,'verbs':%o}",
            r->resource, r->singular, r->namespaced, r->kind, verbs_array(r->verbs));
        set_words(o, "shortNames", r->short_names);
        set_words(o, "categories", r->categories);
        if (r->storage_version_hash)
                kc_json_set_str(o, "storageVersionHash", r->storage_version_hash);
        return o;
}

static bool in_group_version(const struct kc_subresource *s, const struct kc_resource *r)
{
        return kc_streq(s->group, r->group) && kc_streq(s->version, r->version);
}

static struct json_object *legacy_subresource(const struct kc_resource *r, const struct kc_subresource *s)
{
        KC_CLEANUP(kc_freep) char *name = kc_asprintf("%s/%s", r->resource, s->name);
        struct json_object *o = kc_json_build("{'name':%s,'singularName':'','namespaced':%b}", name, r->namespaced);
        if (!in_group_version(s, r)) {
                kc_json_set_str(o, "group", s->group);
                kc_json_set_str(o, "version", s->version);
        }
        kc_json_set_str(o, "kind", s->kind);
        kc_json_set(o, "verbs", verbs_array(s->verbs));
        return o;
}

struct json_object *kc_discovery_resources(const char *group, const char *version)
{
        const struct kc_group_version *gv;
        for (size_t at = 0; (gv = next_of_group(group, &at));) {
                if (!kc_streq(gv->version, version))
                        continue;
                struct json_object *resources = kc_json_build("[]");
                for (size_t i = 0; i < gv->n_resources; i++) {
                        const struct kc_resource *r = &gv->resources[i];
                        kc_json_push(resources, legacy_resource(r));
                        for (size_t k = 0; k < r->n_subresources; k++)
                                kc_json_push(resources, legacy_subresource(r, &r->subresources[k]));
                }
                KC_CLEANUP(kc_freep) char *name = kc_api_version_join(group, version);
                struct json_object *o = kc_json_build("{'kind':'APIResourceList'}");
                if (*group)
                        kc_json_set_str(o, "apiVersion", "v1");
                kc_json_set_str(o, "groupVersion", name);
                kc_json_set(o, "resources", resources);
                return o;
        }
        return NULL;
}

/* --- Aggregated */

static struct json_object *response_kind(const char *group, const char *version, const char *kind)
{
        return kc_json_build("{'group':%s,'version':%s,'kind':%s}", group, version, kind);
}

static struct json_object *aggregated_resource(const struct kc_resource *r)
{
        struct json_object *o =
            kc_json_build("{'resource':%s,'responseKind':%o,'scope':%s,'singularResource':%s,'verbs':%o}", r->resource,
                response_kind("", "", r->kind), r->namespaced ? "Namespaced" : "Cluster", r->singular,
                verbs_array(r->verbs));
        set_words(o, "shortNames", r->short_names);
        set_words(o, "categories", r->categories);
        struct json_object *subresources = r->n_subresources ? kc_json_build("[]") : NULL;
        for (size_t i = 0; i < r->n_subresources; i++) {
                const struct kc_subresource *s = &r->subresources[i];
                bool here = in_group_version(s, r);
                kc_json_push(subresources,
                    kc_json_build("{'subresource':%s,'responseKind':%o,'verbs':%o}", s->name,
                        response_kind(here ? "" : s->group, here ? "" : s->version, s->kind), verbs_array(s->verbs)));
        }
        if (subresources)
                kc_json_set(o, "subresources", subresources);
        return o;
}

static struct json_object *aggregated_version(const struct kc_group_version *gv)
{
        struct json_object *resources = kc_json_build("[]");
        for (size_t i = 0; i < gv->n_resources; i++)
                kc_json_push(resources, aggregated_resource(&gv->resources[i]));
        return kc_json_build("{'version':%s,'resources':%o,'freshness':'Current'}", gv->version, resources);
}

struct json_object *kc_discovery_aggregated(bool core)
{
        size_t n;
        const struct kc_group_version *const *gvs = kc_schema_group_versions(&n);
        struct json_object *items = kc_json_build("[]");
        for (size_t i = 0; i < n; i++) {
                if (!*gvs[i]->group != core || !is_first_of_group(gvs, i))
                        continue;
                struct json_object *versions = kc_json_build("[]");
                const struct kc_group_version *gv;
                for (size_t at = 0; (gv = next_of_group(gvs[i]->group, &at));)
                        kc_json_push(versions, aggregated_version(gv));
                struct json_object *metadata = kc_json_build("{}");
                if (!core)
                        kc_json_set_str(metadata, "name", gvs[i]->group);
                kc_json_push(items, kc_json_build("{'metadata':%o,'versions':%o}", metadata, versions));
        }
        return kc_json_build(
            "{'kind':'APIGroupDiscoveryList','apiVersion':'apidiscovery.k8s.io/v2','metadata':{},'items':%o}", items);
}
