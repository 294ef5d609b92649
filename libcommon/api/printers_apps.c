/* Rows of workloads, leases, role bindings and priority classes. */
#include <ctype.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

static void count_cell(struct json_object *cells, const struct json_object *obj, const char *path)
{
        kc_cell_int(cells, kc_json_int_at(obj, path, 0));
}

static void template_cells(struct json_object *cells, const struct json_object *obj)
{
        kc_cells_containers(cells, kc_json_at(obj, "spec.template.spec"));
}

static void replica_cells(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        count_cell(cells, obj, "spec.replicas");
        count_cell(cells, obj, "status.replicas");
        count_cell(cells, obj, "status.readyReplicas");
        kc_cell_age(cells, obj, now);
        template_cells(cells, obj);
}

void kc_print_replication_controller(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        replica_cells(cells, obj, now);
        kc_cell_str_take(cells, kc_labels_format(kc_json_at(obj, "spec.selector")));
}

void kc_print_replica_set(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        replica_cells(cells, obj, now);
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.selector")));
}

void kc_print_deployment(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_asprintf("%lld/%lld", (long long)kc_json_int_at(obj, "status.readyReplicas", 0),
                                    (long long)kc_json_int_at(obj, "spec.replicas", 0)));
        count_cell(cells, obj, "status.updatedReplicas");
        count_cell(cells, obj, "status.availableReplicas");
        kc_cell_age(cells, obj, now);
        template_cells(cells, obj);
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.selector")));
}

void kc_print_stateful_set(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_asprintf("%lld/%lld", (long long)kc_json_int_at(obj, "status.readyReplicas", 0),
                                    (long long)kc_json_int_at(obj, "spec.replicas", 0)));
        kc_cell_age(cells, obj, now);
        template_cells(cells, obj);
}

void kc_print_pod_template(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        (void)now; /* no age */
        kc_cell_name(cells, obj);
        kc_cells_containers(cells, kc_json_at(obj, "template.spec"));
        kc_cell_str_take(cells, kc_labels_format(kc_json_at(obj, "template.metadata.labels")));
}

void kc_print_daemon_set(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        count_cell(cells, obj, "status.desiredNumberScheduled");
        count_cell(cells, obj, "status.currentNumberScheduled");
        count_cell(cells, obj, "status.numberReady");
        count_cell(cells, obj, "status.updatedNumberScheduled");
        count_cell(cells, obj, "status.numberAvailable");
        kc_cell_str_take(cells, kc_labels_format(kc_json_at(obj, "spec.template.spec.nodeSelector")));
        kc_cell_age(cells, obj, now);
        template_cells(cells, obj);
        kc_cell_str_take(cells, kc_label_selector_format(kc_json_at(obj, "spec.selector")));
}

/* "daemonset.apps/agent", or "<none>". */
static char *controller_name(const struct json_object *obj)
{
        const struct json_object *refs = kc_json_at(obj, "metadata.ownerReferences");
        for (size_t i = 0; i < kc_json_len(refs); i++) {
                const struct json_object *ref = kc_json_idx(refs, i);
                const char *kind = kc_json_str(ref, "kind"), *name = kc_json_str(ref, "name");
                const char *api_version = kc_json_str(ref, "apiVersion");
                if (!kc_json_bool(ref, "controller", false) || !kind || !name || !api_version)
                        continue;
                const char *slash = strchr(api_version, '/');
                char *text = slash ? kc_asprintf("%s.%.*s/%s", kind, (int)(slash - api_version), api_version, name)
                                   : kc_asprintf("%s/%s", kind, name);
                for (char *p = text; *p && *p != '/'; p++)
                        *p = (char)tolower((unsigned char)*p);
                return text;
        }
        return kc_strdup("<none>");
}

void kc_print_controller_revision(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, controller_name(obj));
        kc_cell_int(cells, kc_json_int(obj, "revision", 0));
        kc_cell_age(cells, obj, now);
}

void kc_print_lease(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "spec.holderIdentity"));
        kc_cell_age(cells, obj, now);
}

/* Names of the subjects of one kind; with_namespace: "ns/name". */
static void subjects_cell(
    struct json_object *cells, const struct json_object *subjects, const char *kind, bool with_namespace)
{
        KC_CLEANUP(kc_strv_freep) char **v = NULL;
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                const struct json_object *s = kc_json_idx(subjects, i);
                const char *name = kc_json_str(s, "name"), *ns = kc_json_str(s, "namespace");
                if (!kc_streq(kc_json_str(s, "kind"), kind))
                        continue;
                if (with_namespace)
                        kc_strv_pushf(&v, "%s/%s", ns ? ns : "", name ? name : "");
                else
                        kc_strv_push(&v, name ? name : "");
        }
        kc_cell_str_take(cells, v ? kc_strv_join(v, ", ") : kc_strdup(""));
}

void kc_print_role_binding(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const char *kind = kc_json_str_at(obj, "roleRef.kind"), *name = kc_json_str_at(obj, "roleRef.name");
        const struct json_object *subjects = kc_json_get(obj, "subjects");
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, kc_asprintf("%s/%s", kind ? kind : "", name ? name : ""));
        kc_cell_age(cells, obj, now);
        subjects_cell(cells, subjects, "User", false);
        subjects_cell(cells, subjects, "Group", false);
        subjects_cell(cells, subjects, "ServiceAccount", true);
}

void kc_print_priority_class(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_int(cells, kc_json_int(obj, "value", 0));
        kc_cell_bool(cells, kc_json_bool(obj, "globalDefault", false));
        kc_cell_age(cells, obj, now);
        kc_cell_str(cells, kc_json_str(obj, "preemptionPolicy"));
}
