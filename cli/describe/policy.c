/* Role, RoleBinding and their cluster-wide forms, PriorityClass, PodDisruptionBudget, NetworkPolicy. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "cli/describe/internal.h"

/* --- roles */

int kc_describe_role(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "PolicyRule:\n");
        kc_line(d, 1, "Resources\tNon-Resource URLs\tResource Names\tVerbs\n");
        kc_line(d, 1, "---------\t-----------------\t--------------\t-----\n");
        kc_describe_rules(kc_json_get(d->obj, "rules"), 1, &d->out);
        return 0;
}

int kc_describe_role_binding(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *subjects = kc_json_get(d->obj, "subjects");
        kc_describe_name(d);
        kc_describe_meta(d);
        kc_line(d, 0, "Role:\n");
        kc_line(d, 1, "Kind:\t%s\n", kc_text(d->obj, "roleRef.kind"));
        kc_line(d, 1, "Name:\t%s\n", kc_text(d->obj, "roleRef.name"));
        kc_line(d, 0, "Subjects:\n");
        kc_line(d, 1, "Kind\tName\tNamespace\n");
        kc_line(d, 1, "----\t----\t---------\n");
        for (size_t i = 0; i < kc_json_len(subjects); i++) {
                const struct json_object *s = kc_json_idx(subjects, i);
                kc_line(d, 1, "%s\t%s\t%s\n", kc_text(s, "kind"), kc_text(s, "name"), kc_text(s, "namespace"));
        }
        return 0;
}

/* --- PriorityClass, PodDisruptionBudget */

int kc_describe_priority_class(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        KC_CLEANUP(kc_freep) char *annotations = kc_labels_words(kc_json_at(d->obj, "metadata.annotations"));
        const char *preemption = kc_json_str(d->obj, "preemptionPolicy");
        kc_describe_name(d);
        kc_line(d, 0, "Value:\t%lld\n", (long long)kc_json_int(d->obj, "value", 0));
        kc_line(d, 0, "GlobalDefault:\t%s\n", kc_bool_word(kc_json_bool(d->obj, "globalDefault", false)));
        kc_line(d, 0, "PreemptionPolicy:\t%s\n", preemption ? preemption : "PreemptLowerPriority");
        kc_line(d, 0, "Description:\t%s\n", kc_text(d->obj, "description"));
        kc_line(d, 0, "Annotations:\t%s\n", annotations);
        kc_describe_events(d);
        return 0;
}

int kc_describe_disruption_budget(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        static const char *const rows[][2] = {{"Allowed disruptions", "disruptionsAllowed"},
            {"Current", "currentHealthy"}, {"Desired", "desiredHealthy"}, {"Total", "expectedPods"}};
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *selector = kc_json_get(spec, "selector");
        KC_CLEANUP(kc_freep) char *selector_text = kc_label_selector_words(selector);
        KC_CLEANUP(kc_freep) char *min = kc_scalar(kc_json_get(spec, "minAvailable"));
        KC_CLEANUP(kc_freep) char *max = kc_scalar(kc_json_get(spec, "maxUnavailable"));
        kc_describe_name(d);
        kc_describe_namespace(d);
        if (min[0])
                kc_line(d, 0, "Min available:\t%s\n", min);
        else if (max[0])
                kc_line(d, 0, "Max unavailable:\t%s\n", max);
        kc_line(d, 0, "Selector:\t%s\n", selector ? selector_text : "<unset>");
        kc_line(d, 0, "Status:\n");
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++)
                kc_line(d, 2, "%s:\t%lld\n", rows[i][0],
                    (long long)kc_json_int(kc_json_get(d->obj, "status"), rows[i][1], 0));
        kc_describe_events(d);
        return 0;
}

/* --- NetworkPolicy: no columns below the head, and levels of its own */

static void describe_ports(struct kc_describing *d, const struct json_object *ports)
{
        if (kc_json_len(ports) == 0)
                kc_line(d, 2, "To Port: <any> (traffic allowed to all ports)\n");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *p = kc_json_idx(ports, i), *end = kc_json_get(p, "endPort");
                KC_CLEANUP(kc_freep) char *port = kc_scalar(kc_json_get(p, "port"));
                const char *protocol = kc_text(p, "protocol");
                if (end)
                        kc_line(d, 2, "To Port Range: %s-%lld/%s\n", port, (long long)kc_json_int(p, "endPort", 0),
                            protocol);
                else
                        kc_line(d, 2, "To Port: %s/%s\n", port[0] ? port : "<nil>", protocol[0] ? protocol : "TCP");
        }
}

static void describe_peer(struct kc_describing *d, const struct json_object *peer)
{
        const struct json_object *pods = kc_json_get(peer, "podSelector"),
                                 *namespaces = kc_json_get(peer, "namespaceSelector"),
                                 *block = kc_json_get(peer, "ipBlock");
        KC_CLEANUP(kc_freep) char *pods_text = kc_label_selector_words(pods);
        KC_CLEANUP(kc_freep) char *namespaces_text = kc_label_selector_words(namespaces);
        if (namespaces)
                kc_line(d, 3, "NamespaceSelector: %s\n", namespaces_text);
        if (pods)
                kc_line(d, 3, "PodSelector: %s\n", pods_text);
        if (block && !pods && !namespaces) {
                KC_CLEANUP(kc_freep) char *except = kc_joined(kc_json_get(block, "except"), ", ");
                kc_line(d, 3, "IPBlock:\n");
                kc_line(d, 4, "CIDR: %s\n", kc_text(block, "cidr"));
                kc_line(d, 4, "Except: %s\n", except);
        }
}

static void describe_rules(struct kc_describing *d, const struct json_object *rules, bool ingress)
{
        const char *field = ingress ? "from" : "to", *word = ingress ? "From" : "To";
        if (kc_json_len(rules) == 0)
                kc_line(
                    d, 2, "<none> (Selected pods are isolated for %s connectivity)\n", ingress ? "ingress" : "egress");
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *r = kc_json_idx(rules, i), *peers = kc_json_get(r, field);
                describe_ports(d, kc_json_get(r, "ports"));
                if (kc_json_len(peers) == 0)
                        kc_line(d, 2, "%s: <any> (traffic not restricted by %s)\n", word,
                            ingress ? "source" : "destination");
                for (size_t p = 0; p < kc_json_len(peers); p++) {
                        kc_line(d, 2, "%s:\n", word);
                        describe_peer(d, kc_json_idx(peers, p));
                }
                if (i + 1 < kc_json_len(rules))
                        kc_line(d, 2, "----------\n");
        }
}

static bool has_type(const struct json_object *types, const char *type)
{
        for (size_t i = 0; i < kc_json_len(types); i++)
                if (kc_streq(kc_json_as_str(kc_json_idx(types, i)), type))
                        return true;
        return false;
}

/* As Go prints a time. */
static char *created_words(const char *rfc3339)
{
        kc_time t;
        if (!rfc3339 || kc_time_parse(rfc3339, &t) < 0)
                return kc_strdup("");
        time_t seconds = (time_t)(t / KC_SEC);
        struct tm tm;
        char buf[64];
        (void)localtime_r(&seconds, &tm);
        (void)strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S %z %Z", &tm);
        return kc_strdup(buf);
}

int kc_describe_network_policy(struct kc_describing *d, struct kc_error *err)
{
        (void)err;
        const struct json_object *spec = kc_json_get(d->obj, "spec"), *types = kc_json_get(spec, "policyTypes"),
                                 *selector = kc_json_get(spec, "podSelector");
        KC_CLEANUP(kc_freep) char *created = created_words(kc_json_str_at(d->obj, "metadata.creationTimestamp"));
        KC_CLEANUP(kc_freep) char *selector_text = kc_label_selector_words(selector);
        KC_CLEANUP(kc_freep) char *types_text = kc_joined(types, ", ");
        bool all = kc_json_n_keys(kc_json_get(selector, "matchLabels")) == 0 &&
                   kc_json_len(kc_json_get(selector, "matchExpressions")) == 0;
        kc_describe_name(d);
        kc_describe_namespace(d);
        kc_line(d, 0, "Created on:\t%s\n", created);
        kc_describe_meta(d);
        kc_line(d, 0, "Spec:\n");
        kc_line(d, 1, "PodSelector: ");
        if (all)
                kc_line(d, 2, "<none> (Allowing the specific traffic to all pods in this namespace)\n");
        else
                kc_line(d, 2, "%s\n", selector_text);
        if (has_type(types, "Ingress")) {
                kc_line(d, 1, "Allowing ingress traffic:\n");
                describe_rules(d, kc_json_get(spec, "ingress"), true);
        } else {
                kc_line(d, 1, "Not affecting ingress traffic\n");
        }
        if (has_type(types, "Egress")) {
                kc_line(d, 1, "Allowing egress traffic:\n");
                describe_rules(d, kc_json_get(spec, "egress"), false);
        } else {
                kc_line(d, 1, "Not affecting egress traffic\n");
        }
        kc_line(d, 1, "Policy Types: %s\n", types_text);
        return 0;
}
