/* kubec logs. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/lines.h"
#include "cli/objects.h"
#include "cli/pods.h"
#include "cli/requests.h"
#include "cli/stream/terminal.h"

enum { SELECTOR_TAIL = 10, DEFAULT_MAX_STREAMS = 5 };

static struct {
        char *container, *selector, *since_time;
        bool follow, previous, timestamps, all_containers, all_pods, prefix, ignore_errors, insecure;
        int64_t tail, limit_bytes, since, max_streams, timeout;
} opt = {.tail = -1, .max_streams = DEFAULT_MAX_STREAMS, .timeout = 20 * KC_SEC};

static const struct kc_flag flags[] = {
    {"follow", 'f', KC_FLAG_BOOL, &opt.follow, "go on with what is written", "Logs"},
    {"container", 'c', KC_FLAG_STRING, &opt.container, "the container", "Logs"},
    {"all-containers", 0, KC_FLAG_BOOL, &opt.all_containers, "all containers of the pods", "Logs"},
    {"all-pods", 0, KC_FLAG_BOOL, &opt.all_pods, "all pods of the workload; implies --prefix", "Logs"},
    {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query", "Logs"},
    {"tail", 0, KC_FLAG_INT64, &opt.tail, "so many of the last lines; -1: all (10 with a selector)", "Logs"},
    {"since", 0, KC_FLAG_DURATION, &opt.since, "only what is younger than 5s, 2m, 3h", "Logs"},
    {"since-time", 0, KC_FLAG_STRING, &opt.since_time, "only what is younger than this time (RFC 3339)", "Logs"},
    {"limit-bytes", 0, KC_FLAG_INT64, &opt.limit_bytes, "so many bytes at most", "Logs"},
    {"previous", 'p', KC_FLAG_BOOL, &opt.previous, "of the instance of the container before this one", "Logs"},
    {"timestamps", 0, KC_FLAG_BOOL, &opt.timestamps, "with the time of each line", "Logs"},
    {"prefix", 0, KC_FLAG_BOOL, &opt.prefix, "with the pod and container in front of each line", "Logs"},
    {"max-log-requests", 0, KC_FLAG_INT64, &opt.max_streams, "streams at most, with a selector and -f", "Logs"},
    {"ignore-errors", 0, KC_FLAG_BOOL, &opt.ignore_errors, "go on with the others when one fails", "Logs"},
    {"insecure-skip-tls-verify-backend", 0, KC_FLAG_BOOL, &opt.insecure, "do not verify the kubelet", "Logs"},
    {"pod-running-timeout", 0, KC_FLAG_DURATION, &opt.timeout, "how long to wait for a pod of a workload", "Logs"},
};

/* One stream of log. */
struct source {
        char *path, *prefix;
};
struct sources {
        struct source *v;
        size_t n, cap;
};

static void sources_done(struct sources *s)
{
        for (size_t i = 0; i < s->n; i++) {
                kc_free(s->v[i].path);
                kc_free(s->v[i].prefix);
        }
        kc_free(s->v);
}

static char *log_query(const char *container)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        bool selector = !kc_str_empty(opt.selector);
        int64_t tail = opt.tail < 0 && selector ? SELECTOR_TAIL : opt.tail;
        kc_query_add(&q, "container", container);
        if (opt.follow)
                kc_query_add(&q, "follow", "true");
        if (opt.previous)
                kc_query_add(&q, "previous", "true");
        if (opt.timestamps)
                kc_query_add(&q, "timestamps", "true");
        if (opt.insecure)
                kc_query_add(&q, "insecureSkipTLSVerifyBackend", "true");
        if (opt.since > 0)
                kc_buf_addf(
                    &q, "%ssinceSeconds=%lld", q.len ? "&" : "", (long long)((opt.since + KC_SEC - 1) / KC_SEC));
        kc_query_add(&q, "sinceTime", kc_str_empty(opt.since_time) ? NULL : opt.since_time);
        if (tail >= 0)
                kc_buf_addf(&q, "%stailLines=%lld", q.len ? "&" : "", (long long)tail);
        if (opt.limit_bytes > 0)
                kc_buf_addf(&q, "%slimitBytes=%lld", q.len ? "&" : "", (long long)opt.limit_bytes);
        return kc_buf_take_str(&q);
}

static void add_source(
    struct sources *s, const struct kc_api_resource *pods, const struct json_object *pod, const char *container)
{
        if (s->n == s->cap) {
                s->cap = s->cap ? 2 * s->cap : 8;
                s->v = kc_reallocarray(s->v, s->cap, sizeof(*s->v));
        }
        KC_CLEANUP(kc_freep) char *query = log_query(container);
        s->v[s->n++] = (struct source){
            .path = kc_cli_path(pods, kc_meta_namespace(pod), kc_meta_name(pod), "log", query),
            .prefix = opt.prefix || opt.all_pods ? kc_asprintf("[pod/%s/%s] ", kc_meta_name(pod), container) : NULL};
}

/* The container to read: asked for, annotated, or the first. */
static int choose_container(struct kc_cli *c, const struct json_object *pod, const char **ret, struct kc_error *err)
{
        if (kc_str_empty(opt.container))
                return kc_pod_default_container(c, pod, opt.all_pods, ret, err);
        if (!kc_pod_has_container(pod, opt.container))
                return kc_error_set(
                    err, EINVAL, "container %s is not valid for pod %s", opt.container, kc_meta_name(pod));
        *ret = opt.container;
        return 0;
}

static int add_pod(struct kc_cli *c, const struct kc_api_resource *pods, const struct json_object *pod,
    struct sources *s, struct kc_error *err)
{
        /* Init containers ran first. */
        static const char *const lists[] = {"spec.initContainers", "spec.containers", "spec.ephemeralContainers"};
        if (!opt.all_containers) {
                const char *container = NULL;
                int e = choose_container(c, pod, &container, err);
                if (e == 0)
                        add_source(s, pods, pod, container);
                return e;
        }
        for (size_t k = 0; k < KC_ARRAY_LEN(lists); k++) {
                const struct json_object *list = kc_json_at(pod, lists[k]);
                for (size_t i = 0; i < kc_json_len(list); i++)
                        add_source(s, pods, pod, kc_json_str(kc_json_idx(list, i), "name"));
        }
        return 0;
}

static int add_workload(struct kc_cli *c, const struct kc_api_resource *pods, const struct kc_found *f,
    struct sources *s, struct kc_error *err)
{
        KC_CLEANUP(kc_pod_list_done) struct kc_pod_list list = {0};
        int e = kc_pods_of(c, f, KC_PODS_BY_LOGGING, opt.timeout, "cannot get the logs from", &list, err);
        if (e == 0 && list.n > 1 && !opt.all_pods)
                (void)fprintf(c->err, "Found %zu pods, using pod/%s\n", list.n, kc_meta_name(list.v[0]));
        for (size_t i = 0; e == 0 && i < (opt.all_pods ? list.n : 1); i++)
                e = add_pod(c, pods, list.v[i], s, err);
        return e;
}

static int collect(struct kc_cli *c, char **args, struct sources *s, struct kc_error *err)
{
        struct kc_resource_map *map = NULL;
        const struct kc_api_resource *pods = NULL;
        KC_CLEANUP(kc_founds_done) struct kc_founds all = {0};
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &pods, err);
        if (e < 0)
                return e;
        char pods_type[] = "pods";
        char *by_type[] = {pods_type, args[0], NULL};
        char *by_pair[] = {args[0], NULL};
        bool pair = args[0] && strchr(args[0], '/');
        e = kc_cli_find_objects(c,
            &(struct kc_object_query){.args = pair ? by_pair : by_type, .selector = opt.selector, .all = true}, &all,
            err);
        if (e < 0)
                return e;
        if (all.errors.n > 0 && kc_error_is(&all.errors.v[0], KC_REASON_NOT_FOUND)) {
                const char *ns = "";
                (void)kc_cli_namespace(c, &ns, NULL); /* it has been asked for before */
                return kc_error_set(err, ENOENT, "error from server (NotFound): %s in namespace \"%s\"",
                    kc_error_message(&all.errors.v[0]), ns);
        }
        if (kc_cli_errors_report(c, &all.errors))
                return KC_CLI_FAILED;
        if (all.n == 0) {
                const char *ns = "";
                e = kc_cli_namespace(c, &ns, err);
                (void)fprintf(c->err, "No resources found in %s namespace.\n", ns);
        }
        for (size_t i = 0; e == 0 && i < all.n; i++)
                e = kc_streq(all.v[i].res->kind, "Pod") ? add_pod(c, pods, all.v[i].obj, s, err)
                                                        : add_workload(c, pods, &all.v[i], s, err);
        return e;
}

/* --- output */

static int copy_lines(struct kc_cli *c, struct kc_lines *lines, struct kc_error *err)
{
        for (;;) {
                const char *line, *prefix;
                size_t len;
                bool newline;
                int e = kc_lines_next(lines, 0, &line, &len, &newline, &prefix, err);
                if (e <= 0)
                        return e;
                if (prefix)
                        (void)fputs(prefix, c->out);
                (void)fwrite(line, 1, len, c->out);
                if (newline)
                        (void)fputc('\n', c->out);
                if ((opt.follow && fflush(c->out) != 0) || ferror(c->out))
                        return kc_cli_write_failed(c);
        }
}

/* One after the other; with -f all at once. */
static int print_sources(struct kc_cli *c, const struct sources *s, struct kc_error *err)
{
        struct kc_rest *rest;
        int e = kc_cli_rest(c, &rest, err);
        for (size_t i = 0; e == 0 && i < s->n;) {
                KC_CLEANUP(kc_lines_freep) struct kc_lines *lines = kc_lines_new(rest);
                size_t end = opt.follow ? s->n : i + 1;
                for (; e == 0 && i < end; i++)
                        e = kc_lines_open(lines, s->v[i].path, "*/*", s->v[i].prefix, err);
                if (e == 0)
                        e = copy_lines(c, lines, err);
                if (e < 0 && opt.ignore_errors) {
                        (void)fprintf(c->out, "error: %s\n", kc_error_message(err));
                        kc_error_done(err);
                        e = 0;
                }
        }
        return e;
}

static int check(struct kc_cli *c, char **args, struct kc_error *err)
{
        kc_time since;
        if ((!args[0] && kc_str_empty(opt.selector)) || kc_strv_len(args) > 2)
                return kc_cli_usage_error(c, "logs", err,
                    "expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\nPOD or TYPE/NAME is a required "
                    "argument "
                    "for the logs command");
        if (args[0] && !kc_str_empty(opt.selector))
                return kc_cli_usage_error(c, "logs", err, "only a selector (-l) or a POD name is allowed");
        if (args[0] && args[1]) {
                if (!kc_str_empty(opt.container))
                        return kc_cli_usage_error(
                            c, "logs", err, "only one of -c or an inline [CONTAINER] arg is allowed");
                kc_str_set(&opt.container, args[1]);
        }
        if (opt.all_containers && !kc_str_empty(opt.container))
                return kc_error_set(
                    err, EINVAL, "--all-containers=true should not be specified with container name %s", opt.container);
        if (opt.tail < -1)
                return kc_error_set(err, EINVAL, "--tail must be greater than or equal to -1");
        if (opt.limit_bytes < 0 || (opt.limit_bytes == 0 && kc_cli_flag_given("limit-bytes")))
                return kc_error_set(err, EINVAL, "--limit-bytes must be greater than 0");
        if (opt.since < 0)
                return kc_error_set(err, EINVAL, "--since must be greater than 0");
        if (opt.timeout <= 0)
                return kc_error_set(err, EINVAL, "--pod-running-timeout must be higher than zero");
        if (!kc_str_empty(opt.since_time) && opt.since > 0)
                return kc_error_set(err, EINVAL, "at most one of `sinceTime` or `sinceSeconds` may be specified");
        if (!kc_str_empty(opt.since_time) && kc_time_parse(opt.since_time, &since) < 0)
                return kc_error_set(err, EINVAL,
                    "parsing time \"%s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"%s\" as \"2006\"",
                    opt.since_time, opt.since_time);
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(sources_done) struct sources s = {0};
        int e = check(c, args, err);
        if (e == 0)
                e = collect(c, args, &s, err);
        if (e != 0)
                return e;
        if (opt.follow && s.n > 1 && (int64_t)s.n > opt.max_streams)
                return kc_error_set(err, E2BIG,
                    "you are attempting to follow %zu log streams, but maximum allowed concurrency is %lld, use "
                    "--max-log-requests to increase the limit",
                    s.n, (long long)opt.max_streams);
        kc_terminal_end_on_signals();
        return print_sources(c, &s, err);
}

const struct kc_command kc_cmd_logs = {.name = "logs",
    .usage = "logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [flags]",
    .summary = "Print the logs for a container in a pod",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description =
        "Prints what containers have written. Without -f it ends with what is there; with -f it goes on, for\n"
        "several containers line by line as they come.",
    .examples = "# of the only container of a pod\nkubec logs web\n\n"
                "# of the instance before the last restart\nkubec logs web -c app --previous\n\n"
                "# the last 20 lines, and what comes\nkubec logs -f --tail=20 deploy/web\n\n"
                "# of all containers of all pods with that label\nkubec logs -l app=web --all-containers --prefix\n",
    .completes = KC_ARGS_POD};
