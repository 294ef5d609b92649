/* componentstatuses: nothing that is stored, but what the scheduler, the controller manager and etcd say of themselves
 * when they are asked. Deprecated upstream, still served. Worker threads. */
#include <string.h>

#include "base/str.h"
#include "http/client.h"
#include "server/list_options.h"

enum {
        PROBE_TIMEOUT_MS = 20000,
        ANSWER_MAX = 10 << 10, /* bytes of an answer that are looked at */
};

/* By name, as LIST has them. */
static const struct component {
        const char *name, *url; /* NULL: etcd */
} components[] = {
    {"controller-manager", "https://127.0.0.1:10257/healthz"},
    {"etcd-0", NULL},
    {"scheduler", "https://127.0.0.1:10259/healthz"},
};

static struct json_object *component_new(const char *name, bool healthy, const char *message, const char *error)
{
        struct json_object *condition = kc_json_build("{'type':'Healthy','status':%s}", healthy ? "True" : "False");
        if (!kc_str_empty(message))
                kc_json_set_str(condition, "message", message);
        if (!kc_str_empty(error))
                kc_json_set_str(condition, "error", error);
        return kc_json_build(
            "{'kind':'ComponentStatus','apiVersion':'v1','metadata':{'name':%s},'conditions':[%o]}", name, condition);
}

/* --- probes */

static struct json_object *probe_etcd(struct api_req *q, const struct component *c)
{
        struct kc_store_status status;
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        if (kc_store_status(q->server->store, PROBE_TIMEOUT_MS, &status, &err) < 0)
                return component_new(c->name, false, NULL, kc_error_message(&err));
        return component_new(c->name, true, "ok", NULL);
}

static struct json_object *probe_http(struct kc_http_client *client, const struct component *c)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        const struct kc_http_call_opts o = {.url = c->url, .timeout_ms = PROBE_TIMEOUT_MS};
        struct kc_http_response response = {0};
        if (kc_http_client_do(client, &o, &response, &err) < 0)
                return component_new(c->name, false, kc_error_message(&err), NULL);
        KC_CLEANUP(kc_freep) char *text = kc_strndup(kc_bytes_data(response.body), kc_bytes_len(response.body));
        bool well = response.code >= 200 && response.code < 400;
        KC_CLEANUP(kc_freep)
        char *message = well ? KC_TAKE(text) : kc_asprintf("HTTP probe failed with statuscode: %d", response.code);
        kc_http_response_done(&response);
        return component_new(c->name, well, message, NULL);
}

/* A loop and a client of its own: they are asked rarely. Neither has a certificate that somebody vouches for. */
static int start(struct kc_loop **ret_loop, struct kc_http_client **ret_client, struct kc_error *err)
{
        const struct kc_http_client_opts o = {
            .insecure_skip_verify = true, .no_proxy = true, .no_keep_alive = true, .max_response = ANSWER_MAX};
        KC_CLEANUP(kc_loop_freep) struct kc_loop *loop = NULL;
        int r = kc_loop_new("components", &loop, err);
        if (r == 0)
                r = kc_http_client_new(loop, &o, ret_client, err);
        if (r < 0)
                return r;
        r = kc_loop_start_thread(loop, err);
        if (r < 0) {
                kc_http_client_free(*ret_client);
                return r;
        }
        *ret_loop = KC_TAKE(loop);
        return 0;
}

/* The components of which wanted is true, as an array. */
static int probe(struct api_req *q, const bool *wanted, struct json_object **ret, struct kc_error *err)
{
        struct kc_loop *loop = NULL;
        struct kc_http_client *client = NULL;
        int r = start(&loop, &client, err);
        if (r < 0)
                return r;
        *ret = json_object_new_array();
        for (size_t i = 0; i < KC_ARRAY_LEN(components); i++)
                if (wanted[i])
                        kc_json_push(*ret,
                            components[i].url ? probe_http(client, &components[i]) : probe_etcd(q, &components[i]));
        kc_loop_stop(loop);
        kc_loop_join(loop);
        kc_http_client_free(client);
        kc_loop_free(loop);
        return 0;
}

/* --- requests */

static const char *field_of(const char *field, void *name)
{
        return strcmp(field, "metadata.name") == 0 ? name : NULL;
}

static int list(struct api_req *q, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(list_options_done) struct list_options o = {0};
        KC_CLEANUP(kc_freep) char *include = NULL;
        KC_CLEANUP(kc_json_freep) struct json_object *all = NULL;
        bool wanted[KC_ARRAY_LEN(components)];
        int r = list_options_parse(q, false, &o, err);
        if (r == 0)
                r = table_include(q, &include, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < KC_ARRAY_LEN(components); i++)
                wanted[i] = (!o.labels || kc_selector_matches(o.labels, NULL)) &&
                            (!o.fields || kc_field_selector_matches(o.fields, field_of, (void *)components[i].name));
        r = probe(q, wanted, &all, err);
        if (r < 0)
                return r;
        bool table = q->media.as == AS_TABLE, partial = q->media.as == AS_PARTIAL_LIST;
        *ret = table     ? table_new(q)
               : partial ? partial_list_new(&q->media)
                         : kc_json_build("{'kind':'ComponentStatusList','apiVersion':'v1','metadata':{}}");
        struct json_object *items = kc_json_ensure_arr(*ret, table ? "rows" : "items");
        for (size_t i = 0; i < kc_json_len(all); i++) {
                struct json_object *c = kc_json_idx_mut(all, i);
                if (!table && !partial && q->media.type != MEDIA_PROTOBUF) {
                        kc_json_del(c, "kind");
                        kc_json_del(c, "apiVersion");
                }
                kc_json_push(items, table     ? table_row(q, c, include, kc_clock_now(NULL))
                                    : partial ? partial_of(&q->media, c)
                                              : json_object_get(c));
        }
        return 0;
}

static int get(struct api_req *q, struct json_object **ret, struct kc_error *err)
{
        KC_CLEANUP(kc_json_freep) struct json_object *all = NULL;
        bool wanted[KC_ARRAY_LEN(components)], any = false;
        for (size_t i = 0; i < KC_ARRAY_LEN(components); i++) {
                wanted[i] = strcmp(components[i].name, q->info.name) == 0;
                any |= wanted[i];
        }
        if (!any)
                return kc_err_not_found(err, "", "componentstatuses", q->info.name);
        int r = probe(q, wanted, &all, err);
        return r < 0 ? r : transform_object(q, json_object_get(kc_json_idx_mut(all, 0)), ret, err);
}

static void components_job(struct api_req *q)
{
        KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
        KC_CLEANUP(kc_json_freep) struct json_object *answer = NULL;
        int r = strcmp(q->info.verb, "list") == 0 ? list(q, &answer, &err) : get(q, &answer, &err);
        if (r < 0)
                api_reply_error(q, &err);
        else
                api_reply_json(q, 200, answer);
}

void handle_components(struct api_req *q)
{
        api_req_run_aside(q, components_job);
}
