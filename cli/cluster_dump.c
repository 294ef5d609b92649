/* kubec cluster-info dump: objects and logs, for those who look for a fault. Main thread. */
#include "cli/cluster_dump.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "api/object.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/printer_object.h"
#include "cli/requests.h"

static struct {
        char *output, *template, *directory, **namespaces, *running_timeout;
        bool all_namespaces, show_managed_fields;
} opt;

static const struct kc_flag flags[] = {
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "all namespaces", "Dump"},
    {"namespaces", 0, KC_FLAG_STRV, &opt.namespaces, "these namespaces; else kube-system and the current one", "Dump"},
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json, yaml, name, jsonpath=... or go-template=...", "Dump"},
    {"output-directory", 0, KC_FLAG_STRING, &opt.directory, "files in this directory, instead of standard output",
        "Dump"},
    {"pod-running-timeout", 0, KC_FLAG_STRING, &opt.running_timeout, "accepted: nothing is waited for", "Dump"},
    {"show-managed-fields", 0, KC_FLAG_BOOL, &opt.show_managed_fields, "keep managedFields in JSON and YAML", "Dump"},
    {"template", 0, KC_FLAG_STRING, &opt.template, "the template, or its file, of -o", "Dump"},
};

struct dump {
        struct kc_cli *c;
        char *output;
        struct kc_object_printer *printer; /* NULL: JSON, as client-go writes its types */
        bool to_files;
};

static void dump_done(struct dump *d)
{
        kc_free(d->output);
        kc_object_printer_free(d->printer);
}

static bool is_json(const struct dump *d)
{
        return kc_str_empty(d->output) || kc_streq(d->output, "json");
}

/* Standard output, or a file. */
static int open_output(struct dump *d, const char *ns, const char *name, FILE **ret, struct kc_error *err)
{
        if (!d->to_files) {
                *ret = d->c->out;
                return 0;
        }
        KC_CLEANUP(kc_freep) char *path = kc_asprintf("%s%s%s/%s", opt.directory, ns ? "/" : "", ns ? ns : "", name);
        for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
                *p = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return kc_error_set(err, errno, "mkdir %s: %s", path, strerror(errno));
                *p = '/';
        }
        *ret = fopen(path, "we");
        return *ret ? 0 : kc_error_set(err, errno, "open %s: %s", path, strerror(errno));
}

static int close_output(struct dump *d, FILE *f, struct kc_error *err)
{
        if (d->to_files && fclose(f) != 0)
                return kc_error_set(err, errno, "write: %s", strerror(errno));
        return 0;
}

/* kind and apiVersion first; an empty list is null, as Go writes it. */
static struct json_object *typed(const struct json_object *list)
{
        struct json_object *out =
            kc_json_build("{'kind':%s,'apiVersion':%s}", kc_json_str(list, "kind"), kc_json_str(list, "apiVersion"));
        kc_json_set(out, "metadata", kc_json_copy(kc_json_get(list, "metadata")));
        const struct json_object *items = kc_json_get(list, "items");
        kc_json_set(out, "items", kc_json_len(items) > 0 ? kc_json_copy(items) : NULL);
        return out;
}

static int dump_list(struct dump *d, const struct kc_gvr *g, const char *ns, const char *name, struct json_object **ret,
    struct kc_error *err)
{
        struct kc_rest *rest;
        FILE *f = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        KC_CLEANUP(kc_freep)
        char *file = kc_asprintf("%s.%s", name, is_json(d) ? "json" : kc_streq(d->output, "yaml") ? "yaml" : "txt");
        int e = kc_cli_rest(d->c, &rest, err);
        if (e == 0)
                e = kc_rest_list(rest, g, ns, NULL, &list, err);
        if (e == 0)
                e = open_output(d, ns, file, &f, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_json_freep) struct json_object *shown = typed(list);
        if (!opt.show_managed_fields)
                kc_strip_managed_fields(shown);
        if (is_json(d)) {
                KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
                kc_json_write_pretty(&b, shown, 4, false);
                (void)fprintf(f, "%s\n", kc_buf_str(&b));
        } else { /* printers write to the command's output */
                FILE *out = d->c->out;
                if (d->to_files)
                        d->c->yaml_documents = 0;
                d->c->out = f;
                e = kc_object_printer_print(d->printer, d->c, NULL, shown, err);
                kc_object_printer_flush(d->printer, d->c);
                d->c->out = out;
        }
        int closed = close_output(d, f, err);
        if (e == 0 && ret)
                *ret = KC_TAKE(list);
        return e < 0 ? e : closed;
}

/* A container that has no logs, or that cannot be asked, has none here. */
static void dump_log(struct dump *d, FILE *f, const struct json_object *pod, const char *container)
{
        KC_CLEANUP(kc_error_done) struct kc_error ignored = KC_ERROR_INIT;
        KC_CLEANUP(kc_bytes_unrefp) struct kc_bytes *bytes = NULL;
        struct kc_rest *rest;
        KC_CLEANUP(kc_freep)
        char *path = kc_asprintf(
            "/api/v1/namespaces/%s/pods/%s/log?container=%s", kc_meta_namespace(pod), kc_meta_name(pod), container);
        (void)fprintf(f, "==== START logs for container %s of pod %s/%s ====\n", container, kc_meta_namespace(pod),
            kc_meta_name(pod));
        if (kc_cli_rest(d->c, &rest, &ignored) == 0 &&
            kc_rest_raw(rest, "GET", path, NULL, "application/json, */*", NULL, &bytes, &ignored) == 0)
                (void)fwrite(kc_bytes_data(bytes), 1, kc_bytes_len(bytes), f);
        else
                (void)fprintf(f, "Request log error: %s\n", kc_error_message(&ignored));
        (void)fprintf(f, "==== END logs for container %s of pod %s/%s ====\n", container, kc_meta_namespace(pod),
            kc_meta_name(pod));
}

static int dump_logs(struct dump *d, const char *ns, const struct json_object *pods, struct kc_error *err)
{
        static const char *const lists[] = {"spec.initContainers", "spec.containers"};
        const struct json_object *items = kc_json_get(pods, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *pod = kc_json_idx(items, i);
                KC_CLEANUP(kc_freep) char *dir = kc_asprintf("%s/%s", ns, kc_meta_name(pod));
                FILE *f;
                int e = open_output(d, dir, "logs.txt", &f, err);
                if (e < 0)
                        return e;
                for (size_t l = 0; l < KC_ARRAY_LEN(lists); l++) {
                        const struct json_object *containers = kc_json_at(pod, lists[l]);
                        for (size_t k = 0; k < kc_json_len(containers); k++)
                                dump_log(d, f, pod, kc_json_str(kc_json_idx(containers, k), "name"));
                }
                e = close_output(d, f, err);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int dump_namespace(struct dump *d, const char *ns, struct kc_error *err)
{
        static const struct {
                const struct kc_gvr *gvr;
                const char *name;
        } lists[] = {{&KC_EVENTS, "events"}, {&KC_REPLICATIONCONTROLLERS, "replication-controllers"},
            {&KC_SERVICES, "services"}, {&KC_DAEMONSETS, "daemonsets"}, {&KC_DEPLOYMENTS, "deployments"},
            {&KC_REPLICASETS, "replicasets"}};
        KC_CLEANUP(kc_json_freep) struct json_object *pods = NULL;
        int e = 0;
        for (size_t i = 0; e == 0 && i < KC_ARRAY_LEN(lists); i++)
                e = dump_list(d, lists[i].gvr, ns, lists[i].name, NULL, err);
        if (e == 0)
                e = dump_list(d, &KC_PODS, ns, "pods", &pods, err);
        return e < 0 ? e : dump_logs(d, ns, pods, err);
}

static int namespaces_of(struct kc_cli *c, char ***ret, struct kc_error *err)
{
        struct kc_rest *rest;
        const char *ns = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        int e = kc_cli_namespace(c, &ns, err);
        if (e == 0)
                e = kc_cli_rest(c, &rest, err);
        if (e == 0 && opt.all_namespaces)
                e = kc_rest_list(rest, &KC_NAMESPACES, NULL, NULL, &list, err);
        if (e < 0)
                return e;
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                kc_strv_push(ret, kc_meta_name(kc_json_idx(items, i)));
        for (char **n = opt.namespaces; !opt.all_namespaces && n && *n; n++)
                kc_strv_push(ret, *n);
        if (!opt.all_namespaces && !opt.namespaces) {
                kc_strv_push(ret, "kube-system");
                kc_strv_push(ret, ns);
        }
        return 0;
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        (void)args; /* kubectl looks at none */
        KC_CLEANUP(dump_done) struct dump d = {.c = c, .output = kc_output_with_template(opt.output, opt.template)};
        KC_CLEANUP(kc_strv_freep) char **namespaces = NULL;
        d.to_files = !kc_str_empty(opt.directory) && !kc_streq(opt.directory, "-");
        int e = is_json(&d) ? 0 : kc_object_printer_new(d.output, false, &d.printer, err);
        if (e < 0 && !kc_object_printer_knows(d.output))
                return kc_error_set(err, EINVAL,
                    "unable to match a printer suitable for the output format \"%s\", allowed formats are: "
                    "go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,template,"
                    "templatefile,yaml",
                    d.output);
        if (e == 0)
                e = dump_list(&d, &KC_NODES, NULL, "nodes", NULL, err);
        if (e == 0)
                e = namespaces_of(c, &namespaces, err);
        for (char **n = namespaces; e == 0 && n && *n; n++)
                e = dump_namespace(&d, *n, err);
        if (e == 0 && d.to_files)
                (void)fprintf(c->out, "Cluster info dumped to %s\n", opt.directory);
        return e;
}

const struct kc_command kc_cmd_cluster_info_dump = {.name = "dump",
    .usage = "cluster-info dump [flags]",
    .summary = "Dump relevant information for debugging and diagnosis",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run,
    .description = "Prints nodes, and of each namespace events, workloads, services, pods and the logs of their "
                   "containers.",
    .examples = "# Files in a directory\nkubec cluster-info dump --output-directory=/tmp/state\n\n"
                "# All namespaces\nkubec cluster-info dump -A"};
