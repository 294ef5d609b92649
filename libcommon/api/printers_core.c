/* Rows of nodes, namespaces, configuration, identities and events. */
#include <ctype.h>
#include <string.h>

#include "api/table_internal.h"
#include "base/mem.h"
#include "base/str.h"

void kc_print_namespace(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str_at(obj, "status.phase"));
        kc_cell_age(cells, obj, now);
}

void kc_print_config_map(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_int(cells,
            (int64_t)(kc_json_n_keys(kc_json_get(obj, "data")) + kc_json_n_keys(kc_json_get(obj, "binaryData"))));
        kc_cell_age(cells, obj, now);
}

void kc_print_secret(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_str(cells, kc_json_str(obj, "type"));
        kc_cell_int(cells, (int64_t)kc_json_n_keys(kc_json_get(obj, "data")));
        kc_cell_age(cells, obj, now);
}

void kc_print_name_and_age(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        kc_cell_name(cells, obj);
        kc_cell_age(cells, obj, now);
}

/* --- Nodes */

static char *node_status(const struct json_object *node)
{
        const struct json_object *ready = kc_json_find(kc_json_at(node, "status.conditions"), "type", "Ready");
        const char *word = !ready ? "Unknown" : kc_streq(kc_json_str(ready, "status"), "True") ? "Ready" : "NotReady";
        return kc_asprintf(
            "%s%s", word, kc_json_bool_at(node, "spec.unschedulable", false) ? ",SchedulingDisabled" : "");
}

static char *node_roles(const struct json_object *node)
{
        static const char prefix[] = "node-role.kubernetes.io/";
        KC_CLEANUP(kc_strv_freep) char **roles = NULL;
        KC_JSON_FOREACH(kc_json_at(node, "metadata.labels"), key, val)
        {
                const char *value = kc_json_as_str(val);
                if (kc_str_has_prefix(key, prefix) && key[sizeof(prefix) - 1])
                        kc_strv_push(&roles, key + sizeof(prefix) - 1);
                else if (kc_streq(key, "kubernetes.io/role") && !kc_str_empty(value))
                        kc_strv_push(&roles, value);
        }
        if (!roles)
                return kc_strdup("<none>");
        kc_strv_sort_uniq(roles);
        return kc_strv_join(roles, ",");
}

static void info_cell(struct json_object *cells, const struct json_object *node, const char *key)
{
        const char *s = kc_json_str(kc_json_at(node, "status.nodeInfo"), key);
        kc_cell_str(cells, kc_str_empty(s) ? "<unknown>" : s);
}

void kc_print_node(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        const struct json_object *addresses = kc_json_at(obj, "status.addresses");
        kc_cell_name(cells, obj);
        kc_cell_str_take(cells, node_status(obj));
        kc_cell_str_take(cells, node_roles(obj));
        kc_cell_age(cells, obj, now);
        kc_cell_str(cells, kc_json_str_at(obj, "status.nodeInfo.kubeletVersion"));
        kc_cell_str_or_none(cells, kc_json_str(kc_json_find(addresses, "type", "InternalIP"), "address"));
        kc_cell_str_or_none(cells, kc_json_str(kc_json_find(addresses, "type", "ExternalIP"), "address"));
        info_cell(cells, obj, "osImage");
        info_cell(cells, obj, "kernelVersion");
        info_cell(cells, obj, "containerRuntimeVersion");
}

/* --- Events: two versions that name the same things differently */

struct event_names {
        const char *object, *message, *source, *count, *first, *last, *controller;
};

static const struct event_names core_names = {
    "involvedObject", "message", "source", "count", "firstTimestamp", "lastTimestamp", "reportingComponent"};
static const struct event_names events_names = {"regarding", "note", "deprecatedSource", "deprecatedCount",
    "deprecatedFirstTimestamp", "deprecatedLastTimestamp", "reportingController"};

/* "pod/web-1", or "pod" without a name. */
static char *event_target(const struct json_object *object)
{
        const char *kind = kc_json_str(object, "kind"), *name = kc_json_str(object, "name");
        char *target = kc_str_empty(name) ? kc_strdup(kind ? kind : "") : kc_asprintf("%s/%s", kind ? kind : "", name);
        for (char *p = target; *p && *p != '/'; p++)
                *p = (char)tolower((unsigned char)*p);
        return target;
}

static char *event_source(const struct json_object *e, const struct event_names *names)
{
        const struct json_object *source = kc_json_get(e, names->source);
        const char *component = kc_json_str(source, "component"), *host = kc_json_str(source, "host");
        if (kc_str_empty(component))
                component = kc_json_str(e, names->controller);
        if (kc_str_empty(host))
                host = kc_json_str(e, "reportingInstance");
        if (!component)
                component = "";
        return kc_str_empty(host) ? kc_strdup(component) : kc_asprintf("%s, %s", component, host);
}

static void print_event(
    struct json_object *cells, const struct json_object *e, const struct event_names *names, kc_time now)
{
        char first_buf[KC_TIME_LEN], last_buf[KC_TIME_LEN];
        const char *first = kc_json_str(e, names->first), *last = kc_json_str(e, names->last);
        if (!first)
                first = kc_json_str(e, "eventTime");
        if (!last)
                last = first;
        int64_t count = kc_json_int(e, names->count, 0);
        const struct json_object *series = kc_json_get(e, "series");
        if (series) {
                last = kc_json_str(series, "lastObservedTime");
                count = kc_json_int(series, "count", 0);
        } else if (count == 0) {
                count = 1;
        }
        const struct json_object *object = kc_json_get(e, names->object);
        const char *message = kc_json_str(e, names->message);
        kc_cell_str(cells, kc_time_since(last, now, last_buf));
        kc_cell_str(cells, kc_json_str(e, "type"));
        kc_cell_str(cells, kc_json_str(e, "reason"));
        kc_cell_str_take(cells, event_target(object));
        kc_cell_str(cells, kc_json_str(object, "fieldPath"));
        kc_cell_str_take(cells, event_source(e, names));
        kc_cell_str_take(cells, kc_str_trim(message ? message : ""));
        kc_cell_str(cells, kc_time_since(first, now, first_buf));
        kc_cell_int(cells, count);
        kc_cell_name(cells, e);
}

void kc_print_event(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        print_event(cells, obj, &core_names, now);
}

void kc_print_events_event(struct json_object *cells, const struct json_object *obj, kc_time now)
{
        print_event(cells, obj, &events_names, now);
}
