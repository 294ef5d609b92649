/* CustomResourceDefinitions: names, versions, subresources, columns, conversion. Upstream validates its internal form,
 * in which what all versions have in common stands at the top: so do the paths of errors. Any thread. */
#include <ctype.h>
#include <string.h>

#include "api/object.h"
#include "api/validation_admission.h"
#include "api/validation_crd.h"
#include "base/mem.h"
#include "base/str.h"

#define APPROVAL "api-approved.kubernetes.io"

static const struct kc_vpath spec_path = {.kind = KC_VPATH_CHILD, .key = "spec"};
static const struct kc_vpath status_path = {.kind = KC_VPATH_CHILD, .key = "status"};

/* All messages of a check in one error. */
static void joined(struct kc_v *v, const struct kc_vpath *p, const char *value, bool any_case, kc_name_fn check)
{
        struct kc_why why = {0};
        KC_CLEANUP(kc_freep) char *checked = kc_strdup(value);
        for (char *c = checked; any_case && *c; c++)
                *c = (char)tolower((unsigned char)*c);
        check(checked, &why);
        KC_CLEANUP(kc_freep) char *all = kc_why_join(&why, ",");
        KC_CLEANUP(kc_freep)
        char *detail = kc_asprintf("%s%s", any_case ? "may have mixed case, but should otherwise match: " : "", all);
        if (why.n)
                kc_v_invalid_str(v, p, value, detail);
}

/* --- Names */

static void names(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        static const struct {
                const char *key;
                bool any_case;
        } fields[] = {{"plural", false}, {"singular", false}, {"kind", true}, {"listKind", true}};
        const struct json_object *shorts = kc_json_get(o, "shortNames"), *categories = kc_json_get(o, "categories");
        const char *kind = kc_v_str(o, "kind"), *list_kind = kc_v_str(o, "listKind");
        for (size_t i = 0; i < KC_ARRAY_LEN(fields); i++)
                if (*kc_v_str(o, fields[i].key))
                        joined(v, V_CHILD(p, fields[i].key), kc_v_str(o, fields[i].key), fields[i].any_case,
                            kc_name_dns1035_label);
        for (size_t i = 0; i < kc_json_len(shorts); i++) {
                const char *s = kc_json_as_str(kc_json_idx(shorts, i));
                joined(v, V_INDEX(V_CHILD(p, "shortNames"), i), s ? s : "", false, kc_name_dns1035_label);
        }
        if (*kind && kc_streq(kind, list_kind))
                kc_v_invalid_str(v, V_CHILD(p, "listKind"), list_kind, "kind and listKind may not be the same");
        for (size_t i = 0; i < kc_json_len(categories); i++) {
                const char *s = kc_json_as_str(kc_json_idx(categories, i));
                joined(v, V_INDEX(V_CHILD(p, "categories"), i), s ? s : "", false, kc_name_dns1035_label);
        }
}

static void required_names(struct kc_v *v, const struct json_object *o)
{
        static const char *const keys[] = {"plural", "singular", "kind", "listKind"};
        for (size_t i = 0; i < KC_ARRAY_LEN(keys); i++)
                if (!*kc_v_str(o, keys[i]))
                        kc_v_required(v, V_CHILD2(&spec_path, "names", keys[i]), "");
}

static void group(struct kc_v *v, const char *name)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "group");
        size_t before = v->errors->n;
        if (!*name) {
                kc_v_required(v, p, "");
                return;
        }
        joined(v, p, name, false, kc_name_dns1123_subdomain);
        if (v->errors->n == before && !strchr(name, '.'))
                kc_v_invalid_str(v, p, name, "should be a domain with at least one dot");
}

/* --- What versions have */

static bool simple_path(struct kc_v *v, const struct kc_vpath *p, const char *path)
{
        if (*path == '.')
                return true;
        kc_v_invalid_str(v, p, path, "must be a simple json path starting with .");
        return false;
}

static void columns(struct kc_v *v, const struct kc_vpath *p, const struct json_object *list)
{
        static const char *const types[] = {"boolean", "date", "integer", "number", "string", NULL};
        static const char *const formats[] = {
            "binary", "bool", "byte", "date", "date-time", "double", "float", "int32", "int64", "password", NULL};
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *c = kc_json_idx(list, i);
                const struct kc_vpath *at = V_INDEX(V_CHILD(p, "additionalPrinterColumns"), i);
                const char *type = kc_v_str(c, "type"), *format = kc_v_str(c, "format");
                const char *path = kc_v_str(c, "jsonPath");
                if (!*kc_v_str(c, "name"))
                        kc_v_required(v, V_CHILD(at, "name"), "");
                if (!*type)
                        kc_v_required(v, V_CHILD(at, "type"), "must be one of boolean,date,integer,number,string");
                else if (!kc_v_in(type, types))
                        kc_v_invalid_str(
                            v, V_CHILD(at, "type"), type, "must be one of boolean,date,integer,number,string");
                if (*format && !kc_v_in(format, formats))
                        kc_v_invalid_str(v, V_CHILD(at, "format"), format,
                            "must be one of binary,bool,byte,date,date-time,double,float,int32,int64,password");
                if (!*path)
                        kc_v_required(v, V_CHILD(at, "JSONPath"), "");
                else
                        (void)simple_path(v, V_CHILD(at, "JSONPath"), path); /* noted if not */
        }
}

static void replicas_path(struct kc_v *v, const struct kc_vpath *p, const char *path, const char *below)
{
        KC_CLEANUP(kc_freep) char *prefix = kc_asprintf("%s.", below);
        KC_CLEANUP(kc_freep) char *detail = kc_asprintf("should be a json path under %s", below);
        if (!*path)
                kc_v_required(v, p, "");
        else if (simple_path(v, p, path) && !kc_str_has_prefix(path, prefix))
                kc_v_invalid_str(v, p, path, detail);
}

static void subresources(struct kc_v *v, const struct kc_vpath *p, const struct json_object *o)
{
        const struct json_object *scale = kc_json_get(o, "scale");
        const char *labels = kc_v_str(scale, "labelSelectorPath");
        const struct kc_vpath *at = V_CHILD2(p, "subresources", "scale.labelSelectorPath");
        if (!scale)
                return;
        replicas_path(
            v, V_CHILD2(p, "subresources", "scale.specReplicasPath"), kc_v_str(scale, "specReplicasPath"), ".spec");
        replicas_path(v, V_CHILD2(p, "subresources", "scale.statusReplicasPath"), kc_v_str(scale, "statusReplicasPath"),
            ".status");
        if (*labels && simple_path(v, at, labels) && !kc_str_has_prefix(labels, ".spec.") &&
            !kc_str_has_prefix(labels, ".status."))
                kc_v_invalid_str(v, at, labels, "should be a json path under either .status or .spec");
}

static void deprecation(struct kc_v *v, const struct kc_vpath *p, const struct json_object *version)
{
        enum { MAX_WARNING = 256 };
        const char *warning = kc_json_str(version, "deprecationWarning");
        const struct kc_vpath *at = V_CHILD(p, "deprecationWarning");
        if (!warning)
                return;
        if (!kc_json_bool(version, "deprecated", false)) {
                kc_v_invalid_str(v, at, warning, "can only be set for deprecated versions");
                return;
        }
        if (strlen(warning) > MAX_WARNING)
                kc_v_invalid_str(v, at, warning, "must be <= 256 characters long");
        if (!*warning)
                kc_v_invalid_str(v, at, warning, "must not be an empty string");
        for (size_t i = 0; warning[i]; i++) {
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf(
                    "must only contain printable UTF-8 characters; non-printable character found at index %zu", i);
                if ((unsigned char)warning[i] >= 0x20 && warning[i] != 0x7f)
                        continue;
                kc_v_invalid_str(v, at, warning, detail);
                return;
        }
}

static bool has_status(const struct json_object *version)
{
        return kc_json_get(kc_json_get(version, "subresources"), "status") != NULL;
}

/* Have all versions the same of it, and something? */
static bool in_common(const struct json_object *versions, const char *key)
{
        const struct json_object *first = kc_json_get(kc_json_idx(versions, 0), key);
        for (size_t i = 0; i < kc_json_len(versions); i++) {
                const struct json_object *o = kc_json_get(kc_json_idx(versions, i), key);
                if (!o || !kc_json_equal(o, first))
                        return false;
        }
        return kc_json_len(versions) > 0;
}

static void version(
    struct kc_v *v, const struct kc_vpath *p, const struct json_object *o, const struct json_object *versions)
{
        joined(v, V_CHILD(p, "name"), kc_v_str(o, "name"), false, kc_name_dns1035_label);
        deprecation(v, p, o);
        if (!in_common(versions, "schema") && kc_json_get(o, "schema"))
                kc_v_crd_validation(v, V_CHILD(p, "schema"), kc_json_get(o, "schema"), has_status(o));
        if (!in_common(versions, "subresources"))
                subresources(v, p, kc_json_get(o, "subresources"));
        if (!in_common(versions, "additionalPrinterColumns"))
                columns(v, p, kc_json_get(o, "additionalPrinterColumns"));
}

static void versions(struct kc_v *v, const struct json_object *list)
{
        const struct kc_vpath *p = V_CHILD(&spec_path, "versions");
        KC_CLEANUP(kc_map_freep) struct kc_map *seen = kc_map_new(NULL);
        size_t stored = 0;
        bool unique = true;
        for (size_t i = 0; i < kc_json_len(list); i++)
                if (!kc_json_at(kc_json_idx(list, i), "schema.openAPIV3Schema"))
                        kc_v_required(v, V_CHILD2(V_INDEX(p, i), "schema", "openAPIV3Schema"), "");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *o = kc_json_idx(list, i);
                stored += kc_json_bool(o, "storage", false);
                unique = kc_v_first(seen, kc_v_str(o, "name")) && unique;
                version(v, V_INDEX(p, i), o, list);
        }
        if (!unique)
                kc_v_invalid(v, p, list, "must contain unique version names");
        if (stored != 1)
                kc_v_invalid(v, p, list, "must have exactly one version marked as storage version");
        /* The first is upstream's spec.version. */
        if (kc_json_len(list) > 0 && *kc_v_str(kc_json_idx(list, 0), "name"))
                joined(v, V_CHILD(&spec_path, "version"), kc_v_str(kc_json_idx(list, 0), "name"), false,
                    kc_name_dns1035_label);
}

static void common(struct kc_v *v, const struct json_object *list)
{
        const struct json_object *first = kc_json_idx(list, 0);
        bool status = false;
        for (size_t i = 0; i < kc_json_len(list); i++)
                status = status || has_status(kc_json_idx(list, i));
        if (in_common(list, "schema"))
                kc_v_crd_validation(v, V_CHILD(&spec_path, "validation"), kc_json_get(first, "schema"), status);
        if (in_common(list, "subresources"))
                subresources(v, &spec_path, kc_json_get(first, "subresources"));
        if (in_common(list, "additionalPrinterColumns"))
                columns(v, &spec_path, kc_json_get(first, "additionalPrinterColumns"));
}

static void conversion(struct kc_v *v, const struct json_object *o)
{
        static const char *const strategies[] = {"None", "Webhook", NULL};
        const struct json_object *webhook = kc_json_get(o, "webhook"), *client = kc_json_get(webhook, "clientConfig");
        const struct json_object *reviews = kc_json_get(webhook, "conversionReviewVersions");
        const struct kc_vpath *p = V_CHILD(&spec_path, "conversion");
        const char *strategy = kc_v_str(o, "strategy");
        if (!o)
                return;
        kc_v_enum(v, V_CHILD(p, "strategy"), strategy, strategies);
        if (!kc_streq(strategy, "Webhook")) {
                static const char unused[] = "should not be set when strategy is not set to Webhook";
                if (client)
                        kc_v_forbidden(v, V_CHILD(p, "webhookClientConfig"), unused);
                if (kc_json_len(reviews) > 0)
                        kc_v_forbidden(v, V_CHILD(p, "conversionReviewVersions"), unused);
                return;
        }
        if (client)
                kc_v_webhook_client(v, V_CHILD(p, "webhookClientConfig"), client);
        else
                kc_v_required(v, V_CHILD(p, "webhookClientConfig"), "required when strategy is set to Webhook");
        if (kc_json_len(reviews) > 0)
                kc_v_review_versions(v, V_CHILD(p, "conversionReviewVersions"), reviews, true);
        else
                kc_v_required(v, V_CHILD(p, "conversionReviewVersions"), "");
}

/* --- The object */

static void definition_spec(struct kc_v *v, const struct json_object *spec)
{
        static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
        const struct json_object *list = kc_json_get(spec, "versions");
        group(v, kc_v_str(spec, "group"));
        kc_v_enum(v, V_CHILD(&spec_path, "scope"), kc_v_str(spec, "scope"), scopes);
        versions(v, list);
        required_names(v, kc_json_get(spec, "names"));
        names(v, V_CHILD(&spec_path, "names"), kc_json_get(spec, "names"));
        common(v, list);
        conversion(v, kc_json_get(spec, "conversion"));
}

static void stored_versions(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *stored = kc_json_at(o, "status.storedVersions"),
                                 *list = kc_json_at(o, "spec.versions");
        const struct kc_vpath *p = V_CHILD(&status_path, "storedVersions");
        KC_CLEANUP(kc_map_freep) struct kc_map *known = kc_v_index(list, "name"), *in = kc_v_index(stored, NULL);
        if (kc_json_len(stored) == 0) {
                kc_v_invalid(v, p, stored, "must have at least one stored version");
                return;
        }
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const char *name = kc_v_str(kc_json_idx(list, i), "name");
                KC_CLEANUP(kc_freep) char *detail = kc_asprintf("must have the storage version %s", name);
                if (kc_json_bool(kc_json_idx(list, i), "storage", false) && !kc_map_has(in, name))
                        kc_v_invalid(v, p, stored, detail);
        }
        for (size_t i = 0; i < kc_json_len(stored); i++) {
                const char *s = kc_json_as_str(kc_json_idx(stored, i));
                KC_CLEANUP(kc_freep)
                char *detail = kc_asprintf("missing from spec.versions; %s was previously a storage version, and must "
                                           "remain in spec.versions until a storage migration ensures no data remains "
                                           "persisted in %s and removes %s from status.storedVersions",
                    s, s, s);
                if (s && !kc_map_has(known, s))
                        kc_v_invalid_str(v, V_INDEX(p, i), s, detail);
        }
}

static bool is_community_group(const char *name)
{
        return kc_streq(name, "k8s.io") || kc_streq(name, "kubernetes.io") || kc_str_has_suffix(name, ".k8s.io") ||
               kc_str_has_suffix(name, ".kubernetes.io");
}

static void approval(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const char *value = kc_json_str(kc_json_at(o, "metadata.annotations"), APPROVAL);
        const char *before = kc_json_str(kc_json_at(old, "metadata.annotations"), APPROVAL);
        const struct kc_vpath *p = V_KEY(V_CHILD2(NULL, "metadata", "annotations"), APPROVAL);
        const char *host = value ? strstr(value, "://") : NULL;
        if (!is_community_group(kc_v_str(kc_json_get(o, "spec"), "group")) || (old && kc_streq(value, before)))
                return;
        if (!value)
                kc_v_required(v, p,
                    "protected groups must have approval annotation \"" APPROVAL
                    "\", see https://github.com/kubernetes/enhancements/pull/1111");
        else if (!kc_str_has_prefix(value, "unapproved") && !(host && host != value && host[3]))
                kc_v_invalid_str(v, p, value,
                    "protected groups must have approval annotation \"" APPROVAL
                    "\" with either a URL or a reason starting with \"unapproved\", see "
                    "https://github.com/kubernetes/enhancements/pull/1111");
}

static void unknown_fields(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        const struct json_object *keep = kc_json_at(o, "spec.preserveUnknownFields");
        if (kc_json_bool_at(o, "spec.preserveUnknownFields", false) &&
            !kc_json_bool_at(old, "spec.preserveUnknownFields", false))
                kc_v_invalid(v, V_CHILD(&spec_path, "preserveUnknownFields"), keep,
                    "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema "
                    "instead");
}

static void rest(struct kc_v *v, const struct json_object *o, const struct json_object *old)
{
        names(v, V_CHILD(&status_path, "acceptedNames"), kc_json_at(o, "status.acceptedNames"));
        stored_versions(v, o);
        approval(v, o, old);
        unknown_fields(v, o, old);
}

void kc_v_create_custom_resource_definition(struct kc_v *v, const struct json_object *o)
{
        const struct json_object *spec = kc_json_get(o, "spec");
        const char *name = kc_v_str(kc_json_get(o, "metadata"), "name");
        KC_CLEANUP(kc_freep)
        char *required = kc_asprintf("%s.%s", kc_v_str(kc_json_get(spec, "names"), "plural"), kc_v_str(spec, "group"));
        kc_v_meta(v, o, false, kc_name_dns1123_subdomain);
        if (*name && !kc_streq(name, required))
                kc_v_invalid_str(
                    v, V_CHILD2(NULL, "metadata", "name"), name, "must be spec.names.plural+\".\"+spec.group");
        definition_spec(v, spec);
        rest(v, o, NULL);
}

void kc_v_update_custom_resource_definition(
    struct kc_v *v, const struct json_object *o, const struct json_object *old, const char *subresource)
{
        const struct json_object *spec = kc_json_get(o, "spec"), *old_spec = kc_json_get(old, "spec");
        const struct json_object *now = kc_json_get(spec, "names"), *before = kc_json_get(old_spec, "names");
        const struct kc_vpath *p = V_CHILD(&spec_path, "names");
        kc_v_meta_update(v, o, old);
        if (kc_streq(subresource, "status")) {
                names(v, V_CHILD(&status_path, "acceptedNames"), kc_json_at(o, "status.acceptedNames"));
                return;
        }
        definition_spec(v, spec);
        if (kc_condition_is_true(kc_json_get(old, "status"), "Established")) {
                kc_v_immutable(
                    v, V_CHILD(&spec_path, "scope"), kc_json_get(spec, "scope"), kc_json_get(old_spec, "scope"));
                kc_v_immutable(v, V_CHILD(p, "kind"), kc_json_get(now, "kind"), kc_json_get(before, "kind"));
        }
        kc_v_immutable(v, V_CHILD(&spec_path, "group"), kc_json_get(spec, "group"), kc_json_get(old_spec, "group"));
        kc_v_immutable(v, V_CHILD(p, "plural"), kc_json_get(now, "plural"), kc_json_get(before, "plural"));
        rest(v, o, old);
}
