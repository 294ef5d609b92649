/* kubec api-versions, cluster-info. Main thread. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/object.h"
#include "base/str.h"
#include "cli/cluster_dump.h"
#include "cli/commands.h"
#include "cli/requests.h"

/* --- api-versions */

static int run_versions(struct kc_cli *c, char **args, struct kc_error *err)
{
        struct kc_resource_map *map;
        KC_CLEANUP(kc_strv_freep) char **all = NULL;
        if (args[0])
                return kc_cli_usage_error(c, "api-versions", err, "unexpected arguments: [%s]", args[0]);
        int e = kc_cli_map(c, &map, err);
        if (e < 0)
                return e;
        for (size_t i = 0; i < map->n; i++) {
                const struct kc_api_resource *r = &map->v[i];
                kc_strv_pushf(&all, "%s%s%s", r->group, r->group[0] ? "/" : "", r->version);
        }
        kc_strv_sort_uniq(all);
        for (char **v = all; v && *v; v++)
                (void)fprintf(c->out, "%s\n", *v);
        return 0;
}

const struct kc_command kc_cmd_api_versions = {.name = "api-versions",
    .usage = "api-versions",
    .summary = "Print the supported API versions on the server, in the form of \"group/version\"",
    .run = run_versions};

/* --- cluster-info */

static void say(struct kc_cli *c, const char *what, const char *url)
{
        bool color = isatty(fileno(c->out)) && kc_str_empty(getenv("NO_COLOR"));
        (void)fprintf(c->out, "%s%s%s is running at %s%s%s\n", color ? "\033[0;32m" : "", what, color ? "\033[0m" : "",
            color ? "\033[0;33m" : "", url, color ? "\033[0m" : "");
}

/* Where the proxy of the API server reaches a Service. */
static void say_service(struct kc_cli *c, const char *server, const struct json_object *service)
{
        const char *name = kc_meta_name(service),
                   *label = kc_json_str(kc_json_at(service, "metadata.labels"), "kubernetes.io/name");
        const struct json_object *ports = kc_json_at(service, "spec.ports"), *port = kc_json_idx(ports, 0);
        const char *port_name = kc_json_str(port, "name");
        bool https = kc_streq(port_name, "https") || kc_json_int(port, "port", 0) == 443;
        KC_CLEANUP(kc_freep)
        char *url = kc_asprintf("%s/api/v1/namespaces/%s/services/%s%s%s%s/proxy", server, kc_meta_namespace(service),
            https ? "https:" : "", name, port_name || https ? ":" : "", port_name ? port_name : "");
        say(c, label ? label : name, url);
}

static int run_info(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        const struct kc_api_resource *services = NULL;
        struct kc_resource_map *map = NULL;
        (void)args; /* kubectl looks at none */
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "services", &services, err);
        if (e == 0)
                e = kc_cli_list(
                    c, services, "kube-system", "labelSelector=kubernetes.io%2Fcluster-service%3Dtrue", &list, err);
        if (e != 0)
                return e;
        say(c, "Kubernetes control plane", c->config.server);
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++)
                say_service(c, c->config.server, kc_json_idx(items, i));
        (void)fprintf(
            c->out, "\nTo further debug and diagnose cluster problems, use '%s cluster-info dump'.\n", c->program);
        return 0;
}

const struct kc_command kc_cmd_cluster_info = {.name = "cluster-info",
    .usage = "cluster-info",
    .summary = "Display addresses of the control plane and services",
    .run = run_info,
    .subs = &kc_cmd_cluster_info_dump,
    .n_subs = 1};
