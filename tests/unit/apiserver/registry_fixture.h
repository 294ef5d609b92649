/* An apiserver without HTTP, for tests: memory store, cache, authorization, admission and registry, with a clock that
 * stands still. */
#pragma once

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "api/defaults.h"
#include "api/object.h"
#include "base/map.h"
#include "base/str.h"
#include "registry/registry.h"
#include "registry/service_alloc.h"
#include "registry/strategy.h"

#define FIXTURE_NOW ((kc_time)1795262400 * KC_SEC) /* 2026-11-21T12:00:00Z */

struct fixture {
        struct kc_fake_clock clock;
        struct kc_loop *loop; /* of the store, the cache and the watches of authorization */
        struct kc_store *store;
        struct kc_cache *cache;
        struct kc_resources *resources;
        struct kc_authz *authz;
        struct kc_admission *admission;
        struct kc_satoken *satoken; /* the test's own */
        struct kc_registry *registry;
        struct kc_error err; /* of the last call that failed */
};

static KC_UNUSED void fixture_start_authz(void *arg)
{
        kc_authz_start(arg);
}

static KC_UNUSED void fixture_free_authz(void *arg)
{
        kc_authz_free(arg);
}

static KC_UNUSED void fixture_free_store(void *arg)
{
        kc_store_free(arg);
}

/* Waits until the condition holds; fails after some seconds. */
#define EVENTUALLY(cond)                                                                                               \
        do {                                                                                                           \
                kc_mono until_ = kc_clock_mono(NULL) + 10 * KC_SEC;                                                    \
                while (!(cond)) {                                                                                      \
                        if (kc_clock_mono(NULL) > until_)                                                              \
                                fail_msg("never: %s", #cond);                                                          \
                        sched_yield();                                                                                 \
                }                                                                                                      \
        } while (0)

static KC_UNUSED struct kc_registry *fixture_registry(struct fixture *f, const char *cidr, int port_min, int port_max)
{
        struct kc_cidr c;
        assert_int_equal(kc_cidr_parse(cidr, &c, NULL), 0);
        const struct kc_registry_opts o = {
            .resources = f->resources,
            .admission = f->admission,
            .authz = f->authz,
            .satoken = f->satoken,
            .clock = &f->clock.clock,
            .service_cidrs = &c,
            .n_service_cidrs = 1,
            .node_port_min = port_min,
            .node_port_max = port_max,
            .event_ttl_seconds = 3600,
        };
        struct kc_registry *r = NULL;
        assert_int_equal(kc_registry_new(&o, &r, NULL), 0);
        return r;
}

static KC_UNUSED void fixture_open(struct fixture *f)
{
        *f = (struct fixture){0};
        kc_fake_clock_init(&f->clock, FIXTURE_NOW);
        assert_int_equal(kc_loop_new("test", &f->loop, NULL), 0);
        f->store = kc_store_mem_new(f->loop);
        f->cache = kc_cache_new(&(struct kc_cache_opts){.store = f->store, .prefix = "/registry"});
        f->resources = kc_resources_new(f->store, f->cache);
        char *modes[] = {(char *)"Node", (char *)"RBAC", NULL};
        const struct kc_authz_opts authz = {.resources = f->resources, .loop = f->loop, .modes = modes};
        assert_int_equal(kc_authz_new(&authz, &f->authz, NULL), 0);
        char *enable[] = {(char *)"NodeRestriction", NULL};
        const struct kc_admission_opts adm = {.resources = f->resources, .authz = f->authz, .enable = enable};
        assert_int_equal(kc_admission_new(&adm, &f->admission, NULL), 0);
        f->registry = fixture_registry(f, "10.96.0.0/24", 30000, 30009);
        assert_int_equal(kc_loop_start_thread(f->loop, NULL), 0);
        kc_cache_start(f->cache);
        assert_int_equal(kc_cache_wait_ready(f->cache, 30000, NULL), 0);
        kc_loop_call(f->loop, fixture_start_authz, f->authz);
        EVENTUALLY(kc_authz_ready(f->authz));
}

static KC_UNUSED void fixture_close(struct fixture *f)
{
        kc_error_done(&f->err);
        kc_registry_free(f->registry);
        kc_admission_free(f->admission);
        kc_loop_call(f->loop, fixture_free_authz, f->authz);
        kc_cache_stop(f->cache);
        kc_cache_free(f->cache);
        kc_resources_free(f->resources);
        kc_loop_call(f->loop, fixture_free_store, f->store);
        kc_loop_stop(f->loop);
        kc_loop_join(f->loop);
        kc_loop_free(f->loop);
}

static KC_UNUSED int fixture_setup(void **state)
{
        *state = KC_NEW(struct fixture);
        fixture_open(*state);
        return 0;
}

static KC_UNUSED int fixture_teardown(void **state)
{
        fixture_close(*state);
        kc_free(*state);
        return 0;
}

/* Creates the object as user (NULL: the apiserver) the way a POST does. The stored object; NULL: err. */
static KC_UNUSED struct kc_object *post(struct kc_registry *r, const struct kc_user *user, bool dry_run,
    const char *group, const char *resource, const char *ns, struct json_object *take_obj, struct kc_error *err)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, r, group, resource, ns, "", user, dry_run, NULL);
        assert_non_null(c.stored);
        KC_CLEANUP(kc_freep) char *name = kc_strdup(kc_meta_name(take_obj));
        KC_CLEANUP(kc_freep) char *api_version = kc_api_version_join(c.row->group, c.row->version);
        c.name = name ? name : "";
        kc_json_set_str(take_obj, "kind", c.row->kind);
        kc_json_set_str(take_obj, "apiVersion", api_version);
        if (ns[0])
                kc_json_set_str(kc_json_ensure_obj(take_obj, "metadata"), "namespace", ns);
        if (kc_codec_decode(take_obj, c.row->type, NULL, err) < 0) {
                kc_json_free(take_obj);
                return NULL;
        }
        kc_codec_default(take_obj, c.row->type);
        kc_default_object(take_obj, c.row);
        struct kc_object *made = NULL;
        (void)kc_registry_create(&c, take_obj, NULL, &made, err);
        return made;
}

/* The error is f->err. */
static KC_UNUSED struct kc_object *create_as(struct fixture *f, struct kc_registry *r, const struct kc_user *user,
    const char *group, const char *resource, const char *ns, struct json_object *take_obj)
{
        kc_error_done(&f->err);
        return post(r, user, false, group, resource, ns, take_obj, &f->err);
}

/* As the apiserver; must succeed. */
static KC_UNUSED struct kc_object *must_create(
    struct fixture *f, const char *group, const char *resource, const char *ns, struct json_object *take_obj)
{
        struct kc_object *o = create_as(f, f->registry, NULL, group, resource, ns, take_obj);
        if (!o)
                fail_msg("create %s: %s", resource, kc_error_message(&f->err));
        return o;
}

static KC_UNUSED void put(
    struct fixture *f, const char *group, const char *resource, const char *ns, struct json_object *take_obj)
{
        kc_object_unref(must_create(f, group, resource, ns, take_obj));
}

/* A merge patch, below nothing. 0 or the error, which is in f->err. */
static KC_UNUSED int fixture_merge(struct kc_registry_ctx *c, const struct kc_object *current, struct json_object **ret,
    void *arg, struct kc_error *err)
{
        (void)c;
        (void)err;
        struct json_object *obj = kc_object_copy_json(current);
        KC_JSON_FOREACH((const struct json_object *)arg, key, val){
            KC_JSON_FOREACH(val, inner, v){struct json_object *to = kc_json_ensure_obj(obj, key);
        if (v)
                kc_json_set(to, inner, kc_json_copy(v));
        else
                kc_json_del(to, inner);
}
}
*ret = obj;
return 0;
}

/* changes: {"spec":{"replicas":2}}: keys at the second level are replaced, null removes. */
static KC_UNUSED int change_as(struct fixture *f, const struct kc_user *user, const char *group, const char *resource,
    const char *sub, const char *ns, const char *name, struct json_object *take_changes, struct kc_object **ret)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, f->registry, group, resource, ns, name, user, false, NULL);
        c.subresource = sub;
        const struct kc_registry_update_opts o = {.transform = fixture_merge, .arg = take_changes};
        kc_error_done(&f->err);
        int r = kc_registry_update(&c, &o, ret, NULL, &f->err);
        kc_json_free(take_changes);
        return r;
}

static KC_UNUSED int remove_as(struct fixture *f, const struct kc_user *user, const char *group, const char *resource,
    const char *ns, const char *name, int64_t grace, bool *ret_gone)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, f->registry, group, resource, ns, name, user, false, NULL);
        struct kc_delete_request d = {.grace_period_seconds = grace};
        kc_error_done(&f->err);
        return kc_registry_delete(&c, &d, NULL, ret_gone, &f->err);
}

/* POST of an action: "binding", "eviction", "token". */
static KC_UNUSED int act(struct fixture *f, const char *resource, const char *sub, const char *ns, const char *name,
    struct json_object *body, struct json_object **ret)
{
        struct kc_registry_ctx c;
        kc_registry_ctx_init(&c, f->registry, "", resource, ns, name, NULL, false, NULL);
        c.subresource = sub;
        int code = 201;
        const struct kc_subresource_strategy *s = kc_strategy_subresource(kc_strategy_for("", resource), sub);
        assert_non_null(s);
        kc_error_done(&f->err);
        return s->create(&c, body, ret, &code, &f->err);
}

static KC_UNUSED struct kc_object *get(
    struct fixture *f, const char *group, const char *resource, const char *ns, const char *name)
{
        struct kc_object *o = NULL;
        (void)kc_resources_get_live(f->resources, group, resource, ns, name, &o, NULL);
        return o;
}

/* The value at a path of an object, as JSON; "" if there is none. In a ring of 8 per thread. */
static KC_UNUSED const char *at(const struct kc_object *o, const char *path)
{
        static __thread char ring[8][4096];
        static __thread unsigned next;
        const struct json_object *v = o ? kc_json_at(kc_object_json(o), path) : NULL;
        KC_CLEANUP(kc_freep) char *text = v ? kc_json_to_str(v) : kc_strdup("");
        char *out = ring[next++ % KC_ARRAY_LEN(ring)];
        (void)snprintf(out, sizeof(ring[0]), "%s", text);
        return out;
}

static KC_UNUSED struct kc_user *user(const char *name, const char *group)
{
        struct kc_user *u = kc_user_new(name, NULL, NULL);
        if (group)
                kc_user_add_group(u, group);
        kc_user_add_group(u, KC_GROUP_AUTHENTICATED);
        return u;
}

/* The namespace "default" with its service account. */
static KC_UNUSED void make_default(struct fixture *f)
{
        put(f, "", "namespaces", "", kc_json_build("{'metadata':{'name':'default'}}"));
        put(f, "", "serviceaccounts", "default", kc_json_build("{'metadata':{'name':'default'}}"));
}

static KC_UNUSED struct json_object *simple_pod(const char *name)
{
        return kc_json_build("{'metadata':{'name':%s},'spec':{'containers':[{'name':'c','image':'busybox'}]}}", name);
}
