/* GET .../pods/x/log: what the kubelet of the pod's node has, passed through as it comes (relay.h). The pod and the
 * node are looked up on a worker. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/encode.h"
#include "base/str.h"
#include "server/relay.h"
#include "server/server_internal.h"

enum {
        LOG_ERROR_MAX = 50000, /* bytes of a kubelet's error message */
};

/* --- which kubelet, which path */

/* PodLogOptions as the kubelet takes them. */
static int log_query(const struct api_req *q, struct kc_buf *out, struct kc_error *err)
{
        static const struct {
                const char *name;
                int64_t min; /* -1: not a number */
        } params[] = {{"follow", -1}, {"previous", -1}, {"timestamps", -1}, {"sinceSeconds", 1}, {"sinceTime", -1},
            {"tailLines", 0}, {"limitBytes", 1}, {"stream", -1}};
        KC_CLEANUP(kc_field_errors_done) struct kc_field_errors errors = {0};
        for (size_t i = 0; i < KC_ARRAY_LEN(params); i++) {
                KC_CLEANUP(kc_freep) char *v = api_req_param(q, params[i].name);
                int64_t n;
                if (kc_str_empty(v))
                        continue;
                if (params[i].min >= 0 && kc_str_to_i64(v, &n) < 0)
                        return kc_err_bad_request(err, "strconv.ParseInt: parsing \"%s\": invalid syntax", v);
                if (params[i].min >= 0 && n < params[i].min)
                        kc_field_invalid_str(&errors, params[i].name, v,
                            params[i].min == 0 ? "must be greater than or equal to 0" : "must be greater than 0");
                KC_CLEANUP(kc_freep) char *escaped = kc_url_escape(v, false);
                kc_buf_addf(out, "%c%s=%s", out->len == 0 ? '?' : '&', params[i].name, escaped);
        }
        return errors.n == 0 ? 0 : kc_err_invalid(err, "", "PodLogOptions", q->info.name, &errors);
}

/* The kubelet's path and query; NULL: a pod without a node has no log yet. */
static int find(struct api_req *q, struct backend *ret_kubelet, char **ret_target, struct kc_error *err)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *object = NULL;
        KC_CLEANUP(kc_freep) char *wanted = api_req_param(q, "container");
        KC_CLEANUP(kc_buf_done) struct kc_buf query = KC_BUF_INIT;
        const char *container = NULL;
        int r = kc_resources_get_live(q->server->resources, "", "pods", q->info.ns, q->info.name, &object, err);
        if (r < 0)
                return r;
        const struct json_object *pod = kc_object_json(object);
        const char *node = kc_json_str_at(pod, "spec.nodeName");
        r = pod_choose_container(pod, wanted, &container, err);
        if (r < 0 || kc_str_empty(node))
                return r;
        r = log_query(q, &query, err);
        if (r == 0)
                r = backend_of_kubelet(q, node, ret_kubelet, err);
        if (r == 0 && api_req_param_bool(q, "insecureSkipTLSVerifyBackend", false))
                ret_kubelet->tls = q->server->kubelet_unverified_tls;
        if (r == 0)
                *ret_target = kc_asprintf("/containerLogs/%s/%s/%s%s", kc_meta_namespace(pod), kc_meta_name(pod),
                    container, kc_buf_str(&query));
        return r;
}

/* --- the answer */

static enum relay_do on_head(
    struct api_req *q, int code, char *const *headers, int *ret_code, char ***ret_headers, void *arg)
{
        (void)headers; /* only the text counts */
        (void)arg;
        if (code < 200 || code > 206)
                return RELAY_COLLECT;
        *ret_code = 200;
        *ret_headers = api_reply_headers(q, "text/plain");
        return RELAY_STREAM;
}

/* NewGenericHttpResponseChecker of upstream. */
static void on_refused(struct api_req *q, int code, char *const *headers, struct kc_buf *body, void *arg)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)headers;
        (void)arg;
        const char *text = kc_buf_str(body);
        if (code == 400)
                (void)kc_err_bad_request(&err, "%s", text);
        else if (code == 404)
                (void)kc_error_set_api(&err, 404, KC_REASON_NOT_FOUND,
                    "the server could not find the requested resource ( pods/log %s)", q->info.name);
        else
                (void)kc_err_internal(&err, "%s", text);
        api_reply_error(q, &err);
}

static void on_error(struct api_req *q, const struct kc_error *cause, void *arg)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        (void)kc_error_set_api(&err, 500, "", "Get \"%s\": %s", (const char *)arg, kc_error_message(cause));
        api_reply_error(q, &err);
}

static const struct relay_cbs relay_cbs = {on_head, on_refused, on_error, kc_free};

static void log_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(backend_done) struct backend kubelet = {0};
        KC_CLEANUP(kc_freep) char *target = NULL;
        if (find(q, &kubelet, &target, &err) < 0) {
                api_reply_error(q, &err);
                return;
        }
        if (!target) {
                api_reply_text(q, 200, "");
                return;
        }
        const struct relay_opts o = {.method = "GET",
            .target = target,
            .take_arg = kc_asprintf("https://%s%s", kubelet.address, target),
            .take_backend = &kubelet,
            .collect_max = LOG_ERROR_MAX,
            .cbs = &relay_cbs};
        relay_start(q, &o);
}

void handle_log(struct api_req *q)
{
        api_req_run_blocking(q, log_job);
}
