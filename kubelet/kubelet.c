/* The kubelet's wiring: makes the parts, feeds them with pods, ends them in order. Thread: the loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/features.h"
#include "base/file.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/kubelet_internal.h"
#include "kubelet/pod/pod.h"

enum { POOL_THREADS = 256, POOL_QUEUE = 100000, STATUS_WORKERS = 4 };

/* --- Who we are */

static char *own_hostname(void)
{
        char name[256];
        if (gethostname(name, sizeof(name)) < 0)
                return kc_strdup("localhost");
        name[sizeof(name) - 1] = '\0';
        return kc_strdup(name);
}

char *kc_kubelet_node_name(const struct kc_kubelet_config *c)
{
        KC_CLEANUP(kc_freep) char *own = own_hostname();
        char *name = kc_str_trim(kc_str_empty(c->hostname_override) ? own : c->hostname_override);
        for (char *p = name; *p; p++)
                if (*p >= 'A' && *p <= 'Z')
                        *p += 'a' - 'A';
        return name;
}

/* The source address of the default route: a connected datagram socket sends nothing. */
static char *default_route_ip(void)
{
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};
        struct sockaddr_in me;
        socklen_t len = sizeof(me);
        char text[INET_ADDRSTRLEN] = "";
        to.sin_addr.s_addr = htonl(0x08080808);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
            getsockname(fd, (struct sockaddr *)&me, &len) == 0)
                inet_ntop(AF_INET, &me.sin_addr, text, sizeof(text));
        if (fd >= 0)
                close(fd);
        return text[0] ? kc_strdup(text) : NULL;
}

/* The first address of an interface that is up; the loopback's if there is no other. */
static char *any_ip(void)
{
        struct ifaddrs *list = NULL;
        char text[INET_ADDRSTRLEN] = "127.0.0.1";
        if (getifaddrs(&list) < 0)
                return kc_strdup(text);
        for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
                if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP) ||
                    (i->ifa_flags & IFF_LOOPBACK))
                        continue;
                inet_ntop(AF_INET, &((const struct sockaddr_in *)i->ifa_addr)->sin_addr, text, sizeof(text));
                break;
        }
        freeifaddrs(list);
        return kc_strdup(text);
}

static char **node_ips_of(const struct kc_kubelet_config *c)
{
        if (!kc_str_empty(c->node_ip) && !kc_streq(c->node_ip, "0.0.0.0") && !kc_streq(c->node_ip, "::"))
                return kc_strv_split(c->node_ip, ',');
        char **ips = NULL;
        char *ip = default_route_ip();
        kc_strv_push_take(&ips, ip ? ip : any_ip());
        return ips;
}

/* --- Pods from the API */

static void on_api_pod(struct kc_kubelet *k, struct kc_object *pod)
{
        const struct json_object *tree = kc_object_json(pod);
        const char *mirror_of = kc_meta_annotation(tree, KC_ANNOTATION_CONFIG_MIRROR);
        if (mirror_of) {
                /* The static pod looks after its image. */
                if (kc_workers_known(k, mirror_of))
                        kc_workers_poke(k, mirror_of);
                return;
        }
        kc_workers_update(k, pod);
}

/* A change that only the kubelet itself has made (status) is no news. */
static bool same_but_status(struct kc_object *a, struct kc_object *b)
{
        static const char *const parts[] = {"spec", "metadata.labels", "metadata.annotations",
            "metadata.deletionTimestamp", "metadata.deletionGracePeriodSeconds", "metadata.finalizers"};
        for (size_t i = 0; i < KC_ARRAY_LEN(parts); i++)
                if (!kc_json_equal(kc_json_at(kc_object_json(a), parts[i]), kc_json_at(kc_object_json(b), parts[i])))
                        return false;
        return kc_streq(kc_object_uid(a), kc_object_uid(b));
}

static void on_pod_add(struct kc_object *obj, bool initial, void *arg)
{
        (void)initial;
        on_api_pod(arg, obj);
}

static void on_pod_update(struct kc_object *old, struct kc_object *obj, void *arg)
{
        struct kc_kubelet *k = arg;
        /* Deleted and made again between two looks of the watch. */
        if (!kc_streq(kc_object_uid(old), kc_object_uid(obj)))
                kc_workers_remove(k, kc_object_uid(old));
        if (!same_but_status(old, obj))
                on_api_pod(k, obj);
        else if (kc_workers_known(k, kc_object_uid(obj)))
                kc_status_manager_poke(k->statuses, kc_object_uid(obj)); /* somebody else may have written the status */
}

static void on_pod_delete(struct kc_object *obj, void *arg)
{
        struct kc_kubelet *k = arg;
        const char *mirror_of = kc_meta_annotation(kc_object_json(obj), KC_ANNOTATION_CONFIG_MIRROR);
        if (!mirror_of)
                kc_workers_remove(k, kc_object_uid(obj));
        else if (kc_workers_known(k, mirror_of))
                kc_workers_poke(k, mirror_of); /* a static pod's image was deleted: it comes back */
}

/* Mirror pods whose manifest went while the kubelet was away. */
static void remove_orphan_mirrors(void *arg)
{
        struct kc_kubelet *k = arg;
        struct kc_objects pods = {0};
        kc_informer_list(k->pods, NULL, NULL, &pods);
        for (size_t i = 0; i < pods.n; i++) {
                const char *of = kc_meta_annotation(kc_object_json(pods.v[i]), KC_ANNOTATION_CONFIG_MIRROR);
                struct kc_error err = KC_ERROR_INIT;
                if (of && !kc_workers_known(k, of) &&
                    kc_mirror_delete(k, kc_object_namespace(pods.v[i]), kc_object_name(pods.v[i]), of, &err) < 0)
                        kc_log_error(&err, "Failed to delete an orphaned mirror pod, ignoring");
                kc_error_done(&err);
        }
        kc_objects_done(&pods);
}

static void on_synced(void *arg)
{
        struct kc_kubelet *k = arg;
        pthread_mutex_lock(&k->mutex);
        k->api_synced = true;
        pthread_mutex_unlock(&k->mutex);
        kc_log_info("Pods of this node are synced from the API server");
        kc_status_manager_start(k->statuses);
        if (kc_pool_submit(k->pool, remove_orphan_mirrors, k) < 0)
                kc_log_warn("No worker to look for orphaned mirror pods, ignoring");
}

/* --- Pods from files */

static void on_file_pods(void *arg, const struct kc_objects *pods)
{
        struct kc_kubelet *k = arg;
        KC_CLEANUP(kc_map_freep) struct kc_map *present = kc_map_new(NULL);
        for (size_t i = 0; i < pods->n; i++) {
                kc_map_set(present, kc_object_uid(pods->v[i]), k);
                if (!kc_workers_known(k, kc_object_uid(pods->v[i])))
                        kc_workers_update(k, pods->v[i]);
        }
        struct kc_objects all = {0};
        kc_workers_all_pods(k, &all);
        for (size_t i = 0; i < all.n; i++)
                if (kc_pod_is_static(kc_object_json(all.v[i])) && !kc_map_has(present, kc_object_uid(all.v[i])))
                        kc_workers_remove(k, kc_object_uid(all.v[i]));
        kc_objects_done(&all);
        pthread_mutex_lock(&k->mutex);
        k->files_synced = true;
        pthread_mutex_unlock(&k->mutex);
}

/* --- Parts */

static void on_change(void *arg, const char *uid)
{
        kc_workers_poke(arg, uid);
}

static void on_probe(
    void *arg, const char *uid, const char *container, enum kc_probe_kind kind, enum kc_probe_result result)
{
        (void)container;
        (void)kind;
        (void)result;
        kc_workers_poke(arg, uid);
}

static enum kc_probe_result probe_result(void *arg, enum kc_probe_kind kind, const char *container_id)
{
        struct kc_kubelet *k = arg;
        return kc_prober_result(k->prober, kind, container_id);
}

static char *not_ready(void *arg)
{
        struct kc_kubelet *k = arg;
        kc_mono last = kc_pleg_last_relist(k->pleg), now = kc_clock_mono(k->clock);
        char ago[KC_TIME_LEN];
        if (last == 0)
                return kc_strdup("PLEG is not healthy: pleg has yet to be successful");
        if (now - last < 180 * KC_SEC)
                return NULL;
        return kc_asprintf("PLEG is not healthy: pleg was last seen active %s ago; threshold is 3m0s",
            kc_duration_format(now - last, ago));
}

static int syncloop_check(void *arg, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *why = not_ready(arg);
        return why ? kc_error_set(err, EIO, "%s", why) : 0;
}

static int make_api(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        if (kc_str_empty(c->kubeconfig)) {
                k->api_synced = true;
                kc_log_info("Standalone mode, no API client");
                return 0;
        }
        int r = kc_client_config_for_daemon(c->kubeconfig, &k->client_config, err);
        if (r == 0 && c->rotate_certificates)
                r = kc_kubelet_take_over_client_cert(k, err);
        if (r < 0)
                return r;
        struct kc_rest_opts o = {
            .user_agent = "kubelet/" KC_KUBE_VERSION " (linux)", .qps = c->kube_api_qps, .burst = c->kube_api_burst};
        r = kc_rest_new(k->loop, &k->client_config, &o, &k->rest, err);
        if (r < 0)
                return r;
        k->informers = kc_informers_new(k->rest);
        KC_CLEANUP(kc_freep) char *mine = kc_asprintf("spec.nodeName=%s", k->node_name);
        KC_CLEANUP(kc_freep) char *me = kc_asprintf("metadata.name=%s", k->node_name);
        k->pods = kc_informers_get_filtered(k->informers, &KC_PODS, NULL, NULL, mine);
        k->nodes = kc_informers_get_filtered(k->informers, &KC_NODES, NULL, NULL, me);
        k->services = kc_informers_get(k->informers, &KC_SERVICES);
        static const struct kc_informer_handler handler = {
            .on_add = on_pod_add, .on_update = on_pod_update, .on_delete = on_pod_delete};
        kc_informer_add_handler(k->pods, &handler, k);
        if (kc_feature_enabled(KC_FEATURE_CLUSTER_TRUST_BUNDLE_PROJECTION)) {
                k->bundle_informers = kc_informers_new(k->rest);
                k->trust_bundles = kc_informers_get(k->bundle_informers, &KC_CLUSTERTRUSTBUNDLES);
        }
        return 0;
}

static int make_node(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        struct kc_node_opts o = {.loop = k->loop,
            .pool = k->pool,
            .cri = k->cri,
            .rest = k->rest,
            .nodes = k->nodes,
            .events = k->events,
            .name = k->node_name,
            .hostname = k->node_name,
            .root_dir = c->root_dir,
            .ips = k->node_ips,
            .register_node = c->register_node,
            .register_schedulable = c->register_schedulable,
            .labels = c->node_labels,
            .taints = c->register_with_taints,
            .max_pods = c->max_pods,
            .pods_per_core = c->pods_per_core,
            .kube_reserved = c->kube_reserved,
            .system_reserved = c->system_reserved,
            .eviction_hard = c->eviction_hard,
            .kubelet_port = c->port,
            .cni_conf_dir = c->cni_conf_dir,
            .update_usec = c->node_status_update_frequency,
            .report_usec = c->node_status_report_frequency,
            .lease_seconds = c->node_lease_duration_seconds,
            .clock = k->clock,
            .not_ready = not_ready,
            .arg = k};
        return kc_node_new(&o, &k->node, err);
}

static int make_runtime(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        struct kc_prober_opts po = {.loop = k->loop,
            .pool = k->pool,
            .cri = k->cri,
            .events = k->events,
            .clock = k->clock,
            .target = kc_kubelet_probe_target,
            .on_change = on_probe,
            .arg = k};
        int r = kc_prober_new(&po, &k->prober, err);
        if (r < 0)
                return r;
        struct kc_volumes_opts vo = {.root_dir = c->root_dir,
            .objects = k->objects,
            .rest = k->rest,
            .trust_bundles = k->trust_bundles,
            .events = k->events,
            .clock = k->clock};
        r = kc_volumes_new(&vo, &k->volumes, err);
        if (r < 0)
                return r;
        struct kc_runtime_opts ro = {.loop = k->loop,
            .pool = k->pool,
            .cri = k->cri,
            .events = k->events,
            .volumes = k->volumes,
            .env = {.objects = k->objects, .services = k->services},
            .dns = {.cluster_dns = c->cluster_dns,
                .cluster_domain = c->cluster_domain,
                .resolv_conf = c->resolv_conf,
                .node_ips = k->node_ips},
            .node_name = k->node_name,
            .root_dir = c->root_dir,
            .pod_logs_dir = c->pod_logs_dir,
            .container_logs_dir = c->container_logs_dir,
            .cgroup_root = c->cgroups_per_qos ? "/kubepods" : "",
            .cgroup_driver = c->cgroup_driver,
            .cpu_cfs_quota = c->cpu_cfs_quota,
            .cpu_cfs_period_usec = c->cpu_cfs_quota_period,
            .seccomp_default = c->seccomp_default ? "RuntimeDefault" : NULL,
            .memory_capacity = kc_node_memory_capacity(),
            .max_backoff_usec = c->max_container_restart_period,
            .registry_qps = c->registry_qps,
            .registry_burst = c->registry_burst,
            .max_parallel_pulls = c->serialize_image_pulls          ? 1
                                  : c->max_parallel_image_pulls > 0 ? c->max_parallel_image_pulls
                                                                    : 16,
            .clock = k->clock,
            .on_change = on_change,
            .probe = probe_result,
            .arg = k};
        return kc_runtime_new(&ro, &k->runtime, err);
}

static int make_server(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        KC_CLEANUP(kc_freep) char *cert = NULL;
        KC_CLEANUP(kc_freep) char *key = NULL;
        int r = c->port > 0 ? kc_kubelet_serving_cert(k, &cert, &key, err) : 0;
        if (r < 0)
                return r;
        k->health = kc_health_new();
        kc_health_add(k->health, "syncloop", KC_HEALTH_HEALTHZ, syncloop_check, k);
        k->configz = kc_kubelet_config_json(c);
        struct kc_kubelet_server_opts o = {.loop = k->loop,
            .pool = k->pool,
            .cri = k->cri,
            .rest = k->rest,
            .health = k->health,
            .node_name = k->node_name,
            .address = c->address,
            .port = c->port,
            .cert_file = cert,
            .key_file = key,
            .cert_may_come_later = k->server_cert != NULL,
            .client_ca_file = kc_str_empty(c->client_ca_file) ? NULL : c->client_ca_file,
            .tls_cipher_suites = c->tls_cipher_suites,
            .tls_min_version = c->tls_min_version,
            .anonymous_auth = c->anonymous_auth,
            .debugging_handlers = c->enable_debugging_handlers,
            .token_cache_ttl = c->token_cache_ttl,
            .authorized_cache_ttl = c->authorized_cache_ttl,
            .unauthorized_cache_ttl = c->unauthorized_cache_ttl,
            .authentication_webhook = c->authentication_token_webhook,
            .authorization_always_allow = kc_streq(c->authorization_mode, "AlwaysAllow"),
            .healthz_address = c->healthz_bind_address,
            .healthz_port = c->healthz_port,
            .streaming_idle_timeout = c->streaming_connection_idle_timeout,
            .root_dir = c->root_dir,
            .configz = k->configz};
        kc_kubelet_server_ops_fill(k, &o.ops);
        return kc_kubelet_server_new(&o, &k->server, err);
}

static int make_files(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        if (kc_str_empty(c->pod_manifest_path)) {
                k->files_synced = true;
                return 0;
        }
        struct kc_file_source_opts o = {.loop = k->loop,
            .path = c->pod_manifest_path,
            .node_name = k->node_name,
            .file_check_usec = c->file_check_frequency,
            .clock = k->clock,
            .on_pods = on_file_pods,
            .arg = k};
        return kc_file_source_new(&o, &k->files, err);
}

static int make_parts(struct kc_kubelet *k, struct kc_error *err)
{
        const struct kc_kubelet_config *c = k->config;
        int r = kc_mkdir_p(c->root_dir, 0750, err);
        if (r < 0)
                return r;
        k->pool = kc_pool_new("kubelet", POOL_THREADS, POOL_QUEUE);
        struct kc_cri_opts co = {.runtime_endpoint = c->container_runtime_endpoint,
            .image_endpoint = c->image_service_endpoint,
            .request_timeout_ms = (int)(c->runtime_request_timeout / KC_MSEC)};
        r = kc_cri_new(k->loop, &co, &k->cri, err);
        if (r == 0)
                r = make_api(k, err);
        if (r < 0)
                return r;
        k->events = kc_kubelet_events_new(k->rest, k->pool, k->node_name);
        k->objects = kc_objcache_new(k->rest, 0, k->clock);
        struct kc_status_manager_opts so = {.loop = k->loop,
            .pool = k->pool,
            .rest = k->rest,
            .pods = k->pods,
            .workers = STATUS_WORKERS,
            .clock = k->clock};
        k->statuses = kc_status_manager_new(&so);
        k->sync_controller = kc_controller_new(k->loop, k->pool, "pods", c->pod_workers, kc_pod_sync_key, k);
        k->pleg = kc_pleg_new(k);
        k->housekeeping = kc_timer_new(k->loop, kc_kubelet_housekeeping, k);
        r = make_node(k, err);
        if (r == 0)
                r = make_runtime(k, err);
        if (r == 0)
                r = make_files(k, err);
        if (r < 0)
                return r;
        kc_kubelet_make_cert_managers(k);
        return make_server(k, err);
}

int kc_kubelet_new(
    struct kc_loop *loop, const struct kc_kubelet_config *config, struct kc_kubelet **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_kubelet_freep) struct kc_kubelet *k = KC_NEW(struct kc_kubelet);
        k->config = config;
        k->loop = loop;
        k->node_name = kc_kubelet_node_name(config);
        k->node_ips = node_ips_of(config);
        k->workers = kc_map_new(kc_workers_free);
        pthread_mutex_init(&k->admission, NULL);
        pthread_mutex_init(&k->mutex, NULL);
        int r = make_parts(k, err);
        if (r < 0)
                return r;
        *ret = KC_TAKE(k);
        return 0;
}

int kc_kubelet_start(struct kc_kubelet *k, struct kc_error *err)
{
        (void)err;
        kc_kubelet_metrics_register(k);
        if (k->files)
                kc_file_source_start(k->files);
        kc_pleg_start(k->pleg);
        kc_timer_arm(k->housekeeping, k->config->container_log_monitor_interval);
        /* Static pods run without the API server, which may be one of them. */
        kc_controller_start(k->sync_controller);
        kc_node_start(k->node);
        if (k->client_cert)
                kc_kubelet_certs_start(k->client_cert);
        if (k->server_cert)
                kc_kubelet_certs_start(k->server_cert);
        if (k->informers) {
                kc_informers_start(k->informers);
                kc_informers_on_synced(k->informers, on_synced, k);
        }
        if (k->bundle_informers)
                kc_informers_start(k->bundle_informers);
        return 0;
}

void kc_kubelet_stop(struct kc_kubelet *k)
{
        atomic_store(&k->stopping, true);
        kc_timer_disarm(k->housekeeping);
        kc_controller_stop(k->sync_controller);
        kc_status_manager_stop(k->statuses);
        kc_node_stop(k->node);
        kc_pleg_stop(k->pleg);
        kc_prober_stop(k->prober);
}

static void nothing(void *arg)
{
        (void)arg;
}

/* Workers may wait for answers, which come through the loop: it runs on until they have ended. Calls to the runtime
 * fail from now on; what the runtime has begun, it finishes by itself. */
static void drain(struct kc_kubelet *k)
{
        struct kc_error err = KC_ERROR_INIT;
        bool runs = kc_loop_start_thread(k->loop, &err) == 0;
        if (!runs)
                kc_log_error(&err, "Could not run the loop while workers end, ignoring");
        kc_error_done(&err);
        if (k->cri)
                kc_cri_close(k->cri);
        kc_pool_free(k->pool);
        if (runs) {
                kc_loop_call(k->loop, nothing, NULL); /* what workers have posted runs while the parts are there */
                kc_loop_stop(k->loop);
                kc_loop_join(k->loop);
        }
}

void kc_kubelet_free(struct kc_kubelet *k)
{
        if (!k)
                return;
        kc_kubelet_server_free(k->server);
        kc_file_source_free(k->files);
        kc_informers_free(k->informers);
        kc_kubelet_certs_stop(k->client_cert);
        kc_kubelet_certs_stop(k->server_cert);
        drain(k);
        kc_informers_free(k->bundle_informers);
        kc_kubelet_certs_free(k->client_cert);
        kc_kubelet_certs_free(k->server_cert);
        kc_controller_free(k->sync_controller);
        kc_status_manager_free(k->statuses);
        kc_timer_free(k->housekeeping);
        kc_pleg_free(k->pleg);
        kc_prober_free(k->prober);
        kc_runtime_free(k->runtime);
        kc_volumes_free(k->volumes);
        kc_node_free(k->node);
        kc_kubelet_events_free(k->events);
        kc_objcache_free(k->objects);
        kc_cri_free(k->cri);
        kc_rest_free(k->rest);
        kc_client_config_done(&k->client_config);
        kc_health_free(k->health);
        kc_json_free(k->configz);
        kc_map_free(k->workers);
        kc_free(k->node_name);
        kc_strv_free(k->node_ips);
        pthread_mutex_destroy(&k->admission);
        pthread_mutex_destroy(&k->mutex);
        kc_free(k);
}
