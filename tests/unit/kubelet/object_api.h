/* An API server of a few objects, and a client of it, on one loop thread. GET serves what api_put has put; POSTs go to
 * api.post. Requests are counted. */
#pragma once

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/status.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "client/rest.h"
#include "http/server.h"

struct object_api {
        struct kc_loop *loop;
        struct kc_http_server *server;
        struct kc_rest *rest;
        pthread_mutex_t mutex;
        struct kc_map *objects; /* JSON text by path */
        int gets, posts;
        bool down; /* every request is a 503 */
        /* Answers a POST; the caller frees. On the loop. */
        struct json_object *(*post)(struct object_api *a, const char *path, const struct json_object *body);
        void *arg;
};

static void object_api_reply(struct kc_http_req *req, int code, const char *text)
{
        char *const headers[] = {(char *)"Content-Type", (char *)"application/json", NULL};
        struct kc_bytes *b = kc_bytes_new(text, strlen(text));
        kc_http_reply(req, code, headers, b);
        kc_bytes_unref(b);
}

static void object_api_request(struct kc_http_req *req, void *arg)
{
        struct object_api *a = arg;
        const char *path = kc_http_req_path(req);
        pthread_mutex_lock(&a->mutex);
        bool down = a->down;
        if (a->down) {
                object_api_reply(req, 503, "{}");
        } else if (kc_streq(kc_http_req_method(req), "GET")) {
                a->gets++;
                const char *text = kc_map_get(a->objects, path);
                object_api_reply(req, text ? 200 : 404,
                    text ?: "{\"kind\":\"Status\",\"status\":\"Failure\",\"reason\":\"NotFound\",\"code\":404}");
        } else {
                a->posts++;
        }
        pthread_mutex_unlock(&a->mutex);
        if (down || kc_streq(kc_http_req_method(req), "GET"))
                return;
        size_t len;
        const char *data = kc_http_req_body(req, &len);
        KC_CLEANUP(kc_json_freep) struct json_object *body = NULL;
        (void)kc_json_parse(data, len, NULL, &body, NULL);
        KC_CLEANUP(kc_json_freep) struct json_object *answer = a->post ? a->post(a, path, body) : NULL;
        KC_CLEANUP(kc_freep) char *text = answer ? kc_json_to_str(answer) : kc_strdup("{}");
        object_api_reply(req, answer ? 201 : 500, text);
}

static void object_api_stop(void *arg)
{
        struct object_api *a = arg;
        kc_http_server_free(a->server);
        a->server = NULL;
}

static void object_api_start(struct object_api *a)
{
        memset(a, 0, sizeof(*a));
        pthread_mutex_init(&a->mutex, NULL);
        a->objects = kc_map_new(kc_free);
        assert_int_equal(kc_loop_new("api", &a->loop, NULL), 0);
        struct kc_loop *const loops[] = {a->loop};
        struct kc_http_server_opts o = {
            .loops = loops, .n_loops = 1, .address = "127.0.0.1", .on_request = object_api_request, .arg = a};
        assert_int_equal(kc_http_server_new(&o, &a->server, NULL), 0);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("http://127.0.0.1:%d", kc_http_server_port(a->server));
        struct kc_client_config config = {.server = url};
        assert_int_equal(kc_rest_new(a->loop, &config, NULL, &a->rest, NULL), 0);
        assert_int_equal(kc_loop_start_thread(a->loop, NULL), 0);
}

static void object_api_end(struct object_api *a)
{
        kc_loop_call(a->loop, object_api_stop, a);
        kc_loop_stop(a->loop);
        kc_loop_join(a->loop);
        kc_rest_free(a->rest);
        kc_loop_free(a->loop);
        kc_map_free(a->objects);
        pthread_mutex_destroy(&a->mutex);
}

/* object NULL: removes. */
static KC_UNUSED void api_put(struct object_api *a, const char *path, struct json_object *take_object)
{
        pthread_mutex_lock(&a->mutex);
        if (take_object)
                (void)kc_map_set(a->objects, path, kc_json_to_str(take_object));
        else
                (void)kc_map_remove(a->objects, path);
        pthread_mutex_unlock(&a->mutex);
        kc_json_free(take_object);
}
