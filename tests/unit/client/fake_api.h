/* An API server that answers by script, on our own HTTP server and a loop of its own.
 *
 * A test says beforehand what each request shall get: the first unused step whose method and part of "path?query" fit.
 * A stream stays open for more lines until the test ends it. Requests without a step are left unanswered. */
#pragma once

#include <pthread.h>

#include "client/rest.h"
#include "client_test_util.h"
#include "http/server.h"

enum { FAKE_MAX = 64 };

enum fake_kind {
        FAKE_REPLY,  /* code, body */
        FAKE_STREAM, /* 200, body as the first bytes, stays open */
        FAKE_ABORT,  /* the connection breaks */
};

struct fake_step {
        const char *method, *match;
        enum fake_kind kind;
        int code;
        const char *body;
        const char *header, *header_value; /* one more header of the answer */
};

struct fake_api {
        struct kc_loop *loop;
        struct kc_http_server *server;
        pthread_mutex_t lock;
        /* guarded by lock: */
        struct fake_step steps[FAKE_MAX];
        bool used[FAKE_MAX];
        size_t n_steps;
        char **requests; /* "GET /path?query", in order */
        char **bodies;
        char **agents, **authorizations;
        /* On the loop. */
        struct kc_http_req *streams[FAKE_MAX];
        size_t n_streams;
        sem_t arrived; /* a request was handled */
};

/* Takes the step for a request; false: none. */
static inline bool fake_take_step(struct fake_api *a, const char *method, const char *url, struct fake_step *ret)
{
        for (size_t i = 0; i < a->n_steps; i++)
                if (!a->used[i] && kc_streq(a->steps[i].method, method) && strstr(url, a->steps[i].match)) {
                        a->used[i] = true;
                        *ret = a->steps[i];
                        return true;
                }
        return false;
}

static inline void fake_stream(struct fake_api *a, struct kc_http_req *req, const char *body)
{
        char *const headers[] = {(char *)"Content-Type", (char *)"application/json", NULL};
        kc_http_start(req, 200, headers);
        if (body) {
                struct kc_bytes *b = kc_bytes_new(body, strlen(body));
                (void)kc_http_write(req, b);
                kc_bytes_unref(b);
        }
        a->streams[a->n_streams++] = kc_http_req_ref(req);
}

static inline void fake_reply(struct kc_http_req *req, const struct fake_step *s)
{
        struct kc_bytes *b = kc_bytes_new(s->body ? s->body : "", s->body ? strlen(s->body) : 0);
        char *const headers[] = {
            (char *)"Content-Type", (char *)"application/json", (char *)s->header, (char *)s->header_value, NULL};
        kc_http_reply(req, s->code ? s->code : 200, headers, b);
        kc_bytes_unref(b);
}

static inline void fake_on_request(struct kc_http_req *req, void *arg)
{
        struct fake_api *a = arg;
        const char *query = kc_http_req_query(req);
        KC_CLEANUP(kc_freep) char *url = kc_asprintf("%s%s%s", kc_http_req_path(req), *query ? "?" : "", query);
        struct fake_step step = {0};
        size_t len;
        const char *body = kc_http_req_body(req, &len);
        const char *agent = kc_http_req_header(req, "User-Agent"), *auth = kc_http_req_header(req, "Authorization");
        pthread_mutex_lock(&a->lock);
        bool found = fake_take_step(a, kc_http_req_method(req), url, &step);
        kc_strv_pushf(&a->requests, "%s %s", kc_http_req_method(req), url);
        kc_strv_push_take(&a->bodies, kc_strndup(body ? body : "", len));
        kc_strv_push(&a->agents, agent ? agent : "");
        kc_strv_push(&a->authorizations, auth ? auth : "");
        pthread_mutex_unlock(&a->lock);
        if (!found)
                a->streams[a->n_streams++] = kc_http_req_ref(req);
        else if (step.kind == FAKE_STREAM)
                fake_stream(a, req, step.body);
        else if (step.kind == FAKE_ABORT)
                kc_http_abort(req);
        else
                fake_reply(req, &step);
        sem_post(&a->arrived);
}

static inline KC_UNUSED struct fake_api *fake_api_new(void)
{
        struct fake_api *a = KC_NEW(struct fake_api);
        pthread_mutex_init(&a->lock, NULL);
        sem_init(&a->arrived, 0, 0);
        assert_int_equal(kc_loop_new("api", &a->loop, NULL), 0);
        struct kc_loop *const loops[] = {a->loop};
        struct kc_http_server_opts o = {
            .loops = loops, .n_loops = 1, .address = "127.0.0.1", .on_request = fake_on_request, .arg = a};
        struct kc_error err = KC_ERROR_INIT;
        int r = kc_http_server_new(&o, &a->server, &err);
        if (r < 0)
                print_message("%s\n", kc_error_message(&err));
        assert_int_equal(r, 0);
        loop_up(a->loop);
        return a;
}

static inline KC_UNUSED void fake_api_free(struct fake_api *a)
{
        loop_down(a->loop);
        kc_http_server_free(a->server);
        for (size_t i = 0; i < a->n_streams; i++)
                if (a->streams[i])
                        kc_http_req_unref(a->streams[i]);
        kc_loop_free(a->loop);
        kc_strv_free(a->requests);
        kc_strv_free(a->bodies);
        kc_strv_free(a->agents);
        kc_strv_free(a->authorizations);
        sem_destroy(&a->arrived);
        pthread_mutex_destroy(&a->lock);
        kc_free(a);
}

static inline KC_UNUSED void fake_expect(struct fake_api *a, struct fake_step step)
{
        pthread_mutex_lock(&a->lock);
        assert_true(a->n_steps < FAKE_MAX);
        a->steps[a->n_steps++] = step;
        pthread_mutex_unlock(&a->lock);
}

/* The i-th request, once it has come. Heap. */
static inline KC_UNUSED char *fake_request(struct fake_api *a, size_t i)
{
        for (;;) {
                pthread_mutex_lock(&a->lock);
                char *r = kc_strv_len(a->requests) > i ? kc_strdup(a->requests[i]) : NULL;
                pthread_mutex_unlock(&a->lock);
                if (r)
                        return r;
                gate_wait(&a->arrived);
        }
}

static inline KC_UNUSED size_t fake_count(struct fake_api *a)
{
        pthread_mutex_lock(&a->lock);
        size_t n = kc_strv_len(a->requests);
        pthread_mutex_unlock(&a->lock);
        return n;
}

static inline KC_UNUSED char *fake_body(struct fake_api *a, size_t i)
{
        pthread_mutex_lock(&a->lock);
        char *b = kc_strdup(a->bodies[i]);
        pthread_mutex_unlock(&a->lock);
        return b;
}

struct fake_push {
        struct fake_api *api;
        const char *text; /* NULL: end it */
        bool abort;
};

/* On the loop: to the newest stream. */
static inline void fake_push_on_loop(void *arg)
{
        struct fake_push *p = arg;
        struct kc_http_req *req = p->api->streams[p->api->n_streams - 1];
        if (p->text) {
                struct kc_bytes *b = kc_bytes_new(p->text, strlen(p->text));
                (void)kc_http_write(req, b);
                kc_bytes_unref(b);
                return;
        }
        if (p->abort)
                kc_http_abort(req);
        else
                kc_http_finish(req);
}

static inline KC_UNUSED void fake_send(struct fake_api *a, const char *text)
{
        struct fake_push p = {.api = a, .text = text};
        kc_loop_call(a->loop, fake_push_on_loop, &p);
}

static inline KC_UNUSED void fake_finish(struct fake_api *a)
{
        struct fake_push p = {.api = a};
        kc_loop_call(a->loop, fake_push_on_loop, &p);
}

static inline KC_UNUSED void fake_break(struct fake_api *a)
{
        struct fake_push p = {.api = a, .abort = true};
        kc_loop_call(a->loop, fake_push_on_loop, &p);
}

/* A client of it; the loop must not run yet. */
static inline KC_UNUSED struct kc_rest *fake_client(
    struct fake_api *a, struct kc_loop *loop, const struct kc_rest_opts *o, const char *token_file)
{
        KC_CLEANUP(kc_freep) char *server = kc_asprintf("http://127.0.0.1:%d/", kc_http_server_port(a->server));
        struct kc_client_config config = {.server = server, .token_file = (char *)token_file};
        struct kc_rest *rest = NULL;
        assert_int_equal(kc_rest_new(loop, &config, o, &rest, NULL), 0);
        return rest;
}
