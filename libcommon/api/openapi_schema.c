/* Types as OpenAPI schemas, with the x-kubernetes extensions that clients rely on. */
#include <ctype.h>
#include <stdarg.h>
#include <string.h>

#include "api/openapi_internal.h"
#include "base/mem.h"
#include "base/str.h"
#include "json/json.h"

/* --- The writer */

static void before(struct kc_jw *w, const char *key)
{
        if (w->started)
                kc_buf_addc(w->b, ',');
        w->started = true;
        if (!key)
                return;
        kc_json_write_string(w->b, key, strlen(key));
        kc_buf_addc(w->b, ':');
}

void kc_jw_open(struct kc_jw *w, const char *key, char bracket)
{
        before(w, key);
        kc_buf_addc(w->b, bracket);
        w->started = false;
}

void kc_jw_close(struct kc_jw *w, char bracket)
{
        kc_buf_addc(w->b, bracket);
        w->started = true;
}

void kc_jw_str(struct kc_jw *w, const char *key, const char *value)
{
        before(w, key);
        kc_json_write_string(w->b, value, strlen(value));
}

void kc_jw_strf(struct kc_jw *w, const char *key, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *value = kc_vasprintf(fmt, ap);
        va_end(ap);
        kc_jw_str(w, key, value);
}

void kc_jw_bool(struct kc_jw *w, const char *key, bool value)
{
        kc_jw_raw(w, key, value ? "true" : "false");
}

void kc_jw_raw(struct kc_jw *w, const char *key, const char *json)
{
        before(w, key);
        kc_buf_adds(w->b, json);
}

void kc_jw_strs(struct kc_jw *w, const char *key, const char *const *values)
{
        kc_jw_open(w, key, '[');
        for (; *values; values++)
                kc_jw_str(w, NULL, *values);
        kc_jw_close(w, ']');
}

/* --- Schemas */

static void remember(struct kc_openapi *d, const char *name)
{
        static const char marker; /* for names that are no types of ours */
        const struct kc_type *t = kc_schema_type(name);
        if (!kc_map_has(d->types, name))
                (void)kc_map_set(d->types, name, t ? (void *)t : (void *)&marker); /* it is new */
}

static const char *ref_prefix(const struct kc_openapi *d)
{
        return d->v3 ? "#/components/schemas/" : "#/definitions/";
}

void kc_openapi_ref(struct kc_openapi *d, const char *key, const char *type_name)
{
        remember(d, type_name);
        kc_jw_open(&d->w, key, '{');
        kc_jw_strf(&d->w, "$ref", "%s%s", ref_prefix(d), type_name);
        kc_jw_close(&d->w, '}');
}

void kc_openapi_gvk(struct kc_jw *w, const char *key, const char *group, const char *version, const char *kind)
{
        kc_jw_open(w, key, '{');
        kc_jw_str(w, "group", group);
        kc_jw_str(w, "kind", kind);
        kc_jw_str(w, "version", version);
        kc_jw_close(w, '}');
}

static void write_plain(struct kc_jw *w, const struct kc_type *t)
{
        static const struct {
                const char *type, *format;
        } plain[] = {[KC_TYPE_OBJECT] = {"object", NULL},
            [KC_TYPE_STRING] = {"string", NULL},
            [KC_TYPE_INT32] = {"integer", "int32"},
            [KC_TYPE_INT64] = {"integer", "int64"},
            [KC_TYPE_DOUBLE] = {"number", "double"},
            [KC_TYPE_BOOL] = {"boolean", NULL},
            [KC_TYPE_BYTES] = {"string", "byte"},
            [KC_TYPE_QUANTITY] = {"string", NULL},
            [KC_TYPE_INT_OR_STRING] = {"string", "int-or-string"},
            [KC_TYPE_TIME] = {"string", "date-time"},
            [KC_TYPE_MICRO_TIME] = {"string", "date-time"},
            [KC_TYPE_DURATION] = {"string", NULL},
            [KC_TYPE_RAW] = {"object", NULL}};
        kc_jw_str(w, "type", plain[t->kind].type);
        if (plain[t->kind].format)
                kc_jw_str(w, "format", plain[t->kind].format);
        if (t->kind == KC_TYPE_STRING && t->enums)
                kc_jw_strs(w, "enum", t->enums);
}

/* The members of a schema that stands where it is used: references, lists, maps and plain values. */
static void write_use(struct kc_openapi *d, const struct kc_type *t, bool described)
{
        struct kc_jw *w = &d->w;
        if (t->name) {
                remember(d, t->name);
                if (!d->v3 || !described) {
                        kc_jw_strf(w, "$ref", "%s%s", ref_prefix(d), t->name);
                        return;
                }
                kc_jw_open(w, "allOf", '['); /* a $ref takes no members beside it in 3.0 */
                kc_openapi_ref(d, NULL, t->name);
                kc_jw_close(w, ']');
                return;
        }
        if (t->kind == KC_TYPE_ARRAY || t->kind == KC_TYPE_MAP) {
                bool array = t->kind == KC_TYPE_ARRAY;
                kc_jw_str(w, "type", array ? "array" : "object");
                kc_jw_open(w, array ? "items" : "additionalProperties", '{');
                write_use(d, t->elem, false);
                kc_jw_close(w, '}');
                return;
        }
        write_plain(w, t);
}

static void write_list_extensions(struct kc_jw *w, const struct kc_type *t)
{
        static const char *const names[] = {[KC_LIST_ATOMIC] = "atomic", [KC_LIST_SET] = "set", [KC_LIST_MAP] = "map"};
        if (t->kind != KC_TYPE_ARRAY || t->list_type_unset)
                return;
        if (t->list_map_keys)
                kc_jw_strs(w, "x-kubernetes-list-map-keys", t->list_map_keys);
        kc_jw_str(w, "x-kubernetes-list-type", names[t->list_type]);
}

static void write_field(struct kc_openapi *d, const struct kc_field *f)
{
        struct kc_jw *w = &d->w;
        kc_jw_open(w, f->name, '{');
        if (f->doc)
                kc_jw_str(w, "description", f->doc);
        write_use(d, f->type, f->doc || f->default_json || f->flags & (KC_FIELD_MAP_ATOMIC | KC_FIELD_MAP_GRANULAR));
        if (f->default_json && d->v3)
                kc_jw_raw(w, "default", f->default_json);
        write_list_extensions(w, f->type);
        if (f->flags & (KC_FIELD_MAP_ATOMIC | KC_FIELD_MAP_GRANULAR))
                kc_jw_str(w, "x-kubernetes-map-type", f->flags & KC_FIELD_MAP_ATOMIC ? "atomic" : "granular");
        if (f->merge_key)
                kc_jw_str(w, "x-kubernetes-patch-merge-key", f->merge_key);
        bool merge = f->flags & KC_FIELD_PATCH_MERGE, retain = f->flags & KC_FIELD_PATCH_RETAIN_KEYS;
        if (f->flags & KC_FIELD_PATCH_REPLACE)
                kc_jw_str(w, "x-kubernetes-patch-strategy", "replace");
        if (merge || retain)
                kc_jw_str(w, "x-kubernetes-patch-strategy",
                    merge && retain ? "merge,retainKeys"
                    : merge         ? "merge"
                                    : "retainKeys");
        kc_jw_close(w, '}');
}

static void write_required(struct kc_jw *w, const struct kc_type *t)
{
        bool any = false;
        for (size_t i = 0; i < t->n_fields; i++) {
                const struct kc_field *f = &t->fields[t->order ? t->order[i] : i];
                if (!(f->flags & KC_FIELD_REQUIRED))
                        continue;
                if (!any)
                        kc_jw_open(w, "required", '[');
                any = true;
                kc_jw_str(w, NULL, f->name);
        }
        if (any)
                kc_jw_close(w, ']');
}

/* The group-versions to which upstream's scheme adds DeleteOptions and WatchEvent, those included that are not served
 * by default. */
static const char *const registered[] = {"/v1", "admission.k8s.io/v1", "admission.k8s.io/v1beta1",
    "admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1alpha1", "admissionregistration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1", "apiregistration.k8s.io/v1",
    "apiregistration.k8s.io/v1beta1", "apps/v1", "apps/v1beta1", "apps/v1beta2", "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1", "authentication.k8s.io/v1beta1", "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1", "autoscaling/v1", "autoscaling/v2", "batch/v1", "batch/v1beta1",
    "certificates.k8s.io/v1", "certificates.k8s.io/v1alpha1", "certificates.k8s.io/v1beta1", "coordination.k8s.io/v1",
    "coordination.k8s.io/v1alpha2", "coordination.k8s.io/v1beta1", "discovery.k8s.io/v1", "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1", "events.k8s.io/v1beta1", "extensions/v1beta1", "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1", "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3", "imagepolicy.k8s.io/v1alpha1", "internal.apiserver.k8s.io/v1alpha1",
    "networking.k8s.io/v1", "networking.k8s.io/v1beta1", "node.k8s.io/v1", "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1", "policy/v1", "policy/v1beta1", "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1alpha1", "rbac.authorization.k8s.io/v1beta1", "resource.k8s.io/v1",
    "resource.k8s.io/v1alpha3", "resource.k8s.io/v1beta1", "resource.k8s.io/v1beta2", "scheduling.k8s.io/v1",
    "scheduling.k8s.io/v1alpha2", "scheduling.k8s.io/v1beta1", "storage.k8s.io/v1", "storage.k8s.io/v1alpha1",
    "storage.k8s.io/v1beta1", "storagemigration.k8s.io/v1beta1"};

static void write_registered(struct kc_jw *w, const char *kind)
{
        for (size_t i = 0; i < KC_ARRAY_LEN(registered); i++) {
                const char *slash = strchr(registered[i], '/');
                KC_CLEANUP(kc_freep) char *group = kc_strndup(registered[i], (size_t)(slash - registered[i]));
                kc_openapi_gvk(w, NULL, group, slash + 1, kind);
        }
}

/* Group, version and kind of the types that are objects of the API. */
static void write_kinds(struct kc_jw *w, const struct kc_type *t)
{
        static const struct {
                const char *kind;
                bool everywhere;
        } meta[] = {{"DeleteOptions", true}, {"WatchEvent", true}, {"Status", false}, {"APIGroup", false},
            {"APIGroupList", false}, {"APIResourceList", false}, {"APIVersions", false}};
        for (size_t i = 0; i < KC_ARRAY_LEN(meta); i++) {
                if (!kc_str_has_prefix(t->name, KC_OPENAPI_META) ||
                    !kc_streq(t->name + strlen(KC_OPENAPI_META), meta[i].kind))
                        continue;
                kc_jw_open(w, "x-kubernetes-group-version-kind", '[');
                if (meta[i].everywhere)
                        write_registered(w, meta[i].kind);
                else
                        kc_openapi_gvk(w, NULL, "", "v1", meta[i].kind);
                kc_jw_close(w, ']');
                return;
        }
        const char *group, *version, *kind;
        if (!kc_schema_type_kind(t, &group, &version, &kind))
                return;
        kc_jw_open(w, "x-kubernetes-group-version-kind", '[');
        kc_openapi_gvk(w, NULL, group, version, kind);
        kc_jw_close(w, ']');
}

/* Of the fields of a union, one is set: the one that the discriminator names, if there is such a field. */
static void write_union(struct kc_jw *w, const struct kc_type *t)
{
        if (!t->union_fields)
                return;
        kc_jw_open(w, "x-kubernetes-unions", '[');
        kc_jw_open(w, NULL, '{');
        if (**t->union_fields)
                kc_jw_str(w, "discriminator", *t->union_fields);
        kc_jw_open(w, "fields-to-discriminateBy", '{');
        for (const char *const *f = t->union_fields + 1; *f; f++) {
                KC_CLEANUP(kc_freep) char *name = kc_strdup(*f);
                name[0] = (char)toupper((unsigned char)name[0]);
                kc_jw_str(w, *f, name);
        }
        kc_jw_close(w, '}');
        kc_jw_close(w, '}');
        kc_jw_close(w, ']');
}

/* What stands in the place of scalars that have a name. */
static bool write_named_scalar(struct kc_openapi *d, const struct kc_type *t)
{
        if (t->kind == KC_TYPE_OBJECT)
                return false;
        if (t->kind == KC_TYPE_VARIANT || t->preserve_unknown)
                return true; /* any type */
        bool either = d->v3 && (t->kind == KC_TYPE_QUANTITY || t->kind == KC_TYPE_INT_OR_STRING);
        if (!either) {
                write_plain(&d->w, t);
                return true;
        }
        kc_jw_raw(&d->w, "oneOf",
            t->kind == KC_TYPE_QUANTITY ? "[{\"type\":\"string\"},{\"type\":\"number\"}]"
                                        : "[{\"type\":\"integer\"},{\"type\":\"string\"}]");
        if (t->kind == KC_TYPE_INT_OR_STRING)
                kc_jw_str(&d->w, "format", "int-or-string");
        return true;
}

static void write_type(struct kc_openapi *d, const char *name, const struct kc_type *t)
{
        struct kc_jw *w = &d->w;
        kc_jw_open(w, name, '{');
        if (t->doc)
                kc_jw_str(w, "description", t->doc);
        if (!write_named_scalar(d, t)) {
                write_required(w, t);
                kc_jw_str(w, "type", "object");
                if (t->n_fields > 0) {
                        kc_jw_open(w, "properties", '{');
                        for (size_t i = 0; i < t->n_fields; i++)
                                write_field(d, &t->fields[i]);
                        kc_jw_close(w, '}');
                }
                write_kinds(w, t);
                if (t->map_atomic)
                        kc_jw_str(w, "x-kubernetes-map-type", "atomic");
                write_union(w, t);
        }
        kc_jw_close(w, '}');
}

static void write_version_info(struct kc_openapi *d, const char *name)
{
        static const char *const required[] = {"major", "minor", "gitVersion", "gitCommit", "gitTreeState", "buildDate",
            "goVersion", "compiler", "platform", NULL};
        static const char *const properties[] = {"buildDate", "compiler", "emulationMajor", "emulationMinor",
            "gitCommit", "gitTreeState", "gitVersion", "goVersion", "major", "minCompatibilityMajor",
            "minCompatibilityMinor", "minor", "platform"};
        struct kc_jw *w = &d->w;
        kc_jw_open(w, name, '{');
        kc_jw_str(w, "description", "What the server is and how it was built.");
        kc_jw_strs(w, "required", required);
        kc_jw_str(w, "type", "object");
        kc_jw_open(w, "properties", '{');
        for (size_t i = 0; i < KC_ARRAY_LEN(properties); i++)
                kc_jw_raw(w, properties[i], "{\"type\":\"string\"}");
        kc_jw_close(w, '}');
        kc_jw_close(w, '}');
}

static void write_by_name(struct kc_openapi *d, const char *name)
{
        const struct kc_type *t = kc_schema_type(name);
        for (enum kc_type_kind k = KC_TYPE_STRING; !t && k <= KC_TYPE_RAW; k++)
                if (kc_streq(kc_schema_scalar(k)->name, name))
                        t = kc_schema_scalar(k);
        if (t)
                write_type(d, name, t);
        else if (kc_streq(name, "io.k8s.apimachinery.pkg.version.Info"))
                write_version_info(d, name);
        else if (kc_streq(name, KC_OPENAPI_PATCH))
                kc_jw_raw(
                    &d->w, name, "{\"description\":\"A patch in one of the accepted formats.\",\"type\":\"object\"}");
}

static void collect(struct kc_openapi *d, const struct kc_type *t)
{
        for (; t && (t->kind == KC_TYPE_ARRAY || t->kind == KC_TYPE_MAP); t = t->elem)
                ;
        if (!t || !t->name || kc_map_has(d->types, t->name))
                return;
        remember(d, t->name);
        for (size_t i = 0; t->kind == KC_TYPE_OBJECT && i < t->n_fields; i++)
                collect(d, t->fields[i].type);
}

void kc_openapi_schemas(struct kc_openapi *d)
{
        KC_CLEANUP(kc_strv_freep) char **roots = kc_map_sorted_keys(d->types);
        for (char **name = roots; name && *name; name++) {
                const struct kc_type *t = kc_schema_type(*name);
                for (size_t i = 0; t && i < t->n_fields; i++)
                        collect(d, t->fields[i].type);
        }
        KC_CLEANUP(kc_strv_freep) char **all = kc_map_sorted_keys(d->types);
        for (char **name = all; name && *name; name++)
                write_by_name(d, *name);
}
