/* Node, Namespace. */
#include <stdlib.h>
#include <string.h>

#include "api/quantity.h"
#include "cli/describe/internal.h"

#define ROLE_PREFIX "node-role.kubernetes.io/"

static void describe_roles(struct kc_describing *d)
{
        KC_CLEANUP(kc_strv_freep) char **roles = NULL;
        KC_JSON_FOREACH(kc_meta_labels(d->obj), key, val)
        {
                const char *value = kc_json_as_str(val);
                if (kc_str_has_prefix(key, ROLE_PREFIX) && key[strlen(ROLE_PREFIX)])
                        kc_strv_push(&roles, key + strlen(ROLE_PREFIX));
                else if (kc_streq(key, "kubernetes.io/role") && !kc_str_empty(value))
                        kc_strv_push(&roles, value);
        }
        if (roles)
                kc_strv_sort_uniq(roles);
        KC_CLEANUP(kc_freep) char *text = roles ? kc_strv_join(roles, ",") : kc_strdup("<none>");
        kc_line(d, 0, "Roles:\t%s\n", text);
}

static void describe_taints(struct kc_describing *d)
{
        const struct json_object *taints = kc_json_at(d->obj, "spec.taints");
        KC_CLEANUP(kc_strv_freep) char **lines = NULL;
        for (size_t i = 0; i < kc_json_len(taints); i++) {
                const struct json_object *t = kc_json_idx(taints, i);
                const char *value = kc_text(t, "value"), *effect = kc_text(t, "effect");
                /* Sorted by effect and key, which are cut off again. */
                kc_strv_pushf(&lines, "%s,%s\n%s%s%s%s%s", effect, kc_text(t, "key"), kc_text(t, "key"),
                    value[0] ? "=" : "", value, effect[0] ? ":" : "", effect);
        }
        if (lines)
                kc_strv_sort(lines);
        kc_line(d, 0, "Taints:\t%s", lines ? "" : "<none>\n");
        for (char **l = lines; l && *l; l++)
                kc_line(d, 0, "%s%s\n", l == lines ? "" : "\t", strchr(*l, '\n') + 1);
}

static void describe_lease(struct kc_describing *d)
{
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *lease = NULL;
        if (kc_rest_get(d->rest, &KC_LEASES, "kube-node-lease", kc_meta_name(d->obj), &lease, &why) < 0) {
                kc_line(d, 0, "Lease:\tFailed to get lease: %s\n", kc_error_message(&why));
                return;
        }
        const char *holder = kc_json_str_at(lease, "spec.holderIdentity"),
                   *acquired = kc_json_str_at(lease, "spec.acquireTime"),
                   *renewed = kc_json_str_at(lease, "spec.renewTime");
        KC_CLEANUP(kc_freep) char *acquired_text = kc_time_words(acquired);
        KC_CLEANUP(kc_freep) char *renewed_text = kc_time_words(renewed);
        kc_line(d, 0, "Lease:\n");
        kc_line(d, 1, "HolderIdentity:\t%s\n", holder ? holder : "<unset>");
        kc_line(d, 1, "AcquireTime:\t%s\n", acquired ? acquired_text : "<unset>");
        kc_line(d, 1, "RenewTime:\t%s\n", renewed ? renewed_text : "<unset>");
}

static void describe_status(struct kc_describing *d)
{
        const struct json_object *status = kc_json_get(d->obj, "status"),
                                 *conditions = kc_json_get(status, "conditions"),
                                 *addresses = kc_json_get(status, "addresses");
        if (kc_json_len(conditions) > 0)
                kc_line(d, 0,
                    "Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n"
                    "  ----\t------\t-----------------\t------------------\t------\t-------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                KC_CLEANUP(kc_freep) char *seen = kc_time_words(kc_json_str(c, "lastHeartbeatTime"));
                KC_CLEANUP(kc_freep) char *changed = kc_time_words(kc_json_str(c, "lastTransitionTime"));
                kc_line(d, 1, "%s \t%s \t%s \t%s \t%s \t%s\n", kc_text(c, "type"), kc_text(c, "status"), seen, changed,
                    kc_text(c, "reason"), kc_text(c, "message"));
        }
        kc_line(d, 0, "Addresses:\n");
        for (size_t i = 0; i < kc_json_len(addresses); i++) {
                const struct json_object *a = kc_json_idx(addresses, i);
                kc_line(d, 1, "%s:\t%s\n", kc_text(a, "type"), kc_text(a, "address"));
        }
        static const char *const lists[][2] = {{"Capacity", "capacity"}, {"Allocatable", "allocatable"}};
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++) {
                const struct json_object *list = kc_json_get(status, lists[i][1]);
                KC_CLEANUP(kc_strv_freep) char **names = kc_sorted_keys(list);
                if (names)
                        kc_line(d, 0, "%s:\n", lists[i][0]);
                for (char **n = names; n && *n; n++) {
                        KC_CLEANUP(kc_freep) char *q = kc_quantity_words(list, *n);
                        kc_line(d, 1, "%s:\t%s\n", *n, q);
                }
        }
}

static void describe_system(struct kc_describing *d)
{
        static const char *const rows[][2] = {{"Machine ID", "machineID"}, {"System UUID", "systemUUID"},
            {"Boot ID", "bootID"}, {"Kernel Version", "kernelVersion"}, {"OS Image", "osImage"},
            {"Operating System", "operatingSystem"}, {"Architecture", "architecture"},
            {"Container Runtime Version", "containerRuntimeVersion"}, {"Kubelet Version", "kubeletVersion"},
            {"Kube-Proxy Version", "kubeProxyVersion"}};
        const struct json_object *info = kc_json_at(d->obj, "status.nodeInfo");
        KC_CLEANUP(kc_freep) char *cidrs = kc_joined(kc_json_at(d->obj, "spec.podCIDRs"), ",");
        kc_line(d, 0, "System Info:\n");
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++)
                kc_line(d, 1, "%s:\t%s\n", rows[i][0], kc_text(info, rows[i][1]));
        if (kc_text(d->obj, "spec.podCIDR")[0])
                kc_line(d, 0, "PodCIDR:\t%s\n", kc_text(d->obj, "spec.podCIDR"));
        if (cidrs[0])
                kc_line(d, 0, "PodCIDRs:\t%s\n", cidrs);
        if (kc_text(d->obj, "spec.providerID")[0])
                kc_line(d, 0, "ProviderID:\t%s\n", kc_text(d->obj, "spec.providerID"));
}

/* --- what its pods ask for */

static bool read_quantity(
    const struct json_object *resources, const char *list, const char *name, struct kc_quantity *ret)
{
        const char *s = kc_json_str(kc_json_get(resources, list), name);
        *ret = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
        return s && kc_quantity_parse(s, ret) == 0;
}

/* Keeps the suffixes of the first one that is not zero. */
static void add(struct kc_quantity *sum, const struct kc_quantity *q)
{
        if (sum->nano == 0)
                sum->format = q->format;
        kc_quantity_add(sum, q);
}

static void raise_to(struct kc_quantity *a, const struct kc_quantity *b)
{
        if (kc_quantity_cmp(a, b) < 0)
                *a = *b;
}

/* list: "requests" or "limits". */
static struct kc_quantity pod_total(const struct json_object *pod, const char *list, const char *name)
{
        const struct json_object *spec = kc_json_get(pod, "spec"), *containers = kc_json_get(spec, "containers"),
                                 *inits = kc_json_get(spec, "initContainers");
        struct kc_quantity total, sidecars, peak, q;
        bool whole = kc_streq(name, "cpu") || kc_streq(name, "memory") || kc_str_has_prefix(name, "hugepages-");
        total = sidecars = peak = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
        for (size_t i = 0; i < kc_json_len(containers); i++)
                if (read_quantity(kc_json_get(kc_json_idx(containers, i), "resources"), list, name, &q))
                        add(&total, &q);
        for (size_t i = 0; i < kc_json_len(inits); i++) {
                const struct json_object *c = kc_json_idx(inits, i);
                (void)read_quantity(kc_json_get(c, "resources"), list, name, &q);
                if (kc_streq(kc_json_str(c, "restartPolicy"), "Always")) {
                        add(&total, &q);
                        add(&sidecars, &q);
                        q = sidecars;
                } else {
                        add(&q, &sidecars);
                }
                raise_to(&peak, &q);
        }
        raise_to(&total, &peak);
        if (whole && read_quantity(kc_json_get(spec, "resources"), list, name, &q))
                total = q;
        const char *overhead = kc_json_str(kc_json_get(spec, "overhead"), name);
        bool counts = kc_streq(list, "requests") || total.nano != 0;
        if (overhead && counts && kc_quantity_parse(overhead, &q) == 0)
                add(&total, &q);
        return total;
}

static int64_t percent(const struct kc_quantity *part, const struct json_object *all, const char *name)
{
        struct kc_quantity whole;
        const char *s = kc_json_str(all, name);
        if (!s || kc_quantity_parse(s, &whole) < 0 || whole.nano == 0)
                return 0;
        bool cpu = kc_streq(name, "cpu");
        double a = (double)(cpu ? kc_quantity_milli(part) : kc_quantity_value(part));
        double b = (double)(cpu ? kc_quantity_milli(&whole) : kc_quantity_value(&whole));
        return b > 0 ? (int64_t)(a / b * 100) : 0;
}

static void add_share(
    struct kc_describing *d, const struct kc_quantity *q, const struct json_object *all, const char *name)
{
        char buf[KC_QUANTITY_LEN];
        kc_line(d, 0, "%s (%lld%%)", kc_quantity_format(q, buf), (long long)percent(q, all, name));
}

static void describe_pod(struct kc_describing *d, const struct json_object *pod, const struct json_object *all)
{
        static const char *const names[] = {"cpu", "memory"}, *const lists[] = {"requests", "limits"};
        char buf[KC_TIME_LEN];
        kc_line(d, 1, "%s\t%s\t\t", kc_text(pod, "metadata.namespace"), kc_text(pod, "metadata.name"));
        for (size_t n = 0; n < KC_ARRAY_LEN(names); n++)
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                        struct kc_quantity q = pod_total(pod, lists[l], names[n]);
                        add_share(d, &q, all, names[n]);
                        kc_line(d, 0, "\t");
                }
        kc_line(d, 0, "%s\n", kc_since(kc_json_str_at(pod, "metadata.creationTimestamp"), buf));
}

static void describe_total(struct kc_describing *d, const struct json_object *pods, const struct json_object *all,
    const char *name, bool share)
{
        static const char *const lists[] = {"requests", "limits"};
        char buf[KC_QUANTITY_LEN];
        kc_line(d, 1, "%s", name);
        for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                struct kc_quantity sum = kc_quantity_from_int(0, KC_QUANTITY_DECIMAL_SI);
                for (size_t i = 0; i < kc_json_len(pods); i++) {
                        struct kc_quantity q = pod_total(kc_json_idx(pods, i), lists[l], name);
                        add(&sum, &q);
                }
                kc_line(d, 0, "\t");
                if (share)
                        add_share(d, &sum, all, name);
                else
                        kc_line(d, 0, "%s", kc_quantity_format(&sum, buf));
        }
        kc_line(d, 0, "\n");
}

static bool is_extended(const char *name)
{
        static const char *const standard[] = {"cpu", "memory", "ephemeral-storage", "pods", "storage"};
        for (size_t i = 0; i < KC_ARRAY_LEN(standard); i++)
                if (kc_streq(name, standard[i]))
                        return false;
        return !kc_str_has_prefix(name, "hugepages-");
}

static void describe_pods(struct kc_describing *d, const struct json_object *pods)
{
        static const char *const basic[] = {"cpu", "memory", "ephemeral-storage"};
        const struct json_object *all = kc_json_at(d->obj, "status.allocatable");
        if (kc_json_n_keys(all) == 0)
                all = kc_json_at(d->obj, "status.capacity");
        kc_line(d, 0, "Non-terminated Pods:\t(%zu in total)\n", kc_json_len(pods));
        kc_line(d, 1, "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n");
        kc_line(d, 1, "---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n");
        for (size_t i = 0; i < kc_json_len(pods); i++)
                describe_pod(d, kc_json_idx(pods, i), all);
        kc_line(d, 0, "Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n");
        kc_line(d, 1, "Resource\tRequests\tLimits\n");
        kc_line(d, 1, "--------\t--------\t------\n");
        for (size_t i = 0; i < KC_ARRAY_LEN(basic); i++)
                describe_total(d, pods, all, basic[i], true);
        KC_CLEANUP(kc_strv_freep) char **names = kc_sorted_keys(all);
        for (char **n = names; n && *n; n++)
                if (kc_str_has_prefix(*n, "hugepages-"))
                        describe_total(d, pods, all, *n, true);
        for (char **n = names; n && *n; n++)
                if (is_extended(*n))
                        describe_total(d, pods, all, *n, false);
}

int kc_describe_node(struct kc_describing *d, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pods = NULL;
        KC_CLEANUP(kc_freep) char *created = kc_time_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        KC_CLEANUP(kc_freep)
        char *of_node =
            kc_asprintf("spec.nodeName=%s,status.phase!=Succeeded,status.phase!=Failed", kc_meta_name(d->obj));
        int e = kc_describe_list(d, &KC_PODS, NULL, NULL, of_node, &pods, err);
        if (e < 0 && !kc_error_is(err, KC_REASON_FORBIDDEN))
                return e;
        kc_error_done(err);
        kc_describe_name(d);
        describe_roles(d);
        kc_describe_meta(d);
        kc_line(d, 0, "CreationTimestamp:\t%s\n", created);
        describe_taints(d);
        kc_line(d, 0, "Unschedulable:\t%s\n", kc_bool_word(kc_json_bool_at(d->obj, "spec.unschedulable", false)));
        describe_lease(d);
        describe_status(d);
        describe_system(d);
        if (e < 0)
                kc_line(d, 0, "Pods:\tnot authorized\n");
        else
                describe_pods(d, pods);
        /* The kubelet's events have the name for a uid. */
        const char *uids[] = {kc_text(d->obj, "metadata.name"), kc_text(d->obj, "metadata.uid")};
        kc_describe_events_of(d, uids, KC_ARRAY_LEN(uids));
        return 0;
}

/* --- Namespace */

int kc_describe_namespace_object(struct kc_describing *d, struct kc_error *err)
{
        static const struct kc_gvr ranges_gvr = {"", "v1", "limitranges", "LimitRange", true};
        const struct json_object *conditions = kc_json_at(d->obj, "status.conditions");
        KC_CLEANUP(kc_json_freep) struct json_object *quotas = NULL, *ranges = NULL;
        int e = kc_describe_list(d, &KC_RESOURCEQUOTAS, kc_meta_name(d->obj), NULL, NULL, &quotas, err);
        if (e == 0)
                e = kc_describe_list(d, &ranges_gvr, kc_meta_name(d->obj), NULL, NULL, &ranges, err);
        if (e < 0)
                return e;
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Status:\t%s\n", kc_text(d->obj, "status.phase"));
        if (kc_json_len(conditions) > 0)
                kc_line(d, 0,
                    "Conditions:\n  Type\tStatus\tLastTransitionTime\tReason\tMessage\n"
                    "  ----\t------\t------------------\t------\t-------\n");
        for (size_t i = 0; i < kc_json_len(conditions); i++) {
                const struct json_object *c = kc_json_idx(conditions, i);
                KC_CLEANUP(kc_freep) char *changed = kc_time_words(kc_json_str(c, "lastTransitionTime"));
                kc_line(d, 1, "%s\t%s\t%s\t%s\t%s\n", kc_text(c, "type"), kc_text(c, "status"), changed,
                    kc_text(c, "reason"), kc_text(c, "message"));
        }
        kc_line(d, 0, "\n");
        kc_describe_quotas_of_namespace(d, quotas);
        kc_line(d, 0, "\n");
        kc_describe_limits_of_namespace(d, ranges);
        return 0;
}
