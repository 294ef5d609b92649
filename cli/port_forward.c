/* kubec port-forward. Main thread; connections are announced on the client's loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/pods.h"
#include "cli/requests.h"
#include "cli/stream/forward.h"

static struct {
        char **addresses;
        int64_t timeout;
} opt = {.timeout = 60 * KC_SEC};

static const struct kc_flag flags[] = {
    {"address", 0, KC_FLAG_STRV, &opt.addresses, "addresses to listen on, or localhost (the default)", "Port-forward"},
    {"pod-running-timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a pod of a workload",
        "Port-forward"},
};

/* --- "8080", "8080:80", ":80", "web" */

/* Other parts are not looked at here, as by kubectl. */
static void split_port(const char *s, char **ret_local, char **ret_remote)
{
        KC_CLEANUP(kc_strv_freep) char **parts = kc_strv_split(s, ':');
        bool two = kc_strv_len(parts) == 2;
        *ret_local = kc_strdup(parts[0]);
        *ret_remote = kc_strdup(parts[two ? 1 : 0]);
}

static bool is_number(const char *s, int64_t *ret)
{
        return kc_str_to_i64(s, ret) == 0;
}

static int pod_port_by_name(const struct json_object *pod, const char *name, int64_t *ret, struct kc_error *err)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers"};
        for (size_t k = 0; k < KC_ARRAY_LEN(lists); k++) {
                const struct json_object *list = kc_json_at(pod, lists[k]);
                for (size_t i = 0; i < kc_json_len(list); i++) {
                        const struct json_object *c = kc_json_idx(list, i);
                        const struct json_object *port = kc_json_find(kc_json_get(c, "ports"), "name", name);
                        bool runs = k == 1 || kc_streq(kc_json_str(c, "restartPolicy"), "Always");
                        if (!port || !runs)
                                continue;
                        *ret = kc_json_int(port, "containerPort", 0);
                        return 0;
                }
        }
        return kc_error_set(err, ENOENT, "Pod '%s' does not have a named port '%s'", kc_meta_name(pod), name);
}

static int service_port_by_name(const struct json_object *svc, const char *name, int64_t *ret, struct kc_error *err)
{
        const struct json_object *port = kc_json_find(kc_json_at(svc, "spec.ports"), "name", name);
        if (!port)
                return kc_error_set(
                    err, ENOENT, "Service '%s' does not have a named port '%s'", kc_meta_name(svc), name);
        *ret = kc_json_int(port, "port", 0);
        return 0;
}

/* The port of the pod behind that port of the service. */
static int target_port(
    const struct json_object *svc, const struct json_object *pod, int64_t port, int64_t *ret, struct kc_error *err)
{
        const struct json_object *ports = kc_json_at(svc, "spec.ports");
        for (size_t i = 0; i < kc_json_len(ports); i++) {
                const struct json_object *one = kc_json_idx(ports, i);
                if (kc_json_int(one, "port", 0) != port)
                        continue;
                const char *name = kc_json_str(one, "targetPort");
                if (kc_streq(kc_json_str_at(svc, "spec.clusterIP"), "None"))
                        *ret = port;
                else if (name)
                        return pod_port_by_name(pod, name, ret, err);
                else
                        *ret = kc_json_int(one, "targetPort", port);
                return 0;
        }
        return kc_error_set(
            err, ENOENT, "Service %s does not have a service port %lld", kc_meta_name(svc), (long long)port);
}

/* Ports of that protocol only cannot be forwarded. */
static bool only_udp(const struct json_object *list, const char *key, int64_t port)
{
        bool udp = false;
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *one = kc_json_idx(list, i);
                if (kc_json_int(one, key, 0) != port)
                        continue;
                if (!kc_streq(kc_json_str(one, "protocol"), "UDP"))
                        return false;
                udp = true;
        }
        return udp;
}

static bool pod_has_only_udp(const struct json_object *pod, int64_t port)
{
        const struct json_object *list = kc_json_at(pod, "spec.containers");
        bool udp = false;
        for (size_t i = 0; i < kc_json_len(list); i++)
                udp = udp || only_udp(kc_json_get(kc_json_idx(list, i), "ports"), "containerPort", port);
        return udp;
}

/* A port of the command line as numbers: "8080:80". */
static int resolve_port(
    const struct json_object *obj, const struct json_object *pod, const char *text, char **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *local = NULL, *remote = NULL;
        split_port(text, &local, &remote);
        bool service = kc_streq(kc_json_str(obj, "kind"), "Service"), same = kc_streq(local, remote);
        int64_t port = 0;
        int e = 0;
        if (!is_number(remote, &port)) {
                e = service ? service_port_by_name(obj, remote, &port, err) : pod_port_by_name(pod, remote, &port, err);
                if (e == 0 && same) {
                        kc_free(local);
                        local = kc_asprintf("%lld", (long long)port);
                }
        }
        if (e == 0 && (service ? only_udp(kc_json_at(obj, "spec.ports"), "port", port) : pod_has_only_udp(pod, port)))
                e = kc_error_set(err, EINVAL, "UDP protocol is not supported for %s", remote);
        if (e == 0 && service)
                e = target_port(obj, pod, port, &port, err);
        if (e == 0)
                *ret = kc_asprintf("%s:%lld", local, (long long)port);
        return e;
}

struct pair {
        int local, remote;
};

static int parse_number(const char *what, const char *s, int *ret, struct kc_error *err)
{
        uint64_t v = 0;
        bool bad = kc_str_to_u64(s, &v) < 0;
        if (bad || v > UINT16_MAX)
                return kc_error_set(err, EINVAL, "error parsing %s port '%s': strconv.ParseUint: parsing \"%s\": %s",
                    what, s, s, bad ? "invalid syntax" : "value out of range");
        *ret = (int)v;
        return 0;
}

static int parse_pair(const char *s, struct pair *ret, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *local = NULL, *remote = NULL;
        split_port(s, &local, &remote);
        int e = parse_number("local", local[0] ? local : "0", &ret->local, err);
        if (e == 0)
                e = parse_number("remote", remote, &ret->remote, err);
        if (e == 0 && ret->remote == 0)
                e = kc_error_set(err, EINVAL, "remote port must be > 0");
        return e;
}

/* --- listening */

static void on_connection(int local, void *arg)
{
        struct kc_cli *c = arg;
        (void)fprintf(c->out, "Handling connection for %d\n", local);
        (void)fflush(c->out); /* said in passing: the connections matter more */
}

static int check_addresses(struct kc_error *err)
{
        char bytes[sizeof(struct in6_addr)];
        for (char **a = opt.addresses; a && *a; a++)
                if (!kc_streq(*a, "localhost") && inet_pton(AF_INET, *a, bytes) != 1 &&
                    inet_pton(AF_INET6, *a, bytes) != 1)
                        return kc_error_set(err, EINVAL, "%s is not a valid IP", *a);
        return 0;
}

static bool listen_on(struct kc_cli *c, struct kc_forward *f, const char *address, struct pair *p, char ***errors)
{
        struct kc_error why = KC_ERROR_INIT;
        bool good = kc_forward_listen(f, address, &p->local, p->remote, &why) == 0;
        if (good)
                (void)fprintf(c->out,
                    strchr(address, ':') ? "Forwarding from [%s]:%d -> %d\n" : "Forwarding from %s:%d -> %d\n", address,
                    p->local, p->remote);
        else
                kc_strv_pushf(errors, "unable to create listener: Error %s", kc_error_message(&why));
        kc_error_done(&why);
        return good;
}

/* On every address; localhost is at least one of its two. */
static bool listen_all(struct kc_cli *c, struct kc_forward *f, struct pair *p)
{
        char localhost[] = "localhost";
        char *by_default[] = {localhost, NULL};
        KC_CLEANUP(kc_strv_freep) char **errors = NULL;
        size_t good = 0, bad = 0;
        bool local_good = true;
        for (char *const *a = opt.addresses ? opt.addresses : by_default; *a; a++) {
                if (kc_streq(*a, localhost)) {
                        bool v4 = listen_on(c, f, "127.0.0.1", p, &errors);
                        local_good = listen_on(c, f, "::1", p, &errors) || v4;
                } else if (listen_on(c, f, *a, p, &errors)) {
                        good++;
                } else {
                        bad++;
                }
        }
        if (local_good && (good > 0 || bad == 0))
                return true;
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(errors, " ");
        (void)fprintf(c->err,
            "Unable to listen on port %d: Listeners failed to create with the following errors: [%s]\n", p->local, all);
        return false;
}

static int listen_ports(struct kc_cli *c, struct kc_forward *f, struct pair *pairs, size_t n, struct kc_error *err)
{
        KC_CLEANUP(kc_strv_freep) char **texts = NULL;
        bool any = false;
        for (size_t i = 0; i < n; i++) {
                any = listen_all(c, f, &pairs[i]) || any;
                kc_strv_pushf(&texts, "{%d %d}", pairs[i].local, pairs[i].remote);
        }
        if (fflush(c->out) != 0)
                return kc_cli_write_failed(c);
        KC_CLEANUP(kc_freep) char *all = kc_strv_join(texts, " ");
        return any ? 0 : kc_error_set(err, EINVAL, "unable to listen on any of the requested ports: [%s]", all);
}

/* --- the command */

static void on_interrupt(void *arg)
{
        kc_forward_stop(arg);
}

struct interrupt {
        struct kc_loop *loop;
        struct kc_forward *forward;
        struct kc_error *err;
        int result;
};

static void catch_interrupt(void *arg)
{
        struct interrupt *i = arg;
        i->result = kc_loop_on_signal(i->loop, SIGINT, on_interrupt, i->forward, i->err);
}

static int forward(struct kc_cli *c, const struct json_object *pod, struct pair *pairs, size_t n, struct kc_error *err)
{
        struct kc_rest *rest;
        int timeout_ms = 0;
        KC_CLEANUP(kc_forward_freep) struct kc_forward *f = NULL;
        KC_CLEANUP(kc_freep)
        char *path = kc_gvr_path(&KC_PODS, kc_meta_namespace(pod), kc_meta_name(pod), "portforward");
        int e = kc_cli_rest(c, &rest, err);
        if (e == 0)
                e = kc_cli_request_timeout_ms(c, &timeout_ms, err);
        if (e < 0)
                return e;
        e = kc_forward_new(
            &(struct kc_forward_opts){
                .rest = rest, .path = path, .timeout_ms = timeout_ms, .on_connection = on_connection, .arg = c},
            &f, err);
        if (e < 0)
                return kc_error_wrap(err, "error upgrading connection");
        struct interrupt i = {.loop = kc_rest_loop(rest), .forward = f, .err = err};
        kc_loop_call(i.loop, catch_interrupt, &i);
        e = i.result < 0 ? i.result : listen_ports(c, f, pairs, n, err);
        return e != 0 ? e : kc_forward_wait(f, err);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *pod = NULL, *obj = NULL;
        size_t n = kc_strv_len(args);
        if (n < 2)
                return kc_cli_usage_error(
                    c, "port-forward", err, "TYPE/NAME and list of ports are required for port-forward");
        if (opt.timeout <= 0)
                return kc_cli_usage_error(c, "port-forward", err, "--pod-running-timeout must be higher than zero");
        char *target[] = {args[0], NULL};
        int e = kc_pod_attachable(
            c, target, NULL, opt.timeout, "cannot forward ports of multiple objects at a time", &pod, &obj, err);
        KC_CLEANUP(kc_strv_freep) char **texts = NULL;
        KC_CLEANUP(kc_freep) struct pair *pairs = kc_calloc(n, sizeof(*pairs));
        for (size_t i = 1; e == 0 && i < n; i++) {
                char *text = NULL;
                e = resolve_port(obj, pod, args[i], &text, err);
                if (e == 0)
                        kc_strv_push_take(&texts, text);
        }
        const char *phase = kc_json_str_at(pod, "status.phase");
        if (e == 0 && !kc_streq(phase, "Running"))
                return kc_error_set(err, EINVAL, "unable to forward port because pod is not running. Current status=%s",
                    phase ? phase : "");
        for (size_t i = 1; e == 0 && i < n; i++)
                e = parse_pair(texts[i - 1], &pairs[i - 1], err);
        if (e < 0)
                return e;
        e = check_addresses(err);
        return e < 0 ? e : forward(c, pod, pairs, n - 1, err);
}

const struct kc_command kc_cmd_port_forward = {.name = "port-forward",
    .usage = "port-forward TYPE/NAME [options] [LOCAL_PORT:]REMOTE_PORT [...[LOCAL_PORT_N:]REMOTE_PORT_N]",
    .summary = "Forward one or more local ports to a pod",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Connections to ports of this machine become connections to ports of a pod, until this program is\n"
                   "interrupted or the pod is gone. Of a workload or service one running pod is chosen at the start.",
    .examples = "# the same port here and there\nkubec port-forward web 8080\n\n"
                "# port 5000 here, 80 of a pod of the service\nkubec port-forward svc/web 5000:80\n\n"
                "# any free port here\nkubec port-forward deploy/web :http\n\n"
                "# for other machines, too\nkubec port-forward --address 0.0.0.0 web 8080\n",
    .completes = KC_ARGS_POD};
