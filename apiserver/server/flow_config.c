/* Follows the FlowSchemas and PriorityLevelConfigurations of the API and hands them to priority and fairness; says in
 * the status of each schema whether its priority level exists. On the first loop; statuses are written on a worker. */
#include <errno.h>
#include <string.h>

#include "api/object.h"
#include "base/log.h"
#include "base/str.h"
#include "server/server_internal.h"

#define GROUP "flowcontrol.apiserver.k8s.io"
#define RETRY (200 * KC_MSEC)

const char *const flow_hooks[] = {"priority-and-fairness-config-consumer", "priority-and-fairness-filter", NULL};

static const char *const resources[] = {"flowschemas", "prioritylevelconfigurations"};
enum { SCHEMAS, LEVELS, RESOURCES };

struct feed {
        struct flow_config *config;
        struct kc_cache_resource *resource; /* NULL: not served */
        struct kc_cache_watch *watch;       /* NULL: waits for the timer */
        struct kc_timer *retry;
};

struct flow_config {
        struct kc_apiserver *server;
        struct feed feeds[RESOURCES];
        bool posted; /* rebuild will be called */
        bool busy;   /* statuses are being written */
        bool again;  /* something has changed since that began */
        struct kc_timer *retry;
        bool failed; /* the worker's, then the loop's */
        atomic_bool synced;
};

static struct json_object *list_of(const struct flow_config *c, int i)
{
        KC_CLEANUP(kc_objects_done) struct kc_objects objects = {0};
        struct json_object *list = json_object_new_array();
        /* Without an answer there are the mandatory ones. */
        (void)kc_resources_list(c->server->resources, GROUP, resources[i], NULL, NULL, &objects, NULL);
        for (size_t k = 0; k < objects.n; k++)
                kc_json_push(list, kc_object_copy_json(objects.v[k]));
        return list;
}

/* --- the condition Dangling. Worker thread. */

static bool has_level(const struct flow_config *c, const char *name)
{
        KC_CLEANUP(kc_object_unrefp) struct kc_object *o = NULL;
        return kc_resources_get(c->server->resources, GROUP, resources[LEVELS], "", name, &o, NULL) == 0;
}

/* True if the condition has changed. */
static bool set_dangling(const struct flow_config *c, struct json_object *schema)
{
        const char *level = kc_json_str_at(schema, "spec.priorityLevelConfiguration.name");
        bool there = has_level(c, level ? level : "");
        KC_CLEANUP(kc_freep)
        char *message = kc_asprintf("This FlowSchema references the PriorityLevelConfiguration object named \"%s\" %s",
            level ? level : "", there ? "and it exists" : "but there is no such object");
        return kc_condition_set(kc_json_ensure_obj(schema, "status"), "Dangling", there ? "False" : "True",
            there ? "Found" : "NotFound", message, kc_clock_now(NULL));
}

static int transform(struct kc_registry_ctx *ctx, const struct kc_object *current, struct json_object **ret, void *arg,
    struct kc_error *err)
{
        if (!current)
                return kc_err_not_found(err, GROUP, resources[SCHEMAS], ctx->name);
        KC_CLEANUP(kc_json_freep) struct json_object *schema = kc_object_copy_json(current);
        (void)set_dangling(arg, schema); /* without a change nothing is written */
        *ret = KC_TAKE(schema);
        return 0;
}

static int write_status(struct flow_config *c, const char *name, struct kc_error *err)
{
        struct kc_registry_ctx ctx;
        kc_registry_ctx_init(&ctx, c->server->registry, GROUP, resources[SCHEMAS], "", name, NULL, false, NULL);
        ctx.subresource = "status";
        const struct kc_registry_update_opts o = {.transform = transform, .arg = c};
        int r = kc_registry_update(&ctx, &o, NULL, NULL, err);
        return r == -ENOENT ? 0 : r;
}

static void statuses_written(void *arg);

static void write_statuses(void *arg)
{
        struct flow_config *c = arg;
        c->failed = false;
        KC_CLEANUP(kc_json_freep) struct json_object *schemas = list_of(c, SCHEMAS);
        for (size_t i = 0; i < kc_json_len(schemas); i++) {
                KC_CLEANUP(kc_error_done) struct kc_error err = KC_ERROR_INIT;
                struct json_object *schema = kc_json_idx_mut(schemas, i);
                if (!set_dangling(c, schema) || write_status(c, kc_meta_name(schema), &err) == 0)
                        continue;
                c->failed = true;
                kc_log_error(&err, "Cannot write the status of a FlowSchema, retrying", "name", kc_meta_name(schema));
        }
        kc_loop_post(c->server->loops[0], statuses_written, c);
}

/* --- on the loop */

static void begin_statuses(void *arg)
{
        struct flow_config *c = arg;
        c->again = c->busy;
        if (c->busy)
                return;
        c->busy = kc_pool_submit(c->server->pool, write_statuses, c) == 0;
        if (!c->busy)
                kc_timer_arm(c->retry, RETRY); /* all workers have their hands full */
}

static void statuses_written(void *arg)
{
        struct flow_config *c = arg;
        c->busy = false;
        if (atomic_load(&c->server->stopping))
                return;
        if (c->failed)
                kc_timer_arm(c->retry, RETRY);
        else if (c->again)
                begin_statuses(c);
}

static void rebuild(void *arg)
{
        struct flow_config *c = arg;
        c->posted = false;
        KC_CLEANUP(kc_json_freep) struct json_object *schemas = list_of(c, SCHEMAS);
        KC_CLEANUP(kc_json_freep) struct json_object *levels = list_of(c, LEVELS);
        kc_flow_configure(c->server->flow, schemas, levels);
        atomic_store(&c->synced, true);
        if (!atomic_load(&c->server->stopping))
                begin_statuses(c);
}

static void changed(struct flow_config *c)
{
        if (c->posted)
                return;
        c->posted = true;
        kc_loop_defer(c->server->loops[0], rebuild, c);
}

static void on_event(struct kc_cache_watch *w, const struct kc_cache_watch_event *ev, void *arg)
{
        (void)w;
        (void)ev; /* all of them are read again: they are few */
        struct feed *f = arg;
        changed(f->config);
}

static void on_end(struct kc_cache_watch *w, const struct kc_error *err, void *arg)
{
        (void)w;
        (void)err; /* it begins anew in any case */
        struct feed *f = arg;
        f->watch = NULL;
        kc_timer_arm(f->retry, RETRY);
}

static void start_feed(void *arg)
{
        struct feed *f = arg;
        const struct kc_cache_watch_opts o = {.loop = f->config->server->loops[0], .revision = 0};
        static const struct kc_cache_watch_cbs cbs = {.on_event = on_event, .on_end = on_end};
        if (kc_cache_watch(f->resource, &o, &cbs, f, &f->watch, NULL) < 0)
                kc_timer_arm(f->retry, RETRY); /* the cache is not loaded yet */
        changed(f->config);
}

struct flow_config *flow_config_new(struct kc_apiserver *s)
{
        struct flow_config *c = KC_NEW(struct flow_config);
        c->server = s;
        c->retry = kc_timer_new(s->loops[0], begin_statuses, c);
        for (int i = 0; i < RESOURCES; i++) {
                const struct kc_stored *stored = kc_resources_find(s->resources, GROUP, resources[i]);
                struct feed *f = &c->feeds[i];
                f->config = c;
                f->resource = stored ? stored->cache : NULL;
                f->retry = kc_timer_new(s->loops[0], start_feed, f);
        }
        return c;
}

void flow_config_start(struct flow_config *c)
{
        for (int i = 0; i < RESOURCES; i++)
                if (c->feeds[i].resource)
                        start_feed(&c->feeds[i]);
}

bool flow_config_synced(const struct flow_config *c)
{
        return atomic_load(&c->synced);
}

void flow_config_stop(struct flow_config *c)
{
        for (int i = 0; i < RESOURCES; i++) {
                if (c->feeds[i].watch)
                        kc_cache_watch_cancel(KC_TAKE(c->feeds[i].watch));
                kc_timer_free(KC_TAKE(c->feeds[i].retry));
        }
        kc_timer_free(KC_TAKE(c->retry));
}

void flow_config_free(struct flow_config *c)
{
        kc_free(c);
}
