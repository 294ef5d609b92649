/* What kubelets and other clients may ask for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/macros.h"
#include "base/str.h"
#include "controller-manager/csr.h"

typedef int (*check_fn)(const struct kc_csr *, const struct json_object *, struct kc_error *);

struct row {
        check_fn check;
        const char *cn, *orgs, *dns, *ips, *emails, *uris, *usages;
        const char *message; /* NULL: may be signed */
};

#define NODE "system:node:n1"
#define CLIENT "digital signature,client auth"
#define SERVING "digital signature,key encipherment,server auth"
static const struct row rows[] = {
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "", "", CLIENT, NULL},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "", "", CLIENT ",key encipherment", NULL},
    {kc_csr_check_kubelet_client, NODE, "system:nodes,system:masters", "", "", "", "", CLIENT,
        "subject organization is not system:nodes"},
    {kc_csr_check_kubelet_client, NODE, "", "", "", "", "", CLIENT, "subject organization is not system:nodes"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "n1", "", "", "", CLIENT,
        "DNS subjectAltNames are not allowed"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "10.0.0.1", "", "", CLIENT,
        "IP subjectAltNames are not allowed"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "a@b", "", CLIENT,
        "Email subjectAltNames are not allowed"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "", "spiffe://a", CLIENT,
        "URI subjectAltNames are not allowed"},
    {kc_csr_check_kubelet_client, "system:nodes:n1", "system:nodes", "", "", "", "", CLIENT,
        "subject common name does not begin with system:node:"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "", "", SERVING,
        "usages did not match [client auth digital signature key encipherment]"},
    {kc_csr_check_kubelet_client, NODE, "system:nodes", "", "", "", "", "client auth",
        "usages did not match [client auth digital signature key encipherment]"},
    {kc_csr_check_kubelet_serving, NODE, "system:nodes", "n1", "10.0.0.1", "", "", SERVING, NULL},
    {kc_csr_check_kubelet_serving, NODE, "system:nodes", "", "", "", "", SERVING,
        "DNS or IP subjectAltName is required"},
    {kc_csr_check_kubelet_serving, NODE, "system:nodes", "n1", "", "", "", SERVING ",client auth",
        "usages did not match [digital signature key encipherment server auth]"},
    {kc_csr_check_kubelet_serving, "n1", "system:nodes", "n1", "", "", "", SERVING,
        "subject common name does not begin with system:node:"},
    {kc_csr_check_api_client, "anyone", "any", "", "", "", "", "client auth", NULL},
    {kc_csr_check_api_client, "anyone", "any", "", "", "", "", "digital signature",
        "missing required usage for client certificate: client auth"},
    {kc_csr_check_api_client, "anyone", "any", "", "", "", "", "client auth,cert sign",
        "invalid usage for client certificate: cert sign"},
};

static char **list(const char *text)
{
        return *text ? kc_strv_split(text, ',') : NULL;
}

static void test_rules(void **state)
{
        (void)state;
        for (size_t i = 0; i < KC_ARRAY_LEN(rows); i++) {
                const struct row *r = &rows[i];
                struct kc_csr *csr = KC_NEW(struct kc_csr);
                struct json_object *usages = json_object_new_array();
                KC_CLEANUP(kc_strv_freep) char **words = list(r->usages);
                struct kc_error err = KC_ERROR_INIT;
                csr->common_name = kc_strdup(r->cn);
                csr->organizations = list(r->orgs);
                csr->dns_names = list(r->dns);
                csr->ip_addresses = list(r->ips);
                csr->emails = list(r->emails);
                csr->uris = list(r->uris);
                for (char **w = words; *w; w++)
                        kc_json_push_str(usages, *w);
                assert_int_equal(r->check(csr, usages, &err), r->message ? -EINVAL : 0);
                if (r->message)
                        assert_string_equal(kc_error_message(&err), r->message);
                kc_error_done(&err);
                kc_json_free(usages);
                kc_csr_free(csr);
        }
}

static void test_conditions(void **state)
{
        (void)state;
        KC_CLEANUP(kc_json_freep)
        struct json_object *csr = kc_json_build("{'status':{'conditions':[{'type':'Approved','status':'True'}]}}");
        assert_true(kc_csr_approved(csr));
        assert_false(kc_csr_failed(csr));
        KC_CLEANUP(kc_json_freep) struct json_object *denied = kc_csr_with_condition(csr, "Denied", "R", "m");
        assert_false(kc_csr_approved(denied));
        KC_CLEANUP(kc_json_freep) struct json_object *failed = kc_csr_with_condition(csr, "Failed", "R", "m");
        assert_true(kc_csr_failed(failed));
        assert_string_equal(kc_json_str(kc_json_idx(kc_json_at(failed, "status.conditions"), 1), "message"), "m");
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_conditions)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
