/* Bindings of roles. Any thread. */
#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "cli/generate/generate.h"

#define RBAC "rbac.authorization.k8s.io"

static void add_subject(struct json_object *subjects, struct json_object *take_subject)
{
        for (size_t i = 0; i < kc_json_len(subjects); i++)
                if (kc_json_equal(kc_json_idx(subjects, i), take_subject)) {
                        kc_json_free(take_subject);
                        return;
                }
        kc_json_push(subjects, take_subject);
}

int kc_generate_subjects(const struct kc_generate_binding *b, struct json_object *subjects, struct kc_error *err)
{
        for (char *const *u = b->users; u && *u; u++)
                add_subject(subjects, kc_json_build("{'kind':'User','apiGroup':'" RBAC "','name':%s}", *u));
        for (char *const *g = b->groups; g && *g; g++)
                add_subject(subjects, kc_json_build("{'kind':'Group','apiGroup':'" RBAC "','name':%s}", *g));
        for (char *const *s = b->service_accounts; s && *s; s++) {
                KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(*s, ':');
                if (kc_strv_len(parts) != 2 || !parts[0][0] || !parts[1][0])
                        return kc_error_set(err, EINVAL, "serviceaccount must be <namespace>:<name>");
                add_subject(
                    subjects, kc_json_build("{'kind':'ServiceAccount','name':%s,'namespace':%s}", parts[1], parts[0]));
        }
        return 0;
}

int kc_generate_binding(
    const struct kc_generate_binding *b, bool cluster, struct json_object **ret, struct kc_error *err)
{
        bool of_cluster = !kc_str_empty(b->cluster_role);
        if (!cluster && of_cluster == !kc_str_empty(b->role))
                return kc_error_set(err, EINVAL, "exactly one of clusterrole or role must be specified");
        struct json_object *subjects = json_object_new_array();
        KC_CLEANUP(kc_json_freep)
        struct json_object *obj = kc_json_build(
            "{'apiVersion':'" RBAC "/v1','kind':%s,'metadata':{'name':%s},'subjects':%o,'roleRef':{'apiGroup':'" RBAC
            "','kind':%s,'name':%s}}",
            cluster ? "ClusterRoleBinding" : "RoleBinding", b->name, subjects, of_cluster ? "ClusterRole" : "Role",
            of_cluster ? b->cluster_role : b->role);
        int e = kc_generate_subjects(b, subjects, err);
        if (e < 0)
                return e;
        if (kc_json_len(subjects) == 0)
                kc_json_del(obj, "subjects");
        *ret = KC_TAKE(obj);
        return 0;
}
