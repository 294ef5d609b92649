/* What the controllers of CertificateSigningRequests ask of them. Pure functions, any thread. */
#include "controller-manager/csr.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define NODE_PREFIX "system:node:"
#define NODE_GROUP "system:nodes"

bool kc_csr_has_condition(const struct json_object *csr, const char *type)
{
        return kc_json_find(kc_json_at(csr, "status.conditions"), "type", type) != NULL;
}

bool kc_csr_approved(const struct json_object *csr)
{
        return kc_csr_has_condition(csr, "Approved") && !kc_csr_has_condition(csr, "Denied");
}

bool kc_csr_failed(const struct json_object *csr)
{
        const struct json_object *failed = kc_json_find(kc_json_at(csr, "status.conditions"), "type", "Failed");
        const char *status = kc_json_str(failed, "status");
        /* Conditions of old clients have no status. */
        return failed && (kc_str_empty(status) || kc_streq(status, "True"));
}

bool kc_csr_issued(const struct json_object *csr)
{
        return !kc_str_empty(kc_json_str_at(csr, "status.certificate"));
}

struct json_object *kc_csr_with_condition(
    const struct json_object *csr, const char *type, const char *reason, const char *message)
{
        struct json_object *copy = kc_json_copy(csr);
        char now[KC_TIME_LEN];
        kc_json_push(kc_json_ensure_arr(copy, "status.conditions"),
            kc_json_build("{'type':%s,'status':'True','reason':%s,'message':%s,'lastUpdateTime':%s}", type, reason,
                message, kc_time_format(kc_clock_now(NULL), now)));
        return copy;
}

/* --- Kubelets */

static bool same_set(const struct json_object *usages, const char *const *want, size_t n)
{
        bool seen[3] = {false};
        for (size_t i = 0; i < kc_json_len(usages); i++) {
                size_t j = 0;
                while (j < n && !kc_streq(kc_json_as_str(kc_json_idx(usages, i)), want[j]))
                        j++;
                if (j == n)
                        return false;
                seen[j] = true;
        }
        for (size_t j = 0; j < n; j++)
                if (!seen[j])
                        return false;
        return true;
}

/* Key encipherment is for RSA keys only; both sets are taken for either, as upstream. */
static bool kubelet_usages(const struct json_object *usages, const char *auth)
{
        const char *const want[] = {"digital signature", auth, "key encipherment"};
        return same_set(usages, want, 3) || same_set(usages, want, 2);
}

static bool only_nodes(const struct kc_csr *request)
{
        return kc_strv_len(request->organizations) == 1 && kc_streq(request->organizations[0], NODE_GROUP);
}

#define refuse(...) kc_error_set(err, EINVAL, __VA_ARGS__)

int kc_csr_check_kubelet_client(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err)
{
        if (!only_nodes(request))
                return refuse("subject organization is not " NODE_GROUP);
        if (request->dns_names)
                return refuse("DNS subjectAltNames are not allowed");
        if (request->emails)
                return refuse("Email subjectAltNames are not allowed");
        if (request->ip_addresses)
                return refuse("IP subjectAltNames are not allowed");
        if (request->uris)
                return refuse("URI subjectAltNames are not allowed");
        if (!kc_str_has_prefix(request->common_name, NODE_PREFIX))
                return refuse("subject common name does not begin with " NODE_PREFIX);
        if (!kubelet_usages(usages, "client auth"))
                return refuse("usages did not match [client auth digital signature key encipherment]");
        return 0;
}

int kc_csr_check_kubelet_serving(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err)
{
        if (!only_nodes(request))
                return refuse("subject organization is not " NODE_GROUP);
        if (!request->dns_names && !request->ip_addresses)
                return refuse("DNS or IP subjectAltName is required");
        if (request->emails)
                return refuse("Email subjectAltNames are not allowed");
        if (request->uris)
                return refuse("URI subjectAltNames are not allowed");
        if (!kubelet_usages(usages, "server auth"))
                return refuse("usages did not match [digital signature key encipherment server auth]");
        if (!kc_str_has_prefix(request->common_name, NODE_PREFIX))
                return refuse("subject common name does not begin with " NODE_PREFIX);
        return 0;
}

/* --- Other clients */

int kc_csr_check_api_client(const struct kc_csr *request, const struct json_object *usages, struct kc_error *err)
{
        bool client_auth = false;
        (void)request; /* any name may be asked for; the admission of requests has seen to system:masters */
        for (size_t i = 0; i < kc_json_len(usages); i++) {
                const char *u = kc_json_as_str(kc_json_idx(usages, i));
                if (kc_streq(u, "client auth"))
                        client_auth = true;
                else if (!kc_streq(u, "digital signature") && !kc_streq(u, "key encipherment"))
                        return refuse("invalid usage for client certificate: %s", u ? u : "");
        }
        return client_auth ? 0 : refuse("missing required usage for client certificate: client auth");
}
