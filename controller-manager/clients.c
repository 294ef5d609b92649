/* The controllers' own clients: their accounts (as ClientBuilder.ClientOrDie names them in upstream's controllers),
 * made when they are missing, and tokens by TokenRequest. Tokens are fetched on the pool. */
#include "controller-manager/clients.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "daemon/health.h"

enum { TOKEN_SECONDS = 3600, USED_PERCENT = 80 };
#define NAMESPACE "kube-system"

static const struct {
        const char *controller, *account;
} accounts[] = {
    {"attachdetach-controller", "attachdetach-controller"},
    {"bootstrap-signer-controller", "bootstrap-signer"},
    {"certificatesigningrequest-approving-controller", "certificate-controller"},
    {"certificatesigningrequest-cleaner-controller", "certificate-controller"},
    {"certificatesigningrequest-signing-controller", "certificate-controller"},
    {"clusterrole-aggregation-controller", "clusterrole-aggregation-controller"},
    {"cronjob-controller", "cronjob-controller"},
    {"daemonset-controller", "daemon-set-controller"},
    {"deployment-controller", "deployment-controller"},
    {"disruption-controller", "disruption-controller"},
    {"endpoints-controller", "endpoint-controller"},
    {"endpointslice-controller", "endpointslice-controller"},
    {"endpointslice-mirroring-controller", "endpointslicemirroring-controller"},
    {"ephemeral-volume-controller", "ephemeral-volume-controller"},
    {"garbage-collector-controller", "generic-garbage-collector"},
    {"horizontal-pod-autoscaler-controller", "horizontal-pod-autoscaler"},
    {"job-controller", "job-controller"},
    {"legacy-serviceaccount-token-cleaner-controller", "legacy-service-account-token-cleaner"},
    {"namespace-controller", "namespace-controller"},
    {"node-ipam-controller", "node-controller"},
    {"node-lifecycle-controller", "node-controller"},
    {"persistentvolume-binder-controller", "persistent-volume-binder"},
    {"persistentvolume-expander-controller", "expand-controller"},
    {"persistentvolume-protection-controller", "pv-protection-controller"},
    {"persistentvolumeclaim-protection-controller", "pvc-protection-controller"},
    {"pod-garbage-collector-controller", "pod-garbage-collector"},
    {"replicaset-controller", "replicaset-controller"},
    {"replicationcontroller-controller", "replication-controller"},
    {"resourceclaim-controller", "resource-claim-controller"},
    {"resourcequota-controller", "resourcequota-controller"},
    {"root-ca-certificate-publisher-controller", "root-ca-cert-publisher"},
    {"kube-apiserver-serving-clustertrustbundle-publisher-controller",
        "kube-apiserver-serving-clustertrustbundle-publisher"},
    {"service-cidr-controller", "service-cidrs-controller"},
    {"serviceaccount-controller", "service-account-controller"},
    {"statefulset-controller", "statefulset-controller"},
    {"taint-eviction-controller", "node-controller"},
    {"token-cleaner-controller", "token-cleaner"},
    {"ttl-after-finished-controller", "ttl-after-finished-controller"},
    {"ttl-controller", "ttl-controller"},
    {"validatingadmissionpolicy-status-controller", "validatingadmissionpolicy-status-controller"},
    {"volumeattributesclass-protection-controller", "volumeattributesclass-protection-controller"},
};

struct source {
        struct kc_rest *root;
        const char *account; /* of the table */
};

struct kc_cm_clients {
        struct kc_rest *root;  /* not ours */
        struct kc_rest *plain; /* the same server, nobody's credentials */
        struct kc_rest *own[KC_ARRAY_LEN(accounts)];
};

/* --- tokens, on the pool */

static int request_token(const struct source *s, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *request =
            kc_json_build("{'apiVersion':'authentication.k8s.io/v1','kind':'TokenRequest','spec':{"
                          "'expirationSeconds':%d}}",
                TOKEN_SECONDS);
        return kc_rest_create_sub(s->root, &KC_SERVICEACCOUNTS, NAMESPACE, s->account, "token", request, ret, err);
}

static int make(struct kc_rest *root, const struct kc_gvr *gvr, const char *ns, const char *name, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep)
        struct json_object *o = kc_json_build("{'apiVersion':'v1','kind':%s,'metadata':{'name':%s}}", gvr->kind, name);
        if (ns)
                kc_json_set_str(kc_json_get_mut(o, "metadata"), "namespace", ns);
        int r = kc_rest_create(root, gvr, ns, o, NULL, err);
        if (r < 0 && kc_error_is(err, KC_REASON_ALREADY_EXISTS)) {
                kc_error_done(err);
                return 0;
        }
        return r;
}

static int make_account(const struct source *s, struct kc_error *err)
{
        int r = make(s->root, &KC_SERVICEACCOUNTS, NAMESPACE, s->account, err);
        if (r == 0 || !kc_error_is(err, KC_REASON_NOT_FOUND))
                return r;
        kc_error_done(err);
        r = make(s->root, &KC_NAMESPACES, NULL, NAMESPACE, err);
        return r < 0 ? r : make(s->root, &KC_SERVICEACCOUNTS, NAMESPACE, s->account, err);
}

static int fetch(void *arg, char **ret_token, int64_t *ret_lifetime, struct kc_error *err)
{
        const struct source *s = arg;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int r = request_token(s, &answer, err);
        if (r < 0 && kc_error_is(err, KC_REASON_NOT_FOUND)) {
                kc_error_done(err);
                r = make_account(s, err);
                if (r == 0)
                        r = request_token(s, &answer, err);
        }
        if (r < 0)
                return kc_error_wrap(err, "getting a token of service account " NAMESPACE "/%s", s->account);
        const char *token = kc_json_str_at(answer, "status.token");
        if (kc_str_empty(token))
                return kc_error_set(
                    err, EBADMSG, "the token request of service account " NAMESPACE "/%s has no token", s->account);
        *ret_token = kc_strdup(token);
        *ret_lifetime = TOKEN_SECONDS * KC_SEC / 100 * USED_PERCENT;
        return 0;
}

/* --- clients */

int kc_cm_clients_new(struct kc_rest *root, const char *kubeconfig, struct kc_cm_clients **ret, struct kc_error *err)
{
        struct kc_client_config config = {0};
        int r = kc_client_config_for_daemon(kubeconfig, &config, err);
        if (r == 0) {
                struct kc_client_config plain = {.server = config.server,
                    .ca_file = config.ca_file,
                    .ca_pem = config.ca_pem,
                    .tls_server_name = config.tls_server_name,
                    .proxy_url = config.proxy_url,
                    .insecure_skip_verify = config.insecure_skip_verify};
                const struct kc_rest_opts o = {.user_agent = "kube-controller-manager/" KC_KUBE_VERSION};
                struct kc_cm_clients *c = KC_NEW(struct kc_cm_clients);
                c->root = root;
                r = kc_rest_new(kc_rest_loop(root), &plain, &o, &c->plain, err);
                if (r == 0)
                        *ret = c;
                else
                        kc_free(c);
        }
        kc_client_config_done(&config);
        return r;
}

struct kc_rest *kc_cm_clients_get(struct kc_cm_clients *c, const char *controller)
{
        size_t i = 0;
        while (i < KC_ARRAY_LEN(accounts) && strcmp(accounts[i].controller, controller) != 0)
                i++;
        if (i == KC_ARRAY_LEN(accounts))
                return c->root;
        /* Controllers with the same account are the same client. */
        for (size_t j = 0; j < i; j++)
                if (strcmp(accounts[j].account, accounts[i].account) == 0)
                        i = j;
        if (!c->own[i]) {
                struct source *s = KC_NEW(struct source);
                *s = (struct source){.root = c->root, .account = accounts[i].account};
                const struct kc_token_source tokens = {.fetch = fetch, .free = kc_free, .arg = s};
                c->own[i] = kc_rest_new_with_tokens(c->plain, &tokens);
        }
        return c->own[i];
}

void kc_cm_clients_close(struct kc_cm_clients *c)
{
        if (c)
                kc_rest_close(c->plain);
}

void kc_cm_clients_free(struct kc_cm_clients *c)
{
        if (!c)
                return;
        for (size_t i = 0; i < KC_ARRAY_LEN(c->own); i++)
                kc_rest_free(c->own[i]);
        kc_rest_free(c->plain);
        kc_free(c);
}
