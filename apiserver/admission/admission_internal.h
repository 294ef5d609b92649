/* The plugins' hooks, and what they share. */
#pragma once

#include "admission/admission.h"

/* 403: pods "x" is forbidden: <why> */
int adm_forbidden(struct kc_error *err, const struct kc_admission_attrs *a, const char *fmt, ...) KC_PRINTF(3, 4);
/* Group and resource are these, and the request is for the object itself. */
bool adm_is(const struct kc_admission_attrs *a, const char *group, const char *resource);
/* ... or for this subresource. */
bool adm_is_sub(const struct kc_admission_attrs *a, const char *group, const char *resource, const char *subresource);
/* The object's name, or the request's. "" if there is none yet. */
const char *adm_name(const struct kc_admission_attrs *a);
bool adm_is_mirror_pod(const struct json_object *pod);
/* Whether a pod spec refers to objects of that kind: "secrets", "configmaps", "persistentvolumeclaims". */
bool adm_pod_refers_to(const struct json_object *pod, const char *resource);

#define ADM_MIRROR_ANNOTATION "kubernetes.io/config.mirror"

#define ADM_ADMIT(name) int name(struct kc_admission *adm, struct kc_admission_attrs *a, struct kc_error *err)
#define ADM_VALIDATE(name) int name(struct kc_admission *adm, const struct kc_admission_attrs *a, struct kc_error *err)

ADM_ADMIT(adm_namespace_lifecycle);
ADM_ADMIT(adm_limit_ranger);
ADM_VALIDATE(adm_limit_ranger_validate);
ADM_ADMIT(adm_service_account);
ADM_VALIDATE(adm_service_account_validate);
ADM_VALIDATE(adm_node_restriction);
ADM_ADMIT(adm_taint_nodes);
ADM_ADMIT(adm_always_pull);
ADM_ADMIT(adm_priority);
ADM_VALIDATE(adm_priority_validate);
ADM_ADMIT(adm_default_tolerations);
ADM_VALIDATE(adm_deny_external_ips);
ADM_ADMIT(adm_pod_topology_labels);
ADM_ADMIT(adm_storage_in_use);
ADM_VALIDATE(adm_owner_references);
ADM_VALIDATE(adm_always_deny);
ADM_ADMIT(adm_runtime_class);
ADM_VALIDATE(adm_runtime_class_validate);
ADM_ADMIT(adm_default_ingress_class);
ADM_VALIDATE(adm_claim_resize);
ADM_VALIDATE(adm_certificate_approval);
ADM_VALIDATE(adm_certificate_signing);
ADM_VALIDATE(adm_trust_bundle_attest);
ADM_VALIDATE(adm_certificate_subject);
ADM_VALIDATE(adm_resource_quota);

/* The table, in the order of the chain; ended by a NULL name. */
extern const struct kc_admission_plugin adm_plugins[];
