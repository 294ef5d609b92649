/* kubec version, api-resources. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/requests.h"
#include "daemon/health.h"

/* Whose kustomizations -k and kustomize build. */
#define KUSTOMIZE_VERSION "v5.6.0"

static struct {
        char *output;
        bool client;
} opt;

static const struct kc_flag flags[] = {
    {"output", 'o', KC_FLAG_STRING, &opt.output, "json or yaml", "Version"},
    {"client", 0, KC_FLAG_BOOL, &opt.client, "only the client's version", "Version"},
};

static struct json_object *client_version(void)
{
        struct kc_version_info v;
        kc_version_info(&v);
        return kc_json_build("{'major':%s,'minor':%s,'gitVersion':%s,'gitCommit':%s,'gitTreeState':%s,'buildDate':%s,"
                             "'goVersion':%s,'compiler':%s,'platform':%s}",
            v.major, v.minor, v.git_version, v.git_commit, v.git_tree_state, v.build_date, v.go_version, v.compiler,
            v.platform);
}

/* A client goes with servers one minor version older to one newer. */
static void warn_skew(const struct kc_cli *c, const struct json_object *all)
{
        const char *client = kc_json_str_at(all, "clientVersion.minor"),
                   *server = kc_json_str_at(all, "serverVersion.minor");
        if (!client || !server)
                return;
        int d = atoi(client) - atoi(server);
        if (d > 1 || d < -1)
                (void)fprintf(c->err,
                    "WARNING: version difference between client (%s.%s) and server (%s.%s) exceeds the supported minor "
                    "version skew of +/-1\n",
                    kc_json_str_at(all, "clientVersion.major"), client, kc_json_str_at(all, "serverVersion.major"),
                    server);
}

static int run(struct kc_cli *c, char **args, struct kc_error *err)
{
        bool json = kc_streq(opt.output, "json"), yaml = kc_streq(opt.output, "yaml");
        if (args[0])
                return kc_error_set(err, EINVAL, "extra arguments: [%s]", args[0]);
        if (!kc_str_empty(opt.output) && !json && !yaml)
                return kc_error_set(err, EINVAL, "--output must be 'yaml' or 'json'");
        KC_CLEANUP(kc_json_freep) struct json_object *all = json_object_new_object();
        kc_json_set(all, "clientVersion", client_version());
        kc_json_set(all, "kustomizeVersion", json_object_new_string(KUSTOMIZE_VERSION));
        int e = 0;
        if (!opt.client) {
                struct json_object *server = NULL;
                e = kc_cli_fetch(c, "/version", "application/json", &server, err);
                if (e == 0)
                        kc_json_set(all, "serverVersion", server);
        }
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        if (json) {
                /* As kubectl: two spaces, fields in their order. */
                kc_json_write_pretty(&b, all, 2, false);
                if (b.len > 0 && b.data[b.len - 1] != '\n')
                        kc_buf_addc(&b, '\n');
        }
        if (yaml)
                kc_print_yaml(&b, all);
        if (!json && !yaml)
                kc_buf_addf(&b, "Client Version: %s\nKustomize Version: %s\n",
                    kc_json_str_at(all, "clientVersion.gitVersion"), KUSTOMIZE_VERSION);
        if (!json && !yaml && kc_json_str_at(all, "serverVersion.gitVersion"))
                kc_buf_addf(&b, "Server Version: %s\n", kc_json_str_at(all, "serverVersion.gitVersion"));
        (void)fputs(kc_buf_str(&b), c->out);
        if (e == 0)
                warn_skew(c, all);
        return e;
}

const struct kc_command kc_cmd_version = {.name = "version",
    .usage = "version [flags]",
    .summary = "Print the client and server version information",
    .flags = flags,
    .n_flags = KC_ARRAY_LEN(flags),
    .run = run};

/* --- api-resources */

static struct {
        char *output, *api_group, **verbs, **categories, *sort_by;
        bool no_headers, namespaced, cached;
} resources_opt = {.namespaced = true};

static const struct kc_flag resources_flags[] = {
    {"output", 'o', KC_FLAG_STRING, &resources_opt.output, "wide or name", "API resources"},
    {"api-group", 0, KC_FLAG_STRING, &resources_opt.api_group, "only resources of this group", "API resources"},
    {"cached", 0, KC_FLAG_BOOL, &resources_opt.cached, "accepted: nothing is kept from call to call", "API resources"},
    {"categories", 0, KC_FLAG_STRV, &resources_opt.categories, "only resources of all these categories",
        "API resources"},
    {"namespaced", 0, KC_FLAG_BOOL, &resources_opt.namespaced, "only those in namespaces; false: only the others",
        "API resources"},
    {"sort-by", 0, KC_FLAG_STRING, &resources_opt.sort_by, "name or kind", "API resources"},
    {"verbs", 0, KC_FLAG_STRV, &resources_opt.verbs, "only resources with all these verbs", "API resources"},
    {"no-headers", 0, KC_FLAG_BOOL, &resources_opt.no_headers, "no headers", "API resources"},
};

static int by_group(const void *a, const void *b)
{
        const struct kc_api_resource *const *x = a, *const *y = b;
        int by_name = strcmp((*x)->resource, (*y)->resource), by_kind = strcmp((*x)->kind, (*y)->kind);
        if (kc_streq(resources_opt.sort_by, "name") && by_name)
                return by_name;
        if (kc_streq(resources_opt.sort_by, "kind") && by_kind)
                return by_kind;
        int d = strcmp((*x)->group, (*y)->group);
        return d ? d : strcmp((*x)->resource, (*y)->resource);
}

static void add_row(struct kc_tabwriter *w, const struct kc_api_resource *r, bool wide)
{
        KC_CLEANUP(kc_freep) char *shorts = kc_strv_join(r->short_names, ",");
        KC_CLEANUP(kc_freep)
        char *version = r->group[0] ? kc_asprintf("%s/%s", r->group, r->version) : kc_strdup(r->version);
        kc_tabwriter_cell(w, r->resource);
        kc_tabwriter_cell(w, shorts ? shorts : "");
        kc_tabwriter_cell(w, version);
        kc_tabwriter_cell(w, r->namespaced ? "true" : "false");
        kc_tabwriter_cell(w, r->kind);
        if (wide) {
                KC_CLEANUP(kc_freep) char *verbs = kc_strv_join(r->verbs, ",");
                KC_CLEANUP(kc_freep) char *categories = kc_strv_join(r->categories, ",");
                kc_tabwriter_cell(w, verbs ? verbs : "");
                kc_tabwriter_cell(w, categories ? categories : "");
        }
        kc_tabwriter_end_row(w);
}

static bool wanted(const struct kc_api_resource *r)
{
        if (!r->preferred || kc_strv_len(r->verbs) == 0)
                return false;
        if (resources_opt.api_group && !kc_streq(r->group, resources_opt.api_group))
                return false;
        for (char **v = resources_opt.verbs; v && *v; v++)
                if (!kc_strv_has(r->verbs, *v))
                        return false;
        for (char **g = resources_opt.categories; g && *g; g++)
                if (!kc_strv_has(r->categories, *g))
                        return false;
        return !kc_cli_flag_given("namespaced") || resources_opt.namespaced == r->namespaced;
}

static int run_resources(struct kc_cli *c, char **args, struct kc_error *err)
{
        struct kc_resource_map *map;
        bool name = kc_streq(resources_opt.output, "name"), wide = kc_streq(resources_opt.output, "wide");
        if (args[0])
                return kc_cli_usage_error(c, "api-resources", err, "unexpected arguments: [%s]", args[0]);
        if (!kc_str_empty(resources_opt.output) && !name && !wide)
                return kc_error_set(err, EINVAL, "--output %s is not available", resources_opt.output);
        if (!kc_str_empty(resources_opt.sort_by) && !kc_streq(resources_opt.sort_by, "name") &&
            !kc_streq(resources_opt.sort_by, "kind"))
                return kc_error_set(err, EINVAL, "--sort-by accepts only name or kind");
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep) const struct kc_api_resource **v = kc_calloc(map->n + 1, sizeof(*v));
        size_t n = 0;
        for (size_t i = 0; i < map->n; i++)
                if (wanted(&map->v[i]))
                        v[n++] = &map->v[i];
        qsort(v, n, sizeof(*v), by_group);
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        static const char *const headers[] = {
            "NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "VERBS", "CATEGORIES"};
        for (size_t i = 0; !name && !resources_opt.no_headers && i < (wide ? 7U : 5U); i++)
                kc_tabwriter_cell(&w, headers[i]);
        if (!name && !resources_opt.no_headers)
                kc_tabwriter_end_row(&w);
        for (size_t i = 0; i < n; i++) {
                KC_CLEANUP(kc_freep) char *plural = kc_api_resource_plural(v[i]);
                if (name)
                        kc_buf_addf(&b, "%s\n", plural);
                else
                        add_row(&w, v[i], wide);
        }
        kc_tabwriter_flush(&w, &b);
        (void)fputs(kc_buf_str(&b), c->out);
        return 0;
}

const struct kc_command kc_cmd_api_resources = {.name = "api-resources",
    .usage = "api-resources [flags]",
    .summary = "Print the supported API resources on the server",
    .flags = resources_flags,
    .n_flags = KC_ARRAY_LEN(resources_flags),
    .run = run_resources};
