/* OwnerReferencesPermissionEnforcement: whoever makes an object another one's dependent must be allowed to delete the
 * dependent; whoever makes it block the owner's deletion must be allowed to set the owner's finalizers. */
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "base/str.h"

static bool allowed(struct kc_admission *adm, const struct kc_authz_attrs *attrs)
{
        return kc_authz_authorize(kc_admission_authz(adm), attrs, NULL) == KC_ALLOW;
}

static bool may_delete(struct kc_admission *adm, const struct kc_admission_attrs *a)
{
        const struct kc_authz_attrs attrs = {
            .user = a->user,
            .verb = "delete",
            .resource_request = true,
            .ns = a->ns,
            .group = a->row->group,
            .version = a->row->version,
            .resource = a->row->resource,
            .subresource = "",
            .name = adm_name(a),
            .path = "",
        };
        return allowed(adm, &attrs);
}

static bool may_set_finalizers(
    struct kc_admission *adm, const struct kc_admission_attrs *a, const struct json_object *ref)
{
        KC_CLEANUP(kc_freep) char *group = NULL;
        KC_CLEANUP(kc_freep) char *version = NULL;
        const char *api_version = kc_json_str(ref, "apiVersion"), *kind = kc_json_str(ref, "kind"),
                   *name = kc_json_str(ref, "name");
        kc_api_version_split(api_version ? api_version : "", &group, &version);
        const struct kc_resource *row = kc_schema_kind(group, version, kind ? kind : "");
        if (!row)
                return false;
        const struct kc_authz_attrs attrs = {
            .user = a->user,
            .verb = "update",
            .resource_request = true,
            .ns = row->namespaced ? a->ns : "",
            .group = group,
            .version = version,
            .resource = row->resource,
            .subresource = "finalizers",
            .name = name ? name : "",
            .path = "",
        };
        return allowed(adm, &attrs);
}

static bool blocking_before(const struct json_object *old_refs, const struct json_object *ref)
{
        const char *uid = kc_json_str(ref, "uid");
        const struct json_object *old = uid ? kc_json_find(old_refs, "uid", uid) : NULL;
        return old && kc_json_bool(old, "blockOwnerDeletion", false);
}

ADM_VALIDATE(adm_owner_references)
{
        const struct json_object *refs = kc_json_at(a->obj, "metadata.ownerReferences");
        const struct json_object *old = kc_json_at(a->old, "metadata.ownerReferences");
        if (a->subresource[0] != '\0' || kc_json_equal(refs, old))
                return 0;
        if (!may_delete(adm, a))
                return adm_forbidden(err, a, "cannot set an ownerRef on a resource you can't delete");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                if (!kc_json_bool(ref, "blockOwnerDeletion", false) || blocking_before(old, ref))
                        continue;
                if (!may_set_finalizers(adm, a, ref))
                        return adm_forbidden(err, a,
                            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
                            "finalizers on");
        }
        return 0;
}
