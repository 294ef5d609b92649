/* postStart and preStop hooks. Blocks: worker threads. */
#include "kubelet/prober/lifecycle.h"

#include <errno.h>
#include <time.h>

#include "api/status.h"
#include "base/mem.h"
#include "base/str.h"
#include "kubelet/pod/pod.h"
#include "kubelet/prober/prober_internal.h"

static char *quoted(const char *s)
{
        struct kc_buf b = KC_BUF_INIT;
        kc_quote_add(&b, s);
        return kc_buf_take_str(&b);
}

/* "<kind> lifecycle hook (<what>) for Container "c" in Pod "p" failed - error: <why>, message: "<output>"" */
static int fail(const struct kc_probe_env *e, const char *kind, const char *what, int errnum, const char *why,
    const char *output, struct kc_error *err)
{
        KC_CLEANUP(kc_freep) char *pod = kc_pod_format(e->pod);
        KC_CLEANUP(kc_freep) char *message = quoted(output);
        return kc_error_set(err, errnum,
            "%s lifecycle hook (%s) for Container \"%s\" in Pod \"%s\" failed - error: %s, message: %s", kind, what,
            kc_json_str(e->container, "name") ?: "", pod, why, message);
}

static int run_exec(
    const struct kc_probe_env *e, const struct json_object *action, int64_t timeout_usec, struct kc_error *err)
{
        const struct json_object *list = kc_json_get(action, "command");
        KC_CLEANUP(kc_strv_freep) char **cmd = KC_NEW(char *);
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_strv_push(&cmd, kc_json_as_str(kc_json_idx(list, i)) ?: "");
        KC_CLEANUP(kc_buf_done) struct kc_buf out = KC_BUF_INIT;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int64_t seconds = timeout_usec > 0 ? (timeout_usec + KC_SEC - 1) / KC_SEC : 0;
        int code = 0;
        int r =
            kc_cri_exec_sync(e->cri, e->container_id, cmd, (int)KC_MIN(seconds, (int64_t)INT32_MAX), &code, &out, &why);
        if (r == 0 && code == 0)
                return 0;
        KC_CLEANUP(kc_freep) char *joined = kc_strv_join(cmd, " ");
        KC_CLEANUP(kc_freep) char *what = kc_asprintf("[%s]", joined);
        KC_CLEANUP(kc_freep)
        char *text = r == -ETIMEDOUT ? kc_asprintf("command \"%s\" timed out", joined)
                     : r < 0         ? kc_strdup(kc_error_message(&why))
                                     : kc_asprintf("command '%s' exited with %d: ", joined, code);
        return fail(e, "Exec", what, r < 0 ? -r : EIO, text, kc_buf_str(&out), err);
}

static int run_http(
    const struct kc_probe_env *e, const struct json_object *action, int64_t timeout_usec, struct kc_error *err)
{
        struct kc_probe_http_request r = {.loop = e->loop,
            .host = e->pod_ip,
            .action = action,
            .container = e->container,
            .user_agent = KC_LIFECYCLE_USER_AGENT,
            .timeout_ms = (int)KC_MIN(timeout_usec > 0 ? timeout_usec / KC_MSEC + 1 : 0, (int64_t)INT32_MAX)};
        struct kc_probe_http_answer answer;
        KC_CLEANUP(kc_error_done) struct kc_error why = KC_ERROR_INIT;
        int res = kc_probe_http_get(&r, &answer, &why);
        if (res < 0 && answer.not_tls) {
                /* Hooks once ignored the scheme: one more try without TLS. */
                kc_error_done(&why);
                kc_probe_http_answer_done(&answer);
                r.plain = true;
                res = kc_probe_http_get(&r, &answer, &why);
        }
        if (res < 0)
                res = fail(e, "HTTP", kc_json_str(action, "path") ?: "", -res, kc_error_message(&why),
                    kc_buf_str(&answer.body), err);
        kc_probe_http_answer_done(&answer);
        return res;
}

/* The hook is the waiting itself. */
static int run_sleep(const struct json_object *action, int64_t timeout_usec, struct kc_error *err)
{
        int64_t usec = kc_json_int(action, "seconds", 0) * KC_SEC;
        bool cut = timeout_usec > 0 && usec > timeout_usec;
        if (cut)
                usec = timeout_usec;
        if (usec > 0) {
                struct timespec until;
                (void)clock_gettime(CLOCK_MONOTONIC, &until); /* cannot fail */
                int64_t nsec = until.tv_nsec + usec % KC_SEC * 1000;
                until.tv_sec += (time_t)(usec / KC_SEC + nsec / 1000000000);
                until.tv_nsec = nsec % 1000000000;
                while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
                        continue;
        }
        return cut ? kc_error_set(err, ETIMEDOUT, "container terminated before sleep hook finished") : 0;
}

int kc_lifecycle_run(
    const struct kc_probe_env *e, const struct json_object *handler, int64_t timeout_usec, struct kc_error *err)
{
        const struct json_object *action;
        if ((action = kc_json_get(handler, "exec")))
                return run_exec(e, action, timeout_usec, err);
        if ((action = kc_json_get(handler, "httpGet")))
                return run_http(e, action, timeout_usec, err);
        if ((action = kc_json_get(handler, "sleep")))
                return run_sleep(action, timeout_usec, err);
        return kc_error_set(err, EINVAL, "invalid handler: the hook has no exec, httpGet or sleep");
}
