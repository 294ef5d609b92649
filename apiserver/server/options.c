/* The options of kube-apiserver: defaults, checks, and what they leave open. Main thread. */
#include "server/options_internal.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/served.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "tls/tls.h"

enum {
        PORT_MAX = 65535,
        WARN_ONLY_EXPIRATION = 3607, /* seconds that tokens of pods are asked for */
};
#define AUTHORIZED_TTL (300 * KC_SEC)
#define UNAUTHORIZED_TTL (30 * KC_SEC)

static void defaults(struct kc_apiserver_options *o)
{
        *o = (struct kc_apiserver_options){
            .etcd_prefix = kc_strdup("/registry"),
            .etcd_compaction_interval = 300 * KC_SEC,
            .bind_address = kc_strdup("0.0.0.0"),
            .secure_port = 6443,
            .cert_dir = kc_strdup("/var/run/kubernetes"),
            .max_requests_inflight = 400,
            .enable_priority_and_fairness = true,
            .max_mutating_requests_inflight = 200,
            .request_timeout = 60 * KC_SEC,
            .min_request_timeout = 1800,
            .anonymous_auth = true,
            .webhook_cache_ttl = 120 * KC_SEC,
            .webhook_version = kc_strdup("v1beta1"),
            .authorization_webhook_version = kc_strdup("v1beta1"),
            .authorization_webhook_authorized_ttl = AUTHORIZED_TTL,
            .authorization_webhook_unauthorized_ttl = UNAUTHORIZED_TTL,
            .service_account_lookup = true,
            .service_account_extend_expiration = true,
            .service_cluster_ip_range = kc_strdup("10.0.0.0/24"),
            .service_node_port_range = kc_strdup("30000-32767"),
            .event_ttl = 3600 * KC_SEC,
            .kubelet_timeout = 5 * KC_SEC,
        };
        kc_audit_flags_defaults(&o->audit);
}

/* --- checks, with upstream's messages */

static int parse_cidrs(struct kc_apiserver_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(o->service_cluster_ip_range, ',');
        o->n_service_cidrs = kc_strv_len(parts);
        if (o->n_service_cidrs == 0 || o->n_service_cidrs > KC_ARRAY_LEN(o->service_cidrs))
                return kc_error_set(err, EINVAL, "--service-cluster-ip-range must contain one or two entries");
        for (size_t i = 0; i < o->n_service_cidrs; i++)
                if (kc_cidr_parse(parts[i], &o->service_cidrs[i], NULL) < 0)
                        return kc_error_set(
                            err, EINVAL, "--service-cluster-ip-range: invalid CIDR address: %s", parts[i]);
        if (o->n_service_cidrs == 2 && o->service_cidrs[0].ip.family == o->service_cidrs[1].ip.family)
                return kc_error_set(err, EINVAL,
                    "--service-cluster-ip-range and --secondary-service-cluster-ip-range must be of different IP "
                    "family");
        return 0;
}

static int parse_node_ports(struct kc_apiserver_options *o, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(o->service_node_port_range, '-');
        int64_t min = 0, max = 0;
        if (kc_strv_len(parts) != 2 || kc_str_to_i64(parts[0], &min) < 0 || kc_str_to_i64(parts[1], &max) < 0 ||
            min < 1 || max < min || max > PORT_MAX)
                return kc_error_set(err, EINVAL, "unable to parse port range: %s", o->service_node_port_range);
        o->node_port_min = (int)min;
        o->node_port_max = (int)max;
        return 0;
}

static int check_authorization(const struct kc_apiserver_options *o, struct kc_error *err)
{
        if (kc_str_empty(o->authorization_config) ||
            (kc_strv_len(o->authorization_modes) == 0 && kc_str_empty(o->authorization_webhook_config_file) &&
                strcmp(o->authorization_webhook_version, "v1beta1") == 0 &&
                o->authorization_webhook_authorized_ttl == AUTHORIZED_TTL &&
                o->authorization_webhook_unauthorized_ttl == UNAUTHORIZED_TTL))
                return 0;
        return kc_error_set(err, EINVAL,
            "--authorization-config can not be specified when --authorization-mode or --authorization-webhook-* flags "
            "are defined");
}

/* A header's name that is empty would be every header's. */
static int check_front_proxy(const struct kc_apiserver_options *o, struct kc_error *err)
{
        const struct {
                const char *flag;
                char **list;
        } flags[] = {{"requestheader-username-headers", o->requestheader_username_headers},
            {"requestheader-uid-headers", o->requestheader_uid_headers},
            {"requestheader-group-headers", o->requestheader_group_headers},
            {"requestheader-extra-headers-prefix", o->requestheader_extra_prefixes},
            {"requestheader-allowed-names", o->requestheader_allowed_names}};
        for (size_t i = 0; i < KC_ARRAY_LEN(flags); i++)
                for (char **v = flags[i].list; v && *v; v++)
                        if ((*v)[strspn(*v, " \t")] == '\0')
                                return kc_error_set(err, EINVAL, "empty value in \"%s\"", flags[i].flag);
        return 0;
}

static int check_authentication(const struct kc_apiserver_options *o, struct kc_error *err)
{
        static const char *const algs[] = {
            "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", NULL};
        if (!kc_str_empty(o->authentication_config) && kc_oidc_flags_given(&o->oidc))
                return kc_error_set(err, EINVAL, "authentication-config file and oidc-* flags are mutually exclusive");
        for (char **a = o->oidc.signing_algs; a && *a; a++)
                if (!kc_strv_has((char *const *)algs, *a))
                        return kc_error_set(err, EINVAL, "--oidc-signing-algs: unsupported signing alg: \"%s\"", *a);
        for (char **i = o->service_account_issuers; i && *i; i++)
                if (strchr(*i, ':') && (strchr(*i, ' ') || !isalpha((unsigned char)**i)))
                        return kc_error_set(
                            err, EINVAL, "service-account-issuer \"%s\" contained a ':' but was not a valid URL", *i);
        if (!kc_str_empty(o->service_account_jwks_uri) && !kc_str_has_prefix(o->service_account_jwks_uri, "https://"))
                return kc_error_set(err, EINVAL, "service-account-jwks-uri requires https scheme, parsed as: %s",
                    o->service_account_jwks_uri);
        int64_t max = o->service_account_max_expiration / KC_SEC;
        if (max != 0 && (max < 3600 || max > (int64_t)1 << 32))
                return kc_error_set(
                    err, EINVAL, "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds");
        if (max != 0 && o->service_account_extend_expiration && max < WARN_ONLY_EXPIRATION)
                return kc_error_set(err, EINVAL,
                    "service-account-extend-token-expiration is true, in order to correctly trigger safe transition "
                    "logic, service-account-max-token-expiration must be set longer than %d seconds (currently %lld)",
                    WARN_ONLY_EXPIRATION, (long long)max);
        if (!kc_streq(o->webhook_version, "v1") && !kc_streq(o->webhook_version, "v1beta1"))
                return kc_error_set(err, EINVAL,
                    "--authentication-token-webhook-version: unsupported webhook authenticator version: %s",
                    o->webhook_version);
        return 0;
}

static int check(const struct kc_apiserver_options *o, struct kc_error *err)
{
        if (kc_strv_len(o->etcd_servers) == 0)
                return kc_error_set(err, EINVAL, "--etcd-servers must be specified");
        if (!kc_str_empty(o->storage_backend) && strcmp(o->storage_backend, "etcd3") != 0)
                return kc_error_set(err, EINVAL,
                    "--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'");
        if (o->secure_port < 0 || o->secure_port > PORT_MAX)
                return kc_error_set(
                    err, EINVAL, "--secure-port %d must be between 0 and 65535, inclusive", o->secure_port);
        if (kc_str_empty(o->tls_cert_file) != kc_str_empty(o->tls_private_key_file))
                return kc_error_set(err, EINVAL, "--tls-cert-file and --tls-private-key-file must be given together");
        if (o->max_requests_inflight < 0 || o->max_mutating_requests_inflight < 0)
                return kc_error_set(err, EINVAL, "--max-requests-inflight can not be negative value");
        if (o->enable_priority_and_fairness && o->max_requests_inflight + o->max_mutating_requests_inflight <= 0)
                return kc_error_set(err, EINVAL,
                    "invalid configuration: MaxRequestsInFlight=%d and MaxMutatingRequestsInFlight=%d; they must add "
                    "up "
                    "to something positive",
                    o->max_requests_inflight, o->max_mutating_requests_inflight);
        if (o->request_timeout <= 0)
                return kc_error_set(err, EINVAL, "--request-timeout can not be negative value");
        int r = check_authorization(o, err);
        if (r < 0)
                return r;
        if (o->event_ttl < 0)
                return kc_error_set(err, EINVAL, "--event-ttl can not be negative value");
        if (o->encryption_reload && kc_str_empty(o->encryption_config))
                return kc_error_set(err, EINVAL,
                    "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config");
        if (kc_str_empty(o->service_account_signing_key_file) || kc_strv_len(o->service_account_issuers) == 0)
                return kc_error_set(
                    err, EINVAL, "--service-account-signing-key-file and --service-account-issuer are required flags");
        return 0;
}

/* --- what flags leave open */

/* The address of the interface that the default route goes through, as upstream chooses it. Asks the routing table: a
 * connected datagram socket sends nothing. */
static char *default_address(void)
{
        KC_CLEANUP(kc_closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
        socklen_t len = sizeof(from);
        char text[INET_ADDRSTRLEN];
        to.sin_addr.s_addr = htonl(0xC0000201); /* 192.0.2.1, a documentation address */
        if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
            getsockname(fd, (struct sockaddr *)&from, &len) < 0 ||
            !inet_ntop(AF_INET, &from.sin_addr, text, sizeof(text)))
                return kc_strdup("127.0.0.1");
        return kc_strdup(text);
}

static char *advertised(const struct kc_apiserver_options *o)
{
        struct kc_ip ip;
        if (!kc_str_empty(o->advertise_address))
                return kc_strdup(o->advertise_address);
        if (kc_ip_parse(o->bind_address, &ip) == 0 && !kc_ip_is_unspecified(&ip) && !kc_ip_is_loopback(&ip))
                return kc_strdup(o->bind_address);
        return default_address();
}

static int settle_certificate(struct kc_apiserver_options *o, struct kc_error *err)
{
        if (!kc_str_empty(o->tls_cert_file)) {
                o->serving_cert = kc_strdup(o->tls_cert_file);
                o->serving_key = kc_strdup(o->tls_private_key_file);
                return 0;
        }
        o->serving_cert = kc_path_join(o->cert_dir, "apiserver.crt");
        o->serving_key = kc_path_join(o->cert_dir, "apiserver.key");
        if (kc_path_exists(o->serving_cert) && kc_path_exists(o->serving_key))
                return 0;
        struct kc_ip first;
        char service_ip[KC_IP_LEN];
        const char *names[] = {"kubernetes.default.svc", "kubernetes.default", "kubernetes", "localhost", "127.0.0.1",
            o->advertised, NULL, NULL};
        if (kc_cidr_at(&o->service_cidrs[0], 1, &first))
                names[KC_ARRAY_LEN(names) - 2] = kc_ip_format(&first, service_ip);
        int r = kc_mkdir_p(o->cert_dir, 0755, err);
        if (r < 0)
                return r;
        return kc_tls_self_signed("kube-apiserver", (char *const *)names, o->serving_cert, o->serving_key, err);
}

static int complete(struct kc_apiserver_options *o, struct kc_error *err)
{
        static const char *const address_types[] = {
            "Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"};
        if (kc_strv_len(o->authorization_modes) == 0 && kc_str_empty(o->authorization_config))
                kc_strv_push(&o->authorization_modes, "AlwaysAllow");
        if (kc_strv_len(o->authorization_always_allow_paths) == 0) {
                kc_strv_push(&o->authorization_always_allow_paths, "/healthz");
                kc_strv_push(&o->authorization_always_allow_paths, "/readyz");
                kc_strv_push(&o->authorization_always_allow_paths, "/livez");
        }
        if (o->anonymous_auth && o->authorization_modes && kc_strv_has(o->authorization_modes, "AlwaysAllow")) {
                kc_log_warn("AnonymousAuth is not allowed with the AlwaysAllow authorizer, ignoring --anonymous-auth");
                o->anonymous_auth = false;
        }
        if (kc_strv_len(o->kubelet_preferred_address_types) == 0)
                for (size_t i = 0; i < KC_ARRAY_LEN(address_types); i++)
                        kc_strv_push(&o->kubelet_preferred_address_types, address_types[i]);
        if (kc_strv_len(o->service_account_key_files) == 0)
                kc_strv_push(&o->service_account_key_files, o->service_account_signing_key_file);
        int r = kc_audit_flags_complete(&o->audit, err);
        if (r == 0)
                r = parse_cidrs(o, err);
        if (r == 0)
                r = parse_node_ports(o, err);
        if (r < 0)
                return r;
        o->advertised = advertised(o);
        return settle_certificate(o, err);
}

int kc_apiserver_options_parse(struct kc_apiserver_options *o, int argc, char **argv, struct kc_error *err)
{
        defaults(o);
        size_t n = options_flags(o, NULL);
        KC_CLEANUP(kc_freep) struct kc_flag *flags = kc_calloc(n, sizeof(*flags));
        (void)options_flags(o, flags);
        int r = kc_daemon_parse("kube-apiserver",
            "The Kubernetes API server validates and configures data for the API objects: pods, services,\n"
            "replicationcontrollers and others. It serves the REST API, through which all other parts interact.",
            flags, n, argc, argv, &o->common, err);
        if (r != 0)
                return r;
        o->anonymous_given = kc_flags_given(flags, "anonymous-auth");
        r = check(o, err);
        if (r == 0)
                r = kc_schema_serve(o->runtime_config, err);
        if (r == 0)
                r = check_authentication(o, err);
        if (r == 0)
                r = check_front_proxy(o, err);
        return r < 0 ? r : complete(o, err);
}

void kc_apiserver_options_done(struct kc_apiserver_options *o)
{
        char *const strings[] = {o->encryption_config, o->etcd_cafile, o->etcd_certfile, o->etcd_keyfile,
            o->etcd_prefix, o->storage_backend, o->bind_address, o->advertise_address, o->external_hostname,
            o->tls_cert_file, o->tls_private_key_file, o->cert_dir, o->client_ca_file, o->token_auth_file,
            o->service_account_signing_key_file, o->service_account_jwks_uri, o->service_cluster_ip_range,
            o->service_node_port_range, o->kubelet_client_certificate, o->kubelet_client_key,
            o->kubelet_certificate_authority, o->serving_cert, o->serving_key, o->advertised, o->authorization_config,
            o->authorization_policy_file, o->authorization_webhook_config_file, o->authorization_webhook_version,
            o->swagger_ui_dir, o->requestheader_client_ca_file, o->authentication_config, o->webhook_config,
            o->webhook_version, o->oidc.issuer_url, o->oidc.client_id, o->oidc.ca_file, o->oidc.username_claim,
            o->oidc.username_prefix, o->oidc.groups_claim, o->oidc.groups_prefix};
        char **const lists[] = {o->etcd_servers, o->service_account_key_files, o->service_account_issuers,
            o->api_audiences, o->authorization_modes, o->enable_admission, o->disable_admission, o->oidc.signing_algs,
            o->oidc.required_claim, o->requestheader_allowed_names, o->requestheader_username_headers,
            o->requestheader_uid_headers, o->requestheader_group_headers, o->requestheader_extra_prefixes,
            o->kubelet_preferred_address_types, o->authorization_always_allow_paths, o->runtime_config};
        for (size_t i = 0; i < KC_ARRAY_LEN(strings); i++)
                kc_free(strings[i]);
        for (size_t i = 0; i < KC_ARRAY_LEN(lists); i++)
                kc_strv_free(lists[i]);
        kc_daemon_flags_done(&o->common);
        kc_audit_flags_done(&o->audit);
        kc_tls_flags_done(&o->tls);
        *o = (struct kc_apiserver_options){0};
}
