/* Lookups in the generated tables. Any thread: everything is constant. */
#include <string.h>

#include "api/schema_internal.h"
#include "base/str.h"

const struct kc_type kc_schema_scalars[] = {
    [KC_TYPE_STRING] = {.kind = KC_TYPE_STRING},
    [KC_TYPE_INT32] = {.kind = KC_TYPE_INT32},
    [KC_TYPE_INT64] = {.kind = KC_TYPE_INT64},
    [KC_TYPE_DOUBLE] = {.kind = KC_TYPE_DOUBLE},
    [KC_TYPE_BOOL] = {.kind = KC_TYPE_BOOL},
    [KC_TYPE_BYTES] = {.kind = KC_TYPE_BYTES},
    [KC_TYPE_QUANTITY] = {.kind = KC_TYPE_QUANTITY,
        .name = "io.k8s.apimachinery.pkg.api.resource.Quantity",
        .doc = "A number with a decimal (k, M, G, m) or binary (Ki, Mi, Gi) suffix, such as 500m or 128Mi."},
    [KC_TYPE_INT_OR_STRING] = {.kind = KC_TYPE_INT_OR_STRING,
        .name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        .doc = "An integer or a string."},
    [KC_TYPE_TIME] = {.kind = KC_TYPE_TIME,
        .name = "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        .doc = "A time in RFC 3339 form, in seconds."},
    [KC_TYPE_MICRO_TIME] = {.kind = KC_TYPE_MICRO_TIME,
        .name = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
        .doc = "A time in RFC 3339 form, in microseconds."},
    [KC_TYPE_DURATION] = {.kind = KC_TYPE_DURATION,
        .name = "io.k8s.apimachinery.pkg.apis.meta.v1.Duration",
        .doc = "A duration such as 1h30m."},
    [KC_TYPE_RAW] = {.kind = KC_TYPE_RAW,
        .name = "io.k8s.apimachinery.pkg.runtime.RawExtension",
        .doc = "Any JSON value."},
};

const struct kc_type *kc_schema_scalar(enum kc_type_kind kind)
{
        return &kc_schema_scalars[kind];
}

const struct kc_type *const *kc_schema_types(size_t *ret_n)
{
        *ret_n = kc_schema_n_types;
        return kc_schema_type_index;
}

/* The first one in discovery order when version is NULL: the preferred one. */
static const struct kc_group_version *find_gv(const char *group, const char *version)
{
        for (size_t i = 0; i < kc_schema_n_gvs; i++) {
                const struct kc_group_version *gv = kc_schema_gv_index[i];
                if (kc_streq(gv->group, group) && (!version || kc_streq(gv->version, version)))
                        return gv;
        }
        return NULL;
}

const struct kc_resource *kc_schema_resource(const char *group, const char *version, const char *resource)
{
        const struct kc_group_version *gv = find_gv(group, version);
        for (size_t i = 0; gv && i < gv->n_resources; i++)
                if (kc_streq(gv->resources[i].resource, resource))
                        return &gv->resources[i];
        return NULL;
}

const struct kc_resource *kc_schema_kind(const char *group, const char *version, const char *kind)
{
        const struct kc_group_version *gv = find_gv(group, version);
        for (size_t i = 0; gv && i < gv->n_resources; i++)
                if (kc_streq(gv->resources[i].kind, kind))
                        return &gv->resources[i];
        return NULL;
}

const struct kc_type *kc_schema_type(const char *name)
{
        size_t lo = 0, hi = name ? kc_schema_n_types : 0;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = strcmp(name, kc_schema_type_index[mid]->name);
                if (c == 0)
                        return kc_schema_type_index[mid];
                if (c < 0)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return NULL;
}

const struct kc_field *kc_type_field(const struct kc_type *t, const char *name)
{
        size_t lo = 0, hi = t && name ? t->n_fields : 0;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = strcmp(name, t->fields[mid].name);
                if (c == 0)
                        return &t->fields[mid];
                if (c < 0)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return NULL;
}

const struct kc_field *kc_type_variant(const struct kc_type *t, const struct json_object *v)
{
        if (!v)
                return NULL;
        bool boolean = json_object_is_type(v, json_type_boolean);
        return kc_type_field(t, kc_json_is_obj(v)   ? "object"
                                : kc_json_is_arr(v) ? "array"
                                : boolean           ? "boolean"
                                                    : NULL);
}

const struct kc_subresource *kc_resource_subresource(const struct kc_resource *r, const char *name)
{
        for (size_t i = 0; i < r->n_subresources; i++)
                if (kc_streq(r->subresources[i].name, name))
                        return &r->subresources[i];
        return NULL;
}

static bool set_kind(const char *group, const char *version, const char *kind, const char **ret_group,
    const char **ret_version, const char **ret_kind)
{
        *ret_group = group;
        *ret_version = version;
        *ret_kind = kind;
        return true;
}

bool kc_schema_type_kind(
    const struct kc_type *t, const char **ret_group, const char **ret_version, const char **ret_kind)
{
        for (size_t i = 0; i < kc_schema_n_gvs; i++) {
                const struct kc_group_version *gv = kc_schema_gv_index[i];
                for (size_t k = 0; k < gv->n_resources; k++) {
                        const struct kc_resource *r = &gv->resources[k];
                        if (r->type == t)
                                return set_kind(r->group, r->version, r->kind, ret_group, ret_version, ret_kind);
                        if (r->list_object_type == t)
                                return set_kind(r->group, r->version, r->list_kind, ret_group, ret_version, ret_kind);
                        for (size_t j = 0; j < r->n_subresources; j++) {
                                const struct kc_subresource *s = &r->subresources[j];
                                if (s->type == t)
                                        return set_kind(
                                            s->group, s->version, s->kind, ret_group, ret_version, ret_kind);
                        }
                }
        }
        return false;
}

void kc_api_version_split(const char *api_version, char **ret_group, char **ret_version)
{
        const char *slash = strchr(api_version, '/');
        *ret_group = slash ? kc_strndup(api_version, (size_t)(slash - api_version)) : kc_strdup("");
        *ret_version = kc_strdup(slash ? slash + 1 : api_version);
}

char *kc_api_version_join(const char *group, const char *version)
{
        return kc_str_empty(group) ? kc_strdup(version) : kc_asprintf("%s/%s", group, version);
}
