/* NamespaceLifecycle: nothing is made in a namespace that does not exist or is being deleted, and the system's
 * namespaces stay. */
#include <errno.h>
#include <string.h>

#include "admission/admission_internal.h"
#include "api/object.h"
#include "base/str.h"

static const char *const immortal[] = {"default", "kube-system", "kube-public", NULL};

static bool is_access_review(const struct kc_admission_attrs *a)
{
        return strcmp(a->row->group, "authorization.k8s.io") == 0 &&
               strcmp(a->row->resource, "localsubjectaccessreviews") == 0;
}

static bool terminating(const struct kc_object *ns)
{
        return kc_streq(kc_json_str_at(kc_object_json(ns), "status.phase"), "Terminating");
}

ADM_ADMIT(adm_namespace_lifecycle)
{
        bool is_namespace = strcmp(a->row->group, "") == 0 && strcmp(a->row->resource, "namespaces") == 0;
        if (a->op == KC_ADMIT_DELETE && is_namespace && kc_strv_has((char *const *)immortal, a->name))
                return adm_forbidden(err, a, "this namespace may not be deleted");
        if (is_namespace || a->ns[0] == '\0' || a->op == KC_ADMIT_DELETE || is_access_review(a))
                return 0;
        KC_CLEANUP(kc_object_unrefp) struct kc_object *ns = NULL;
        /* What the cache does not have yet, the store may have. */
        if (kc_resources_get(kc_admission_resources(adm), "", "namespaces", "", a->ns, &ns, NULL) < 0) {
                int r = kc_resources_get_live(kc_admission_resources(adm), "", "namespaces", "", a->ns, &ns, err);
                if (r < 0)
                        return r;
        }
        if (a->op != KC_ADMIT_CREATE || !terminating(ns))
                return 0;
        int r =
            adm_forbidden(err, a, "unable to create new content in namespace %s because it is being terminated", a->ns);
        KC_CLEANUP(kc_freep) char *why = kc_asprintf("namespace %s is being terminated", a->ns);
        if (err)
                kc_error_add_cause(err, "NamespaceTerminating", "metadata.namespace", why);
        return r;
}
