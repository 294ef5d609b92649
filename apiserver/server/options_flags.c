/* The flags of kube-apiserver, in tables of one subject each. Main thread. */
#include <string.h>

#include "server/options_internal.h"

#define IGNORED(name, section)                                                                                         \
        {                                                                                                              \
                name, 0, KC_FLAG_IGNORED, NULL, "accepted, has no effect yet", section                                 \
        }
/* rows is the table that the function has; ret NULL: only how many there are. */
#define TABLE(rows, ret) ((ret) ? memcpy((ret), (rows), sizeof(rows)) : NULL, KC_ARRAY_LEN(rows))

/* Where it listens, and how many it serves. */
static size_t serving_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            KC_DAEMON_FLAGS(&o->common),
            KC_TLS_FLAGS(&o->tls),
            {"bind-address", 0, KC_FLAG_STRING, &o->bind_address, "address to listen on", "Secure serving"},
            {"secure-port", 0, KC_FLAG_INT, &o->secure_port, "port of HTTPS; 0: any free one", "Secure serving"},
            {"cert-dir", 0, KC_FLAG_STRING, &o->cert_dir, "directory for a self-signed certificate", "Secure serving"},
            {"tls-cert-file", 0, KC_FLAG_STRING, &o->tls_cert_file, "certificate for HTTPS", "Secure serving"},
            {"tls-private-key-file", 0, KC_FLAG_STRING, &o->tls_private_key_file, "its key", "Secure serving"},
            {"http2-max-streams-per-connection", 0, KC_FLAG_INT, &o->http2_max_streams, "limit of HTTP/2 streams",
                "Secure serving"},
            {"advertise-address", 0, KC_FLAG_STRING, &o->advertise_address,
                "address on which members of the cluster reach the apiserver", "Generic"},
            {"external-hostname", 0, KC_FLAG_STRING, &o->external_hostname, "host name for URLs", "Generic"},
            {"max-requests-inflight", 0, KC_FLAG_INT, &o->max_requests_inflight,
                "limit of reading requests under way; 0: none", "Generic"},
            {"max-mutating-requests-inflight", 0, KC_FLAG_INT, &o->max_mutating_requests_inflight,
                "limit of writing requests under way; 0: none", "Generic"},
            {"request-timeout", 0, KC_FLAG_DURATION, &o->request_timeout, "limit of a request's time", "Generic"},
            {"min-request-timeout", 0, KC_FLAG_INT, &o->min_request_timeout, "seconds that a watch lasts at least",
                "Generic"},
            {"shutdown-delay-duration", 0, KC_FLAG_DURATION, &o->shutdown_delay_duration,
                "how long to serve on after a termination signal", "Generic"},
            {"runtime-config", 0, KC_FLAG_STRV, &o->runtime_config,
                "APIs to turn on or off: <group>/<version>[/<resource>]=bool, api/all, api/ga, api/beta, api/alpha",
                "Generic"},
            IGNORED("profiling", "Generic"),
            {"enable-priority-and-fairness", 0, KC_FLAG_BOOL, &o->enable_priority_and_fairness,
                "queue requests fairly by FlowSchemas and priority levels, in place of --max-requests-inflight",
                "Generic"},
        };
        return TABLE(rows, ret);
}

static size_t etcd_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"etcd-servers", 0, KC_FLAG_STRV, &o->etcd_servers, "etcd servers to connect to (scheme://ip:port)",
                "Etcd"},
            {"etcd-cafile", 0, KC_FLAG_STRING, &o->etcd_cafile, "CA file for etcd", "Etcd"},
            {"etcd-certfile", 0, KC_FLAG_STRING, &o->etcd_certfile, "client certificate for etcd", "Etcd"},
            {"etcd-keyfile", 0, KC_FLAG_STRING, &o->etcd_keyfile, "client key for etcd", "Etcd"},
            {"etcd-prefix", 0, KC_FLAG_STRING, &o->etcd_prefix, "prefix of all keys in etcd", "Etcd"},
            {"etcd-compaction-interval", 0, KC_FLAG_DURATION, &o->etcd_compaction_interval,
                "interval of compactions; 0: none", "Etcd"},
            {"encryption-provider-config", 0, KC_FLAG_STRING, &o->encryption_config,
                "file that says how values are encrypted in etcd", "Etcd"},
            {"encryption-provider-config-automatic-reload", 0, KC_FLAG_BOOL, &o->encryption_reload,
                "follow changes of that file", "Etcd"},
            {"storage-backend", 0, KC_FLAG_STRING, &o->storage_backend, "etcd3", "Etcd"},
            IGNORED("default-watch-cache-size", "Etcd"),
            IGNORED("watch-cache", "Etcd"),
            IGNORED("watch-cache-sizes", "Etcd"),
            IGNORED("storage-media-type", "Etcd"),
        };
        return TABLE(rows, ret);
}

static size_t authentication_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"client-ca-file", 0, KC_FLAG_STRING, &o->client_ca_file, "CA of client certificates", "Authentication"},
            {"token-auth-file", 0, KC_FLAG_STRING, &o->token_auth_file, "file of static tokens", "Authentication"},
            {"anonymous-auth", 0, KC_FLAG_BOOL, &o->anonymous_auth, "requests without credentials are system:anonymous",
                "Authentication"},
            {"authentication-config", 0, KC_FLAG_STRING, &o->authentication_config,
                "file of issuers of JSON Web Tokens, and of who may be anonymous; followed", "Authentication"},
            {"oidc-issuer-url", 0, KC_FLAG_STRING, &o->oidc.issuer_url, "https URL of an OpenID issuer",
                "Authentication"},
            {"oidc-client-id", 0, KC_FLAG_STRING, &o->oidc.client_id, "audience of its tokens", "Authentication"},
            {"oidc-ca-file", 0, KC_FLAG_STRING, &o->oidc.ca_file, "CA of its server; the system's if empty",
                "Authentication"},
            {"oidc-username-claim", 0, KC_FLAG_STRING, &o->oidc.username_claim,
                "claim that is the user's name (default sub)", "Authentication"},
            {"oidc-username-prefix", 0, KC_FLAG_STRING, &o->oidc.username_prefix,
                "what names begin with; the issuer's URL if empty, - for nothing", "Authentication"},
            {"oidc-groups-claim", 0, KC_FLAG_STRING, &o->oidc.groups_claim, "claim that is the user's groups",
                "Authentication"},
            {"oidc-groups-prefix", 0, KC_FLAG_STRING, &o->oidc.groups_prefix, "what groups begin with",
                "Authentication"},
            {"oidc-signing-algs", 0, KC_FLAG_STRV, &o->oidc.signing_algs, "accepted algorithms (default RS256)",
                "Authentication"},
            {"oidc-required-claim", 0, KC_FLAG_STRV, &o->oidc.required_claim, "key=value that a token must have",
                "Authentication"},
            {"authentication-token-webhook-config-file", 0, KC_FLAG_STRING, &o->webhook_config,
                "kubeconfig of a webhook that knows tokens", "Authentication"},
            {"authentication-token-webhook-cache-ttl", 0, KC_FLAG_DURATION, &o->webhook_cache_ttl,
                "how long its answers are remembered", "Authentication"},
            {"authentication-token-webhook-version", 0, KC_FLAG_STRING, &o->webhook_version,
                "version of its TokenReviews: v1 or v1beta1", "Authentication"},
            {"enable-bootstrap-token-auth", 0, KC_FLAG_BOOL, &o->enable_bootstrap_token_auth,
                "secrets of type bootstrap.kubernetes.io/token in kube-system are tokens for joining nodes",
                "Authentication"},
            {"requestheader-client-ca-file", 0, KC_FLAG_STRING, &o->requestheader_client_ca_file,
                "CA of front proxies, whose headers are trusted", "Authentication"},
            {"requestheader-allowed-names", 0, KC_FLAG_STRV, &o->requestheader_allowed_names,
                "common names of front proxies; none: every certificate of that CA", "Authentication"},
            {"requestheader-username-headers", 0, KC_FLAG_STRV, &o->requestheader_username_headers,
                "headers with the user's name", "Authentication"},
            {"requestheader-uid-headers", 0, KC_FLAG_STRV, &o->requestheader_uid_headers, "headers with the user's uid",
                "Authentication"},
            {"requestheader-group-headers", 0, KC_FLAG_STRV, &o->requestheader_group_headers,
                "headers with the user's groups", "Authentication"},
            {"requestheader-extra-headers-prefix", 0, KC_FLAG_STRV, &o->requestheader_extra_prefixes,
                "what headers with the rest begin with", "Authentication"},
        };
        return TABLE(rows, ret);
}

/* Service-account tokens. */
static size_t token_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"api-audiences", 0, KC_FLAG_STRV, &o->api_audiences, "audiences of the API", "Authentication"},
            {"service-account-key-file", 0, KC_FLAG_STRV, &o->service_account_key_files,
                "keys that verify service-account tokens", "Authentication"},
            {"service-account-signing-key-file", 0, KC_FLAG_STRING, &o->service_account_signing_key_file,
                "key that signs service-account tokens", "Authentication"},
            {"service-account-issuer", 0, KC_FLAG_STRV, &o->service_account_issuers,
                "issuers of service-account tokens; the first one is that of new ones", "Authentication"},
            {"service-account-jwks-uri", 0, KC_FLAG_STRING, &o->service_account_jwks_uri, "URI of the key set",
                "Authentication"},
            {"service-account-lookup", 0, KC_FLAG_BOOL, &o->service_account_lookup,
                "tokens are good only while their service account exists", "Authentication"},
            {"service-account-extend-token-expiration", 0, KC_FLAG_BOOL, &o->service_account_extend_expiration,
                "longer expiration for injected tokens", "Authentication"},
            {"service-account-max-token-expiration", 0, KC_FLAG_DURATION, &o->service_account_max_expiration,
                "longest validity of a token", "Authentication"},
        };
        return TABLE(rows, ret);
}

static size_t authorization_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"authorization-mode", 0, KC_FLAG_STRV, &o->authorization_modes,
                "ordered list of AlwaysAllow, AlwaysDeny, ABAC, Webhook, RBAC, Node", "Authorization"},
            {"authorization-config", 0, KC_FLAG_STRING, &o->authorization_config,
                "file with an AuthorizationConfiguration, in place of --authorization-mode and "
                "--authorization-webhook-*; followed",
                "Authorization"},
            {"authorization-policy-file", 0, KC_FLAG_STRING, &o->authorization_policy_file,
                "policies of ABAC, one JSON object a line", "Authorization"},
            {"authorization-webhook-config-file", 0, KC_FLAG_STRING, &o->authorization_webhook_config_file,
                "kubeconfig of the webhook", "Authorization"},
            {"authorization-webhook-version", 0, KC_FLAG_STRING, &o->authorization_webhook_version,
                "version of the SubjectAccessReviews for the webhook: v1beta1 or v1", "Authorization"},
            {"authorization-webhook-cache-authorized-ttl", 0, KC_FLAG_DURATION,
                &o->authorization_webhook_authorized_ttl, "how long a webhook's yes is remembered", "Authorization"},
            {"authorization-webhook-cache-unauthorized-ttl", 0, KC_FLAG_DURATION,
                &o->authorization_webhook_unauthorized_ttl, "how long its no is", "Authorization"},
            {"authorization-always-allow-paths", 0, KC_FLAG_STRV, &o->authorization_always_allow_paths,
                "paths that are no resources and that nobody needs permission for (default /healthz,/readyz,/livez)",
                "Authorization"},
            {"enable-admission-plugins", 0, KC_FLAG_STRV, &o->enable_admission,
                "plugins in addition to the default ones", "Admission"},
            {"disable-admission-plugins", 0, KC_FLAG_STRV, &o->disable_admission, "default plugins to leave out",
                "Admission"},
        };
        return TABLE(rows, ret);
}

static size_t other_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        const struct kc_flag rows[] = {
            {"service-cluster-ip-range", 0, KC_FLAG_STRING, &o->service_cluster_ip_range,
                "CIDR of ClusterIPs; one, or one of each family", "Misc"},
            {"service-node-port-range", 0, KC_FLAG_STRING, &o->service_node_port_range, "ports of NodePort Services",
                "Misc"},
            {"kubernetes-service-node-port", 0, KC_FLAG_INT, &o->kubernetes_service_node_port,
                "node port of the kubernetes Service; 0: ClusterIP", "Misc"},
            {"swagger-ui-dir", 0, KC_FLAG_STRING, &o->swagger_ui_dir,
                "unpacked swagger-ui-dist of npm, to serve /swagger-ui/ with", "Misc"},
            {"event-ttl", 0, KC_FLAG_DURATION, &o->event_ttl, "how long events are kept", "Misc"},
            {"allow-privileged", 0, KC_FLAG_BOOL, &o->allow_privileged, "allow privileged containers", "Misc"},
            {"kubelet-client-certificate", 0, KC_FLAG_STRING, &o->kubelet_client_certificate,
                "client certificate for kubelets", "Misc"},
            {"kubelet-client-key", 0, KC_FLAG_STRING, &o->kubelet_client_key, "its key", "Misc"},
            {"kubelet-certificate-authority", 0, KC_FLAG_STRING, &o->kubelet_certificate_authority,
                "CA of the kubelets' serving certificates", "Misc"},
            {"kubelet-preferred-address-types", 0, KC_FLAG_STRV, &o->kubelet_preferred_address_types,
                "order of node addresses for connections to kubelets", "Misc"},
            {"kubelet-timeout", 0, KC_FLAG_DURATION, &o->kubelet_timeout, "timeout of connections to kubelets", "Misc"},
            IGNORED("apiserver-count", "Misc"),
            IGNORED("endpoint-reconciler-type", "Misc"),
            IGNORED("proxy-client-cert-file", "Misc"),
            IGNORED("proxy-client-key-file", "Misc"),
            IGNORED("enable-aggregator-routing", "Misc"),
        };
        return TABLE(rows, ret);
}

static size_t audit_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        return kc_audit_flags_table(&o->audit, ret);
}

size_t options_flags(struct kc_apiserver_options *o, struct kc_flag *ret)
{
        static size_t (*const tables[])(struct kc_apiserver_options * o, struct kc_flag * ret) = {serving_flags,
            etcd_flags, authentication_flags, token_flags, authorization_flags, other_flags, audit_flags};
        size_t n = 0;
        for (size_t i = 0; i < KC_ARRAY_LEN(tables); i++)
                n += tables[i](o, ret ? ret + n : NULL);
        return n;
}
