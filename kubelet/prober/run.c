/* One probe of any kind. Blocks: worker threads. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/env/env.h"
#include "kubelet/prober/prober_internal.h"

enum { PORT_MAX = 65535 };

char *kc_probe_host_port(const char *host, int port)
{
        return kc_asprintf(strchr(host, ':') ? "[%s]:%d" : "%s:%d", host, port);
}

int kc_probe_port(const struct json_object *container, const struct json_object *port, struct kc_error *err)
{
        const char *name = kc_json_as_str(port);
        int64_t n = 0;
        if (name) {
                const struct json_object *p = kc_json_find(kc_json_get(container, "ports"), "name", name);
                if (p)
                        n = kc_json_int(p, "containerPort", 0);
                else if (kc_str_to_i64(name, &n) < 0)
                        return kc_error_set(err, EINVAL, "couldn't find port: %s in container \"%s\"", name,
                            kc_json_str(container, "name") ?: "");
        } else if (port && json_object_is_type(port, json_type_int)) {
                n = json_object_get_int64(port);
        }
        if (n < 1 || n > PORT_MAX)
                return kc_error_set(err, EINVAL, "invalid port number: %lld", (long long)n);
        return (int)n;
}

/* --- tcp */

static int wait_connected(int fd, int timeout_ms, int *ret_errno)
{
        kc_mono deadline = kc_clock_mono(NULL) + (int64_t)timeout_ms * KC_MSEC;
        for (;;) {
                int64_t left = (deadline - kc_clock_mono(NULL)) / KC_MSEC;
                struct pollfd p = {.fd = fd, .events = POLLOUT};
                int n = left > 0 ? poll(&p, 1, (int)left) : 0;
                if (n < 0 && errno == EINTR)
                        continue;
                if (n == 0)
                        return -ETIMEDOUT;
                socklen_t len = sizeof(*ret_errno);
                if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, ret_errno, &len) < 0)
                        *ret_errno = errno;
                return *ret_errno ? -*ret_errno : 0;
        }
}

static int connect_to(const struct addrinfo *a, int timeout_ms)
{
        KC_CLEANUP(kc_closep)
        int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int e = 0;
        if (fd < 0)
                return -errno;
        /* The port is free again at once: probes are many. */
        struct linger linger = {.l_onoff = 1, .l_linger = 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)); /* best effort */
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
                return 0;
        return errno == EINPROGRESS ? wait_connected(fd, timeout_ms, &e) : -errno;
}

static const char *go_name(int e)
{
        switch (e) {
        case ECONNREFUSED:
                return "connection refused";
        case EHOSTUNREACH:
                return "no route to host";
        case ENETUNREACH:
                return "network is unreachable";
        case ECONNRESET:
                return "connection reset by peer";
        default:
                return strerror(e);
        }
}

int kc_probe_dial(const char *host, int port, int timeout_ms, struct kc_error *err)
{
        char service[16];
        (void)snprintf(service, sizeof(service), "%d", port);
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
        int e = getaddrinfo(host, service, &hints, &list);
        if (e != 0)
                return kc_error_set(err, ENOENT, "dial tcp: lookup %s: no such host", host);
        e = connect_to(list, timeout_ms > 0 ? timeout_ms : INT32_MAX);
        freeaddrinfo(list);
        if (e == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *address = kc_probe_host_port(host, port);
        if (e == -ETIMEDOUT)
                return kc_error_set(err, ETIMEDOUT, "dial tcp %s: i/o timeout", address);
        return kc_error_set(err, -e, "dial tcp %s: connect: %s", address, go_name(-e));
}

static enum kc_probe_result probe_tcp(
    const struct kc_probe_env *e, const struct json_object *action, int timeout_ms, char **ret_output)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const char *host = kc_json_str(action, "host");
        if (kc_str_empty(host))
                host = e->pod_ip;
        int port = kc_probe_port(e->container, kc_json_get(action, "port"), &err);
        enum kc_probe_result result = KC_PROBE_SUCCESS;
        if (port < 0)
                result = KC_PROBE_UNKNOWN;
        else if (kc_probe_dial(host, port, timeout_ms, &err) < 0)
                result = KC_PROBE_FAILURE;
        *ret_output = kc_strdup(result == KC_PROBE_SUCCESS ? "" : kc_error_message(&err));
        return result;
}

/* --- http */

static enum kc_probe_result probe_http(const struct kc_probe_env *e, const struct json_object *action, int timeout_ms,
    bool *ret_warning, char **ret_output)
{
        struct kc_probe_http_request r = {.loop = e->loop,
            .host = e->pod_ip,
            .action = action,
            .container = e->container,
            .user_agent = KC_PROBE_USER_AGENT,
            .timeout_ms = timeout_ms};
        KC_CLEANUP(kc_probe_http_answer_done) struct kc_probe_http_answer answer;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int res = kc_probe_http_get(&r, &answer, &err);
        if (res < 0) {
                *ret_output = kc_strdup(kc_error_message(&err));
                return res == -EINVAL ? KC_PROBE_UNKNOWN : KC_PROBE_FAILURE;
        }
        if (answer.code < 200 || answer.code >= 400) {
                *ret_output = kc_asprintf("HTTP probe failed with statuscode: %d", answer.code);
                return KC_PROBE_FAILURE;
        }
        if (answer.code >= 300) {
                *ret_warning = true;
                *ret_output = kc_asprintf("Probe terminated redirects, Response body: %s", kc_buf_str(&answer.body));
                return KC_PROBE_SUCCESS;
        }
        *ret_output = kc_buf_take_str(&answer.body);
        return KC_PROBE_SUCCESS;
}

/* --- exec */

/* Only what the container's spec says itself: references have not been looked up for it. */
static void static_env(const struct json_object *container, struct kc_env *ret)
{
        const struct json_object *list = kc_json_get(container, "env");
        for (size_t i = 0; i < kc_json_len(list); i++) {
                const struct json_object *v = kc_json_idx(list, i);
                if (kc_json_get(v, "valueFrom"))
                        continue;
                kc_strv_push(&ret->names, kc_json_str(v, "name") ?: "");
                kc_strv_push(&ret->values, kc_json_str(v, "value") ?: "");
                ret->n++;
        }
}

static enum kc_probe_result probe_exec(
    const struct kc_probe_env *e, const struct json_object *action, int timeout_seconds, char **ret_output)
{
        KC_CLEANUP(kc_env_done) struct kc_env env = {0};
        static_env(e->container, &env);
        KC_CLEANUP(kc_strv_freep) char **cmd = kc_env_expand_array(kc_json_get(action, "command"), &env);
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        int code = 0;
        int r = kc_cri_exec_sync(e->cri, e->container_id, cmd, timeout_seconds, &code, &out, &err);
        if (r == -ETIMEDOUT) {
                KC_CLEANUP(kc_freep) char *joined = kc_strv_join(cmd, " ");
                *ret_output = kc_asprintf("command \"%s\" timed out", joined);
                return KC_PROBE_FAILURE;
        }
        if (r < 0) {
                *ret_output = kc_strdup(kc_error_message(&err));
                return KC_PROBE_UNKNOWN;
        }
        *ret_output = kc_strndup(kc_buf_str(&out), KC_PROBE_OUTPUT_MAX);
        return code == 0 ? KC_PROBE_SUCCESS : KC_PROBE_FAILURE;
}

/* --- any */

enum kc_probe_result kc_probe_run_full(
    const struct kc_probe_env *e, const struct json_object *probe, bool *ret_warning, char **ret_output)
{
        int seconds = (int)kc_json_int(probe, "timeoutSeconds", 1);
        if (seconds < 1)
                seconds = 1;
        const struct json_object *action;
        *ret_warning = false;
        if ((action = kc_json_get(probe, "exec")))
                return probe_exec(e, action, seconds, ret_output);
        if (!e->pod_ip) {
                *ret_output = kc_strdup("the pod has no address yet");
                return KC_PROBE_UNKNOWN;
        }
        if ((action = kc_json_get(probe, "httpGet")))
                return probe_http(e, action, seconds * 1000, ret_warning, ret_output);
        if ((action = kc_json_get(probe, "tcpSocket")))
                return probe_tcp(e, action, seconds * 1000, ret_output);
        if ((action = kc_json_get(probe, "grpc")))
                return kc_probe_grpc(e, action, seconds * 1000, ret_output);
        *ret_output = kc_strdup("missing probe handler");
        return KC_PROBE_UNKNOWN;
}

enum kc_probe_result kc_probe_run(const struct kc_probe_env *e, const struct json_object *probe, char **ret_output)
{
        bool warning;
        return kc_probe_run_full(e, probe, &warning, ret_output);
}
