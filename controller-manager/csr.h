/* CertificateSigningRequests: their conditions, and what kubelets may ask for (upstream's apis/certificates helpers).
 * Pure functions, any thread. */
#pragma once

#include "tls/csr.h"
#include "json/json.h"

/* The first pause after a failure. */
#define KC_CSR_BACKOFF (200 * KC_MSEC)

#define KC_SIGNER_CLIENT "kubernetes.io/kube-apiserver-client"
#define KC_SIGNER_KUBELET_CLIENT "kubernetes.io/kube-apiserver-client-kubelet"
#define KC_SIGNER_KUBELET_SERVING "kubernetes.io/kubelet-serving"
#define KC_SIGNER_LEGACY "kubernetes.io/legacy-unknown"

/* A condition of this type is there and, for `Failed`, `True`: approval conditions count whatever their status. */
bool kc_csr_has_condition(const struct json_object *csr, const char *type);
bool kc_csr_approved(const struct json_object *csr); /* and not denied */
bool kc_csr_failed(const struct json_object *csr);   /* Failed is True */
bool kc_csr_issued(const struct json_object *csr);   /* has a certificate */
/* A copy with one more condition, status True, now. The caller's. */
struct json_object *kc_csr_with_condition(
    const struct json_object *csr, const char *type, const char *reason, const char *message);

/* 0, or -EINVAL with upstream's message. usages: of spec.usages. */
int kc_csr_check_kubelet_client(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err);
int kc_csr_check_kubelet_serving(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err);
int kc_csr_check_api_client(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err);
