/* kubec top: what pods and nodes use, by the Metrics API. Main thread. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/object.h"
#include "api/quantity.h"
#include "base/clock.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/printer.h"
#include "cli/requests.h"

#define METRICS "/apis/metrics.k8s.io/v1beta1"
#define MEASURED_WITHIN (120 * KC_SEC) /* of the start of a pod */

static struct {
        char *selector, *field_selector, *sort_by;
        bool all_namespaces, containers, no_headers, sum, show_capacity, protocol_buffers, show_swap;
} opt = {.protocol_buffers = true};

#define COMMON_FLAGS                                                                                                   \
        {"selector", 'l', KC_FLAG_STRING, &opt.selector, "label query: -l key1=value1,key2!=value2", "Top"},           \
            {"sort-by", 0, KC_FLAG_STRING, &opt.sort_by, "cpu or memory", "Top"},                                      \
            {"no-headers", 0, KC_FLAG_BOOL, &opt.no_headers, "no headers", "Top"},                                     \
        {                                                                                                              \
                "use-protocol-buffers", 0, KC_FLAG_BOOL, &opt.protocol_buffers, "accepted: metrics come as JSON",      \
                    "Top"                                                                                              \
        }

static const struct kc_flag pod_flags[] = {
    COMMON_FLAGS,
    {"all-namespaces", 'A', KC_FLAG_BOOL, &opt.all_namespaces, "pods of all namespaces", "Top"},
    {"containers", 0, KC_FLAG_BOOL, &opt.containers, "containers by themselves", "Top"},
    {"field-selector", 0, KC_FLAG_STRING, &opt.field_selector, "field query", "Top"},
    {"sum", 0, KC_FLAG_BOOL, &opt.sum, "the sum of all at the end", "Top"},
};
static const struct kc_flag node_flags[] = {
    COMMON_FLAGS,
    {"show-capacity", 0, KC_FLAG_BOOL, &opt.show_capacity, "in percent of the capacity, not of what is allocatable",
        "Top"},
};

/* --- numbers */

struct usage {
        int64_t cpu, memory; /* thousandths, bytes */
};

static int64_t amount(const struct json_object *list, const char *name)
{
        struct kc_quantity q;
        const char *s = kc_json_str(list, name);
        if (!s || kc_quantity_parse(s, &q) < 0)
                return 0;
        return kc_streq(name, "cpu") ? kc_quantity_milli(&q) : kc_quantity_value(&q);
}

static struct usage usage_of(const struct json_object *usage)
{
        return (struct usage){amount(usage, "cpu"), amount(usage, "memory")};
}

static void add_usage(struct usage *a, struct usage b)
{
        a->cpu += b.cpu;
        a->memory += b.memory;
}

/* Of one node, or of the containers of a pod. */
static struct usage total_of(const struct json_object *metrics)
{
        const struct json_object *containers = kc_json_get(metrics, "containers");
        struct usage sum = usage_of(kc_json_get(metrics, "usage"));
        for (size_t i = 0; i < kc_json_len(containers); i++)
                add_usage(&sum, usage_of(kc_json_get(kc_json_idx(containers, i), "usage")));
        return sum;
}

struct row {
        const struct json_object *metrics;
        struct usage usage;
};

static int compare(const void *a, const void *b)
{
        const struct row *x = a, *y = b;
        int64_t dx = kc_streq(opt.sort_by, "cpu") ? x->usage.cpu : x->usage.memory,
                dy = kc_streq(opt.sort_by, "cpu") ? y->usage.cpu : y->usage.memory;
        if (!kc_str_empty(opt.sort_by) && dx != dy)
                return dx > dy ? -1 : 1; /* the largest first */
        int d = kc_strcmp(kc_meta_namespace(x->metrics), kc_meta_namespace(y->metrics));
        if (d && opt.all_namespaces && kc_str_empty(opt.sort_by))
                return d;
        return kc_strcmp(kc_meta_name(x->metrics), kc_meta_name(y->metrics));
}

static struct row *sorted_rows(const struct json_object *items)
{
        size_t n = kc_json_len(items);
        struct row *rows = kc_calloc(n + 1, sizeof(*rows));
        for (size_t i = 0; i < n; i++)
                rows[i] = (struct row){kc_json_idx(items, i), total_of(kc_json_idx(items, i))};
        qsort(rows, n, sizeof(*rows), compare);
        return rows;
}

/* --- cells */

static void cell(struct kc_tabwriter *w, const char *fmt, ...) KC_PRINTF(2, 3);
static void cell(struct kc_tabwriter *w, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        KC_CLEANUP(kc_freep) char *s = kc_vasprintf(fmt, ap);
        va_end(ap);
        kc_tabwriter_cell(w, s);
}

/* The last cell is padded, too. */
static void end_row(struct kc_tabwriter *w)
{
        kc_tabwriter_cell(w, "");
        kc_tabwriter_end_row(w);
}

static void headers(struct kc_tabwriter *w, const char *const *names, size_t n)
{
        if (opt.no_headers)
                return;
        for (size_t i = 0; i < n; i++)
                kc_tabwriter_cell(w, names[i]);
        end_row(w);
}

static void usage_cells(struct kc_tabwriter *w, struct usage u)
{
        cell(w, "%lldm", (long long)u.cpu);
        cell(w, "%lldMi", (long long)(u.memory / (1 << 20)));
}

static void write_table(struct kc_cli *c, struct kc_tabwriter *w)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf b = KC_BUF_INIT;
        kc_tabwriter_flush(w, &b);
        (void)fwrite(kc_buf_str(&b), 1, b.len, c->out);
}

/* --- requests */

static int check(struct kc_cli *c, char *const *args, bool pods, struct kc_error *err)
{
        const struct kc_api_resource *res = NULL;
        struct kc_resource_map *map = NULL;
        if (!kc_str_empty(opt.sort_by) && !kc_streq(opt.sort_by, "cpu") && !kc_streq(opt.sort_by, "memory"))
                return kc_error_set(err, EINVAL, "--sort-by accepts only cpu or memory");
        if (args[0] && args[1])
                return kc_cli_usage_error(c, pods ? "top pod" : "top node", err, "[%s %s]", args[0], args[1]);
        if (args[0] && (!kc_str_empty(opt.selector) || (pods && !kc_str_empty(opt.field_selector))))
                return kc_error_set(err, EINVAL, "only one of NAME or selector can be provided");
        int e = kc_cli_map(c, &map, err);
        for (size_t i = 0; e == 0 && !res && i < map->n; i++)
                if (kc_streq(map->v[i].group, "metrics.k8s.io"))
                        res = &map->v[i];
        return e == 0 && !res ? kc_error_set(err, ENOENT, "Metrics API not available") : e;
}

/* The metrics of one, or of all that the selectors take: an array. */
static int fetch(struct kc_cli *c, const char *path, const char *name, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        kc_query_add(&q, "labelSelector", name || kc_str_empty(opt.selector) ? NULL : opt.selector);
        kc_query_add(&q, "fieldSelector", name || kc_str_empty(opt.field_selector) ? NULL : opt.field_selector);
        KC_CLEANUP(kc_freep)
        char *full = kc_asprintf(
            "%s%s%s%s%s", path, name ? "/" : "", name ? name : "", q.len ? "?" : "", q.len ? kc_buf_str(&q) : "");
        int e = kc_cli_fetch(c, full, "application/json", &answer, err);
        if (e < 0)
                return e;
        struct json_object *items = json_object_new_array();
        const struct json_object *list = kc_json_get(answer, "items");
        for (size_t i = 0; i < kc_json_len(list); i++)
                kc_json_push(items, kc_json_copy(kc_json_idx(list, i)));
        if (name)
                kc_json_push(items, KC_TAKE(answer));
        *ret = items;
        return 0;
}

/* --- pods */

static void pod_rows(struct kc_tabwriter *w, const struct row *r)
{
        const struct json_object *containers = kc_json_get(r->metrics, "containers");
        for (size_t i = 0; i < (opt.containers ? kc_json_len(containers) : 1); i++) {
                const struct json_object *container = kc_json_idx(containers, i);
                if (opt.all_namespaces)
                        kc_tabwriter_cell(w, kc_meta_namespace(r->metrics) ? kc_meta_namespace(r->metrics) : "");
                kc_tabwriter_cell(w, kc_meta_name(r->metrics));
                if (opt.containers)
                        kc_tabwriter_cell(w, kc_json_str(container, "name") ? kc_json_str(container, "name") : "");
                usage_cells(w, opt.containers ? usage_of(kc_json_get(container, "usage")) : r->usage);
                end_row(w);
        }
}

static void sum_rows(struct kc_tabwriter *w, struct usage sum)
{
        size_t before = (opt.all_namespaces ? 1U : 0U) + (opt.containers ? 1U : 0U);
        for (size_t i = 0; i < before + 1; i++)
                kc_tabwriter_cell(w, "");
        kc_tabwriter_cell(w, "________");
        kc_tabwriter_cell(w, "________");
        end_row(w);
        for (size_t i = 0; i < before; i++)
                kc_tabwriter_cell(w, "");
        kc_tabwriter_cell(w, "");
        usage_cells(w, sum);
        end_row(w);
}

static void print_pods(struct kc_cli *c, const struct json_object *items)
{
        const char *names[5];
        size_t n = 0;
        struct usage sum = {0};
        KC_CLEANUP(kc_freep) struct row *rows = sorted_rows(items);
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        if (opt.all_namespaces)
                names[n++] = "NAMESPACE";
        names[n++] = opt.containers ? "POD" : "NAME";
        if (opt.containers)
                names[n++] = "NAME";
        names[n++] = "CPU(cores)";
        names[n++] = "MEMORY(bytes)";
        headers(&w, names, n);
        for (size_t i = 0; i < kc_json_len(items); i++) {
                pod_rows(&w, &rows[i]);
                add_usage(&sum, rows[i].usage);
        }
        if (opt.sum)
                sum_rows(&w, sum);
        write_table(c, &w);
}

/* No metrics: an error, unless there are no pods that could have some. */
static int explain_none(struct kc_cli *c, const char *ns, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *list = NULL;
        const struct kc_api_resource *pods = NULL;
        struct kc_resource_map *map = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        char buf[KC_TIME_LEN];
        kc_query_add(&q, "labelSelector", kc_str_empty(opt.selector) ? NULL : opt.selector);
        kc_query_add(&q, "fieldSelector", kc_str_empty(opt.field_selector) ? NULL : opt.field_selector);
        int e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "pods", &pods, err);
        if (e == 0)
                e = kc_cli_list(c, pods, opt.all_namespaces ? NULL : ns, kc_buf_str(&q), &list, err);
        if (e < 0)
                return e;
        const struct json_object *items = kc_json_get(list, "items");
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *pod = kc_json_idx(items, i);
                int64_t age = kc_clock_now(NULL) - kc_meta_creation_time(pod);
                if (age > MEASURED_WITHIN)
                        return kc_error_set(err, ENOENT, "Metrics not available for pod %s/%s, age: %s",
                            kc_meta_namespace(pod), kc_meta_name(pod), kc_duration_format(age, buf));
        }
        if (kc_json_len(items) > 0)
                return kc_error_set(err, ENOENT, "metrics not available yet");
        if (opt.all_namespaces)
                (void)fprintf(c->err, "No resources found\n");
        else
                (void)fprintf(c->err, "No resources found in %s namespace.\n", ns);
        return 0;
}

static int run_pods(struct kc_cli *c, char **args, struct kc_error *err)
{
        const char *ns = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *items = NULL;
        int e = check(c, args, true, err);
        if (e == 0)
                e = kc_cli_namespace(c, &ns, err);
        if (e < 0)
                return e;
        KC_CLEANUP(kc_freep)
        char *path = opt.all_namespaces ? kc_strdup(METRICS "/pods") : kc_asprintf(METRICS "/namespaces/%s/pods", ns);
        e = fetch(c, path, args[0], &items, err);
        if (e < 0)
                return e;
        if (kc_json_len(items) == 0)
                return explain_none(c, ns, err);
        print_pods(c, items);
        return 0;
}

/* --- nodes */

static void node_cell(struct kc_tabwriter *w, int64_t used, int64_t all)
{
        if (all > 0)
                cell(w, "%lld%%", (long long)((double)used / (double)all * 100));
        else
                kc_tabwriter_cell(w, "<unknown>");
}

/* nodes: the objects, to know what there is. */
static int print_nodes(
    struct kc_cli *c, const struct json_object *items, const struct json_object *nodes, struct kc_error *err)
{
        static const char *const names[] = {"NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"};
        (void)err;
        KC_CLEANUP(kc_freep) struct row *rows = sorted_rows(items);
        KC_CLEANUP(kc_tabwriter_done) struct kc_tabwriter w;
        kc_tabwriter_init(&w, KC_TABWRITER_MIN_WIDTH, KC_TABWRITER_PADDING);
        headers(&w, names, KC_ARRAY_LEN(names));
        for (size_t i = 0; i < kc_json_len(items); i++) {
                const struct json_object *node = NULL;
                for (size_t j = 0; j < kc_json_len(nodes) && !node; j++)
                        if (kc_streq(kc_meta_name(kc_json_idx(nodes, j)), kc_meta_name(rows[i].metrics)))
                                node = kc_json_idx(nodes, j);
                const struct json_object *all =
                    kc_json_at(node, opt.show_capacity ? "status.capacity" : "status.allocatable");
                kc_tabwriter_cell(&w, kc_meta_name(rows[i].metrics));
                cell(&w, "%lldm", (long long)rows[i].usage.cpu);
                node_cell(&w, rows[i].usage.cpu, amount(all, "cpu"));
                cell(&w, "%lldMi", (long long)(rows[i].usage.memory / (1 << 20)));
                node_cell(&w, rows[i].usage.memory, amount(all, "memory"));
                end_row(&w);
        }
        /* Those that nothing is known of. */
        for (size_t j = 0; j < kc_json_len(nodes); j++) {
                bool known = false;
                for (size_t i = 0; i < kc_json_len(items); i++)
                        known =
                            known || kc_streq(kc_meta_name(kc_json_idx(nodes, j)), kc_meta_name(kc_json_idx(items, i)));
                if (known)
                        continue;
                kc_tabwriter_cell(&w, kc_meta_name(kc_json_idx(nodes, j)));
                for (size_t i = 1; i < KC_ARRAY_LEN(names); i++)
                        kc_tabwriter_cell(&w, "<unknown>");
                end_row(&w);
        }
        write_table(c, &w);
        return 0;
}

static int run_nodes(struct kc_cli *c, char **args, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *items = NULL, *list = NULL, *one = NULL;
        const struct kc_api_resource *nodes = NULL;
        struct kc_resource_map *map = NULL;
        KC_CLEANUP(kc_buf_done) struct kc_buf q = KC_BUF_INIT;
        int e = check(c, args, false, err);
        if (e == 0)
                e = fetch(c, METRICS "/nodes", args[0], &items, err);
        if (e == 0)
                e = kc_cli_map(c, &map, err);
        if (e == 0)
                e = kc_resource_map_find(map, "nodes", &nodes, err);
        kc_query_add(&q, "labelSelector", kc_str_empty(opt.selector) ? NULL : opt.selector);
        if (e == 0 && args[0])
                e = kc_cli_get(c, nodes, NULL, args[0], &one, err);
        else if (e == 0)
                e = kc_cli_list(c, nodes, NULL, kc_buf_str(&q), &list, err);
        if (one) {
                list = kc_json_build("{'items':[]}");
                kc_json_push(kc_json_get_mut(list, "items"), KC_TAKE(one));
        }
        if (e < 0)
                return e;
        if (kc_json_len(items) == 0)
                return kc_error_set(err, ENOENT, "metrics not available yet");
        return print_nodes(c, items, kc_json_get(list, "items"), err);
}

static const struct kc_command subs[] = {
    {.name = "node",
        .alias = "nodes",
        .usage = "top node [NAME | -l label]",
        .summary = "Display resource (CPU/memory) usage of nodes",
        .flags = node_flags,
        .n_flags = KC_ARRAY_LEN(node_flags),
        .run = run_nodes,
        .examples = "# All nodes, the busiest first\nkubec top node --sort-by=cpu",
        .completes = KC_ARGS_NAMES,
        .completes_type = "nodes"},
    {.name = "pod",
        .alias = "pods",
        .usage = "top pod [NAME | -l label]",
        .summary = "Display resource (CPU/memory) usage of pods",
        .flags = pod_flags,
        .n_flags = KC_ARRAY_LEN(pod_flags),
        .run = run_pods,
        .examples = "# Containers of the pods of an application\nkubec top pod -l app=shop --containers",
        .completes = KC_ARGS_NAMES,
        .completes_type = "pods"},
};

const struct kc_command kc_cmd_top = {.name = "top",
    .usage = "top SUBCOMMAND",
    .summary = "Display resource (CPU/memory) usage",
    .subs = subs,
    .n_subs = KC_ARRAY_LEN(subs),
    .description = "Says what nodes and pods use, as a metrics server measures it."};
