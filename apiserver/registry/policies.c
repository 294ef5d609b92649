/* Kinds whose rules are few and alike: whether they count generations, whether an update must name a version. Worker
 * threads. */
#include "api/object.h"
#include "api/warnings.h"
#include "base/str.h"
#include "registry/strategies.h"

/* Without generations. */
#define UNCOUNTED .prepare_for_create = kc_strategy_create_uncounted, .prepare_for_update = kc_strategy_update_uncounted
/* With generations, though they lack a spec or a status. */
#define COUNTED .prepare_for_create = kc_strategy_create_counted, .prepare_for_update = kc_strategy_update_counted

/* --- core, policy, autoscaling, scheduling */

const struct kc_strategy kc_strategy_resourcequotas = {.group = "", .resource = "resourcequotas", UNCOUNTED};
const struct kc_strategy kc_strategy_limitranges = {
    .group = "", .resource = "limitranges", .allow_create_on_update = true};

static void warn_of_podtemplate(const struct kc_registry_ctx *c, const struct json_object *obj)
{
        kc_warn_pod_template(c->warnings, "template", kc_json_get(obj, "template"));
}

static void warn_of_podtemplate_update(
    const struct kc_registry_ctx *c, const struct json_object *obj, const struct json_object *old)
{
        if (kc_meta_generation(obj) != kc_meta_generation(old))
                warn_of_podtemplate(c, obj);
}

const struct kc_strategy kc_strategy_podtemplates = {
    .group = "",
    .resource = "podtemplates",
    COUNTED,
    .warnings_create = warn_of_podtemplate,
    .warnings_update = warn_of_podtemplate_update,
};

const struct kc_strategy kc_strategy_poddisruptionbudgets = {
    .group = "policy", .resource = "poddisruptionbudgets", .require_resource_version = true};
const struct kc_strategy kc_strategy_horizontalpodautoscalers = {
    .group = "autoscaling", .resource = "horizontalpodautoscalers", UNCOUNTED};
const struct kc_strategy kc_strategy_runtimeclasses = {
    .group = "node.k8s.io", .resource = "runtimeclasses", .require_resource_version = true};

/* --- networking.k8s.io */

static void warn_of_blocks(
    const struct kc_registry_ctx *c, const struct json_object *policy, const char *direction, const char *peers_key)
{
        const struct json_object *rules = kc_json_get(kc_json_get(policy, "spec"), direction);
        for (size_t i = 0; i < kc_json_len(rules); i++) {
                const struct json_object *peers = kc_json_get(kc_json_idx(rules, i), peers_key);
                for (size_t j = 0; j < kc_json_len(peers); j++) {
                        const struct json_object *block = kc_json_get(kc_json_idx(peers, j), "ipBlock");
                        const struct json_object *except = kc_json_get(block, "except");
                        KC_CLEANUP(kc_freep)
                        char *path = kc_asprintf("spec.%s[%zu].%s[%zu].ipBlock", direction, i, peers_key, j);
                        KC_CLEANUP(kc_freep) char *cidr_path = kc_asprintf("%s.cidr", path);
                        kc_warn_cidr(c->warnings, cidr_path, kc_json_str(block, "cidr"));
                        for (size_t k = 0; k < kc_json_len(except); k++) {
                                KC_CLEANUP(kc_freep) char *at = kc_asprintf("%s.except[%zu]", path, k);
                                kc_warn_cidr(c->warnings, at, kc_json_as_str(kc_json_idx(except, k)));
                        }
                }
        }
}

static void warn_of_network_policy(const struct kc_registry_ctx *c, const struct json_object *policy)
{
        warn_of_blocks(c, policy, "ingress", "from");
        warn_of_blocks(c, policy, "egress", "to");
}

static void warn_of_network_policy_update(
    const struct kc_registry_ctx *c, const struct json_object *policy, const struct json_object *old)
{
        (void)old; /* what was wrong before still is */
        warn_of_network_policy(c, policy);
}

const struct kc_strategy kc_strategy_networkpolicies = {
    .group = "networking.k8s.io",
    .resource = "networkpolicies",
    COUNTED,
    .warnings_create = warn_of_network_policy,
    .warnings_update = warn_of_network_policy_update,
};

static void warn_of_ingress(const struct kc_registry_ctx *c, const struct json_object *ingress)
{
        if (c->warnings && kc_meta_annotation(ingress, "kubernetes.io/ingress.class"))
                kc_strv_push(c->warnings, "annotation \"kubernetes.io/ingress.class\" is deprecated, please use "
                                          "'spec.ingressClassName' instead");
}

const struct kc_strategy kc_strategy_ingresses = {
    .group = "networking.k8s.io", .resource = "ingresses", .warnings_create = warn_of_ingress};
const struct kc_strategy kc_strategy_ingressclasses = {
    .group = "networking.k8s.io", .resource = "ingressclasses", COUNTED};
const struct kc_strategy kc_strategy_servicecidrs = {
    .group = "networking.k8s.io", .resource = "servicecidrs", UNCOUNTED};

/* --- webhooks and other extensions of the API server */

#define WEBHOOKS(name)                                                                                                 \
        .group = "admissionregistration.k8s.io", .resource = name, COUNTED, .require_resource_version = true

const struct kc_strategy kc_strategy_validatingwebhookconfigurations = {WEBHOOKS("validatingwebhookconfigurations")};
const struct kc_strategy kc_strategy_mutatingwebhookconfigurations = {WEBHOOKS("mutatingwebhookconfigurations")};
const struct kc_strategy kc_strategy_validatingadmissionpolicies = {WEBHOOKS("validatingadmissionpolicies")};
const struct kc_strategy kc_strategy_validatingadmissionpolicybindings = {
    WEBHOOKS("validatingadmissionpolicybindings")};
const struct kc_strategy kc_strategy_mutatingadmissionpolicies = {WEBHOOKS("mutatingadmissionpolicies")};
const struct kc_strategy kc_strategy_mutatingadmissionpolicybindings = {WEBHOOKS("mutatingadmissionpolicybindings")};

/* --- resource.k8s.io */

const struct kc_strategy kc_strategy_deviceclasses = {.group = "resource.k8s.io", .resource = "deviceclasses", COUNTED};
const struct kc_strategy kc_strategy_resourceclaims = {
    .group = "resource.k8s.io", .resource = "resourceclaims", UNCOUNTED};
const struct kc_strategy kc_strategy_resourceslices = {
    .group = "resource.k8s.io", .resource = "resourceslices", COUNTED};
