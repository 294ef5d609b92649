/* The apiserver's life: its parts are made, started and ended here, in order. Main thread. */
#include "server/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

enum { CACHE_WAIT_MS = 60 * 60 * 1000 }; /* for etcd to appear; asked again after it */

/* --- health */

static int check_etcd(void *arg, struct kc_error *err)
{
        struct kc_apiserver *s = arg;
        int errnum = atomic_load(&s->health_store_errnum);
        return errnum ? kc_error_set(err, errnum, "error getting data from etcd: %s", strerror(errnum)) : 0;
}

static int check_informers(void *arg, struct kc_error *err)
{
        struct kc_apiserver *s = arg;
        if (kc_cache_ready(s->cache) && kc_authz_ready(s->authz))
                return 0;
        return kc_error_set(err, EAGAIN, "caches are not synced yet");
}

static int check_log(void *arg, struct kc_error *err)
{
        (void)arg;
        (void)err; /* a process that cannot log has ended */
        return 0;
}

/* One for each hook, in the order of kc_bootstrap_hooks. */
struct hook_check {
        struct kc_apiserver *server;
        const char *hook;
};

static int check_hook(void *arg, struct kc_error *err)
{
        const struct hook_check *h = arg;
        if (h->server->bootstrap && kc_bootstrap_done(h->server->bootstrap, h->hook))
                return 0;
        return kc_error_set(err, EAGAIN, "not finished");
}

static int check_flow(void *arg, struct kc_error *err)
{
        struct kc_apiserver *s = arg;
        if (flow_config_synced(s->flow_config))
                return 0;
        return kc_error_set(err, EAGAIN, "not finished");
}

static int check_kms(void *arg, struct kc_error *err)
{
        struct kc_apiserver *s = arg;
        int errnum = atomic_load(&s->health_kms_errnum);
        return errnum ? kc_error_set(err, errnum, "a KMS plugin is not well") : 0;
}

static void add_checks(struct kc_apiserver *s)
{
        s->health = kc_health_new();
        kc_health_add(s->health, "log", KC_HEALTH_ALL, check_log, NULL);
        kc_health_add(s->health, "etcd", KC_HEALTH_ALL, check_etcd, s);
        kc_health_add(s->health, "etcd-readiness", KC_HEALTH_READYZ, check_etcd, s);
        kc_health_add(s->health, "informer-sync", KC_HEALTH_READYZ, check_informers, s);
        for (size_t i = 0; s->flow && flow_hooks[i]; i++) {
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("poststarthook/%s", flow_hooks[i]);
                kc_health_add(s->health, name, KC_HEALTH_ALL, check_flow, s);
        }
        if (!kc_str_empty(s->o->encryption_config))
                kc_health_add(s->health, "kms-providers", KC_HEALTH_ALL, check_kms, s);
        size_t n = 0;
        while (kc_bootstrap_hooks[n])
                n++;
        s->hook_checks = kc_calloc(n + 1, sizeof(*s->hook_checks));
        for (size_t i = 0; i < n; i++) {
                s->hook_checks[i] = (struct hook_check){.server = s, .hook = kc_bootstrap_hooks[i]};
                KC_CLEANUP(kc_freep) char *name = kc_asprintf("poststarthook/%s", kc_bootstrap_hooks[i]);
                kc_health_add(s->health, name, KC_HEALTH_ALL, check_hook, &s->hook_checks[i]);
        }
}

/* --- making the parts */

static int make_loops(struct kc_apiserver *s, struct kc_error *err)
{
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        size_t n = (size_t)KC_MIN(KC_MAX(cores, 1), (long)API_MAX_LOOPS);
        for (; s->n_loops < n; s->n_loops++) {
                KC_CLEANUP(kc_freep)
                char *name = s->n_loops == 0 ? kc_strdup("kube-apiserver") : kc_asprintf("api-%zu", s->n_loops);
                int r = kc_loop_new(name, &s->loops[s->n_loops], err);
                if (r < 0)
                        return r;
        }
        return kc_loop_new("store", &s->store_loop, err);
}

/* Puts encryption in front of the store. */
static int make_encryption(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        struct kc_transforms *t;
        if (kc_str_empty(o->encryption_config))
                return 0;
        int r = kc_encryption_load(o->encryption_config, o->etcd_prefix, &t, err);
        if (r < 0)
                return r;
        s->store = kc_store_transformed_new(s->store, t);
        if (!o->encryption_reload)
                return 0;
        return kc_encryption_reload_new(
            s->loops[0], o->encryption_config, o->etcd_prefix, s->store, &s->encryption_reload, err);
}

static int make_storage(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        const struct kc_tls_client_opts tls = {
            .ca_file = o->etcd_cafile, .cert_file = o->etcd_certfile, .key_file = o->etcd_keyfile};
        bool secure = o->etcd_cafile || o->etcd_certfile;
        const struct kc_store_etcd_opts eo = {.endpoints = o->etcd_servers, .tls = secure ? &tls : NULL};
        int r = kc_store_etcd_new(s->store_loop, &eo, &s->store, err);
        if (r < 0)
                return r;
        r = make_encryption(s, err);
        if (r < 0)
                return r;
        s->cache = kc_cache_new(&(struct kc_cache_opts){.store = s->store, .prefix = o->etcd_prefix});
        s->resources = kc_resources_new(s->store, s->cache);
        if (o->etcd_compaction_interval > 0)
                s->compactor = kc_compactor_new(s->store, o->etcd_prefix, o->etcd_compaction_interval / KC_MSEC);
        return 0;
}

static int make_auth(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        s->front_proxy = (struct kc_authn_front_proxy){.client_ca_file = o->requestheader_client_ca_file,
            .allowed_names = o->requestheader_allowed_names,
            .username_headers = o->requestheader_username_headers,
            .uid_headers = o->requestheader_uid_headers,
            .group_headers = o->requestheader_group_headers,
            .extra_prefixes = o->requestheader_extra_prefixes};
        const struct kc_authn_opts no = {
            .resources = s->resources,
            .client_ca_file = o->client_ca_file,
            .front_proxy = s->front_proxy,
            .token_auth_file = o->token_auth_file,
            .service_account_key_files = o->service_account_key_files,
            .service_account_issuers = o->service_account_issuers,
            .api_audiences = o->api_audiences,
            .service_account_lookup = o->service_account_lookup,
            .bootstrap_tokens = o->enable_bootstrap_token_auth,
            .anonymous = o->anonymous_auth,
            .anonymous_given = o->anonymous_given,
            .config_file = o->authentication_config,
            .oidc = &o->oidc,
            .webhook_config = o->webhook_config,
            .webhook_version = o->webhook_version,
            .webhook_cache_ttl = o->webhook_cache_ttl,
            .token_success_ttl = API_TOKEN_TTL,
            .token_failure_ttl = API_TOKEN_TTL,
            .on_legacy_token = legacy_token_used,
            .arg = s,
        };
        const struct kc_authz_opts zo = {
            .resources = s->resources,
            .loop = s->loops[0],
            .modes = o->authorization_modes,
            .policy_file = o->authorization_policy_file,
            .webhook_config_file = o->authorization_webhook_config_file,
            .webhook_version = o->authorization_webhook_version,
            .webhook_authorized_ttl = o->authorization_webhook_authorized_ttl,
            .webhook_unauthorized_ttl = o->authorization_webhook_unauthorized_ttl,
            .config_file = o->authorization_config,
        };
        KC_CLEANUP(kc_freep)
        char *jwks = kc_asprintf("https://%s:%d/openid/v1/jwks",
            o->external_hostname ? o->external_hostname : o->advertised, o->secure_port);
        const struct kc_satoken_opts so = {
            .signing_key_file = o->service_account_signing_key_file,
            .key_files = o->service_account_key_files,
            .issuers = o->service_account_issuers,
            .jwks_uri = kc_str_empty(o->service_account_jwks_uri) ? jwks : o->service_account_jwks_uri,
            .api_audiences = o->api_audiences,
            .max_expiration = o->service_account_max_expiration / KC_SEC,
            .extend_expiration = o->service_account_extend_expiration,
        };
        int r = kc_authn_new(&no, &s->authn, err);
        if (r == 0)
                r = kc_authz_new(&zo, &s->authz, err);
        return r < 0 ? r : kc_satoken_new(&so, &s->satoken, err);
}

static int make_registry(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        const struct kc_admission_opts ao = {.resources = s->resources,
            .authz = s->authz,
            .enable = o->enable_admission,
            .disable = o->disable_admission};
        int r = kc_admission_new(&ao, &s->admission, err);
        if (r < 0)
                return r;
        const struct kc_registry_opts ro = {
            .resources = s->resources,
            .admission = s->admission,
            .authz = s->authz,
            .satoken = s->satoken,
            .service_cidrs = o->service_cidrs,
            .n_service_cidrs = o->n_service_cidrs,
            .node_port_min = o->node_port_min,
            .node_port_max = o->node_port_max,
            .event_ttl_seconds = o->event_ttl / KC_SEC,
        };
        return kc_registry_new(&ro, &s->registry, err);
}

/* As upstream: without a CA of the kubelets there is nothing to verify them by. */
static int make_backend_tls(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        bool has_ca = !kc_str_empty(o->kubelet_certificate_authority);
        struct kc_tls_client_opts kubelet = {
            .ca_file = has_ca ? o->kubelet_certificate_authority : NULL,
            .cert_file = kc_str_empty(o->kubelet_client_certificate) ? NULL : o->kubelet_client_certificate,
            .key_file = kc_str_empty(o->kubelet_client_key) ? NULL : o->kubelet_client_key,
            .insecure_skip_verify = !has_ca,
        };
        const struct kc_tls_client_opts proxied = {.insecure_skip_verify = true};
        int r = kc_tls_client_new(&kubelet, &s->kubelet_tls, err);
        kubelet.ca_file = NULL;
        kubelet.insecure_skip_verify = true;
        if (r == 0)
                r = kc_tls_client_new(&kubelet, &s->kubelet_unverified_tls, err);
        return r < 0 ? r : kc_tls_client_new(&proxied, &s->proxy_tls, err);
}

struct kc_list *server_tunnels(struct api_req *q)
{
        struct kc_apiserver *s = q->server;
        size_t i = 0;
        while (i + 1 < s->n_loops && s->loops[i] != kc_http_req_loop(q->http))
                i++;
        return &s->tunnels[i];
}

/* When the loops have stopped. */
static void end_tunnels(struct kc_apiserver *s)
{
        for (size_t i = 0; i < s->n_loops; i++)
                while (!kc_list_empty(&s->tunnels[i])) {
                        struct kc_list *node = s->tunnels[i].next;
                        kc_list_remove(node);
                        connect_cancel(node);
                }
}

static int make_server(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        struct kc_tls_server_opts to = {
            .cert_file = o->serving_cert,
            .key_file = o->serving_key,
            .client_ca_file = o->client_ca_file,
            .more_client_ca_file = o->requestheader_client_ca_file,
            .unverified_client_cert = o->client_ca_file || o->requestheader_client_ca_file,
            .alpn_h2 = true,
        };
        kc_tls_flags_apply(&o->tls, &to);
        int r = kc_tls_server_new(&to, &s->tls, err);
        if (r < 0)
                return r;
        const struct kc_http_server_opts ho = {
            .loops = s->loops,
            .n_loops = s->n_loops,
            .address = o->bind_address,
            .port = o->secure_port,
            .tls = s->tls,
            .max_body = API_MAX_BODY,
            .max_streams = o->http2_max_streams,
            .on_headers = pipeline_on_headers,
            .on_request = pipeline_on_request,
            .on_too_large = pipeline_on_too_large,
            .arg = s,
        };
        return kc_http_server_new(&ho, &s->http, err);
}

static int make_bootstrap(struct kc_apiserver *s, struct kc_error *err)
{
        const struct kc_apiserver_options *o = s->o;
        struct kc_ip first;
        char service_ip[KC_IP_LEN];
        if (!kc_cidr_at(&o->service_cidrs[0], 1, &first))
                return kc_error_set(err, EINVAL, "--service-cluster-ip-range must contain at least 8 IP addresses");
        const struct kc_bootstrap_opts bo = {
            .registry = s->registry,
            .loop = s->loops[0],
            .pool = s->pool,
            .rbac = kc_authz_has_mode(s->authz, "RBAC"),
            .advertise_address = o->advertised,
            .secure_port = kc_http_server_port(s->http),
            .service_ip = kc_ip_format(&first, service_ip),
            .service_port = 443,
            .service_node_port = o->kubernetes_service_node_port,
            .authn = s->authn,
            .front_proxy = &s->front_proxy,
        };
        return kc_bootstrap_new(&bo, &s->bootstrap, err);
}

static int make(struct kc_apiserver *s, struct kc_error *err)
{
        int r = make_loops(s, err);
        if (r == 0)
                r = make_storage(s, err);
        if (r == 0)
                r = make_auth(s, err);
        if (r == 0)
                r = kc_audit_new(&s->o->audit.opts, &s->audit, err);
        if (r == 0)
                r = make_registry(s, err);
        if (r == 0)
                r = make_backend_tls(s, err);
        if (r < 0)
                return r;
        s->pool = kc_pool_new("worker", KC_MAX((int)s->n_loops * API_WORKERS_PER_CORE, API_WORKERS_MIN), API_QUEUE);
        s->side_pool = kc_pool_new("side", API_SIDE_WORKERS, API_QUEUE);
        s->authn_pool = kc_pool_new("authn", API_STAGE_WORKERS, API_QUEUE);
        s->authz_pool = kc_pool_new("authz", API_STAGE_WORKERS, API_QUEUE);
        if (s->o->enable_priority_and_fairness) {
                s->flow = kc_flow_new(&(struct kc_flow_opts){.loop = s->loops[0],
                    .concurrency = s->o->max_requests_inflight + s->o->max_mutating_requests_inflight,
                    .max_readonly = s->o->max_requests_inflight,
                    .max_mutating = s->o->max_mutating_requests_inflight});
                s->flow_config = flow_config_new(s);
        }
        add_checks(s);
        metrics_init(s);
        r = make_server(s, err);
        if (r < 0)
                return r;
        KC_CLEANUP(kc_freep)
        char *address = kc_asprintf("%s:%d", s->o->advertised, kc_http_server_port(s->http));
        s->documents = documents_new(address);
        if (!kc_str_empty(s->o->swagger_ui_dir)) {
                r = swagger_ui_new(s->o->swagger_ui_dir, &s->swagger_ui, err);
                if (r < 0)
                        return kc_error_wrap(err, "--swagger-ui-dir");
        }
        return make_bootstrap(s, err);
}

int kc_apiserver_new(const struct kc_apiserver_options *o, struct kc_apiserver **ret, struct kc_error *err)
{
        struct kc_apiserver *s = KC_NEW(struct kc_apiserver);
        s->o = o;
        for (size_t i = 0; i < API_MAX_LOOPS; i++)
                kc_list_init(&s->tunnels[i]);
        int r = make(s, err);
        if (r < 0) {
                kc_apiserver_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct kc_loop *kc_apiserver_loop(struct kc_apiserver *s)
{
        return s->loops[0];
}

/* --- starting */

static void on_cache_ready(void *arg)
{
        struct kc_apiserver *s = arg;
        if (atomic_load(&s->stopping))
                return;
        kc_authz_start(s->authz);
        kc_bootstrap_start(s->bootstrap);
        if (s->flow) {
                flow_config_start(s->flow_config);
                kc_flow_start(s->flow);
        }
        kc_log_info("Caches are synced", "revision", kc_log_i64(kc_cache_revision(s->cache)));
        kc_daemon_ready(s->loops[0]);
}

static void wait_for_cache(void *arg)
{
        struct kc_apiserver *s = arg;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        while (!atomic_load(&s->stopping)) {
                if (kc_cache_wait_ready(s->cache, CACHE_WAIT_MS, &err) == 0) {
                        kc_loop_post(s->loops[0], on_cache_ready, s);
                        return;
                }
        }
}

static void start_threads(struct kc_apiserver *s)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int r = kc_loop_start_thread(s->store_loop, &err);
        s->store_loop_started = r == 0;
        for (s->n_started = 1; r == 0 && s->n_started < s->n_loops; s->n_started++)
                r = kc_loop_start_thread(s->loops[s->n_started], &err);
        if (r == 0)
                return;
        kc_log_error(&err, "Cannot start threads");
        abort();
}

void kc_apiserver_start(struct kc_apiserver *s)
{
        start_threads(s);
        kc_cache_start(s->cache);
        if (kc_pool_submit(s->pool, wait_for_cache, s) < 0)
                kc_log_warn("Cannot wait for the cache: no worker");
        kc_log_info("Serving securely", "address", s->o->bind_address, "port", kc_log_i64(kc_http_server_port(s->http)),
            "version", KC_KUBE_VERSION);
}

/* --- ending: not ready -> delay -> no new connections, wait for requests -> watches end -> the loop stops */

static void stop_main_loop(void *arg)
{
        struct kc_apiserver *s = arg;
        kc_loop_stop(s->loops[0]);
}

/* Takes our address out of the kubernetes Service, ends the watches. */
static void leave(void *arg)
{
        struct kc_apiserver *s = arg;
        if (kc_cache_ready(s->cache))
                kc_bootstrap_leave(s->bootstrap);
        kc_cache_stop(s->cache);
        atomic_store(&s->cache_stopped, true);
        kc_loop_post(s->loops[0], stop_main_loop, s);
}

static void finish_shutdown(struct kc_apiserver *s)
{
        if (s->leaving)
                return;
        s->leaving = true;
        kc_timer_disarm(s->shutdown_timer);
        if (kc_pool_submit(s->pool, leave, s) < 0)
                kc_loop_stop(s->loops[0]);
}

static bool is_idle(struct kc_apiserver *s)
{
        return atomic_load(&s->inflight_readonly) == 0 && atomic_load(&s->inflight_mutating) == 0;
}

static void check_idle(void *arg)
{
        struct kc_apiserver *s = arg;
        if (s->draining && is_idle(s))
                finish_shutdown(s);
}

void server_request_ended(struct kc_apiserver *s)
{
        if (atomic_load(&s->stopping) && is_idle(s))
                kc_loop_post(s->loops[0], check_idle, s);
}

static void on_shutdown_timer(void *arg)
{
        struct kc_apiserver *s = arg;
        if (s->draining) {
                finish_shutdown(s);
                return;
        }
        s->draining = true;
        kc_http_server_drain(s->http);
        kc_timer_arm(s->shutdown_timer, s->o->request_timeout);
        check_idle(s);
}

void kc_apiserver_shutdown(struct kc_apiserver *s)
{
        atomic_store(&s->stopping, true);
        kc_health_shutting_down(s->health);
        s->shutdown_timer = kc_timer_new(s->loops[0], on_shutdown_timer, s);
        kc_timer_arm(s->shutdown_timer, s->o->shutdown_delay_duration);
}

static void stop_threads(struct kc_apiserver *s)
{
        /* Work under way needs the store; it fails quickly once the cache has stopped. */
        if (s->store_loop_started && !atomic_load(&s->cache_stopped))
                kc_cache_stop(s->cache);
        kc_authz_close(s->authz);
        if (s->authn)
                kc_authn_stop(s->authn);
        kc_pool_free(s->pool);
        kc_pool_free(s->side_pool);
        kc_pool_free(s->authn_pool);
        kc_pool_free(s->authz_pool);
        for (size_t i = 1; i < s->n_started; i++) {
                kc_loop_stop(s->loops[i]);
                kc_loop_join(s->loops[i]);
        }
}

void kc_apiserver_free(struct kc_apiserver *s)
{
        if (!s)
                return;
        kc_timer_free(s->shutdown_timer);
        kc_encryption_reload_free(s->encryption_reload);
        stop_threads(s);
        end_tunnels(s);
        kc_http_server_free(s->http);
        kc_bootstrap_free(s->bootstrap);
        kc_authz_free(s->authz);
        if (s->flow) {
                flow_config_stop(s->flow_config);
                kc_flow_stop(s->flow);
        }
        /* What is still posted refers to requests and caches. */
        for (size_t i = 0; i < s->n_loops; i++)
                kc_loop_free(s->loops[i]);
        flow_config_free(s->flow_config);
        kc_flow_free(s->flow);
        if (s->store_loop_started) {
                kc_loop_stop(s->store_loop);
                kc_loop_join(s->store_loop);
        } else if (s->store_loop) {
                kc_loop_flush(s->store_loop); /* never started: the cache's loads are still posted */
        }
        kc_registry_free(s->registry);
        kc_audit_free(s->audit);
        kc_admission_free(s->admission);
        kc_satoken_free(s->satoken);
        kc_authn_free(s->authn);
        kc_resources_free(s->resources);
        kc_compactor_free(s->compactor);
        kc_cache_free(s->cache);
        kc_store_free(s->store);
        kc_loop_free(s->store_loop);
        kc_health_free(s->health);
        kc_free(s->hook_checks);
        documents_free(s->documents);
        swagger_ui_free(s->swagger_ui);
        kc_tls_server_free(s->tls);
        kc_tls_client_free(s->kubelet_tls);
        kc_tls_client_free(s->kubelet_unverified_tls);
        kc_tls_client_free(s->proxy_tls);
        kc_free(s);
}
