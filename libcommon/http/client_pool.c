/* Which connection a call gets. To a server that may speak HTTP/2 one connection is made first, and the others wait for
 * what it turns out to be: with HTTP/2 all go on it (until the server allows no more streams on it), with HTTP/1.1
 * each gets a connection of its own. On the loop. */
#include <errno.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/client_internal.h"

static struct http_origin *find(struct kc_http_client *c, const struct http_url *u, bool h1_only)
{
        KC_LIST_FOREACH(&c->origins, o, struct http_origin, node)
        {
                if (o->https == u->https && o->h1_only == h1_only && kc_strcaseeq(o->host, u->host) &&
                    kc_streq(o->port, u->port))
                        return o;
        }
        struct http_origin *o = KC_NEW(struct http_origin);
        o->client = c;
        o->https = u->https;
        o->h1_only = h1_only;
        o->speaks_h1 = h1_only || !u->https;
        o->host = kc_strdup(u->host);
        o->port = kc_strdup(u->port);
        kc_list_init(&o->links);
        kc_list_init(&o->waiting);
        kc_list_push_back(&c->origins, &o->node);
        return o;
}

static void free_origin(struct http_origin *o)
{
        kc_list_remove(&o->node);
        kc_free(o->host);
        kc_free(o->port);
        kc_free(o);
}

/* What was kept is as doubtful as the connection that has just failed a call. */
static void close_idle(struct http_origin *o)
{
        KC_LIST_FOREACH(&o->links, l, struct http_link, node)
        {
                if (l->state == HTTP_LINK_H1 && !l->call && !l->busy)
                        http_link_free(l);
        }
}

void http_pool_add(struct kc_http_call *call, bool again)
{
        bool h1_only = call->opts.upgrade || call->client->opts.no_http2;
        struct http_origin *o = find(call->client, &call->url, h1_only);
        call->origin = o;
        if (again)
                kc_list_push_front(&o->waiting, &call->queue_node);
        else
                kc_list_push_back(&o->waiting, &call->queue_node);
        o->n_waiting++;
        if (again)
                close_idle(o);
        http_pool_dispatch(o);
}

void http_pool_remove(struct kc_http_call *call)
{
        struct http_origin *o = KC_TAKE(call->origin);
        if (!o)
                return;
        kc_list_remove(&call->queue_node);
        o->n_waiting--;
        http_pool_dispatch(o);
}

static struct http_link *pick(struct http_origin *o)
{
        KC_LIST_FOREACH(&o->links, l, struct http_link, node)
        {
                if (http_link_ready(l))
                        return l;
        }
        return NULL;
}

static size_t links_wanted(const struct http_origin *o)
{
        return o->speaks_h1 ? o->n_waiting : KC_MIN(o->n_waiting, (size_t)1);
}

static void give_out(struct http_origin *o)
{
        struct kc_http_call *call;
        struct http_link *l;
        while ((call = KC_LIST_FIRST(&o->waiting, struct kc_http_call, queue_node)) && (l = pick(o))) {
                kc_list_remove(&call->queue_node);
                call->origin = NULL;
                o->n_waiting--;
                http_link_send(l, call);
        }
}

void http_pool_dispatch(struct http_origin *o)
{
        if (o->busy)
                return; /* it is under way further up */
        o->busy++;
        give_out(o);
        while (o->n_connecting < links_wanted(o)) {
                struct kc_error err = KC_ERROR_INIT;
                if (!http_link_new(o, &err))
                        http_pool_failed(o, &err);
                kc_error_done(&err);
        }
        o->busy--;
        if (!o->busy && kc_list_empty(&o->links) && kc_list_empty(&o->waiting))
                free_origin(o);
}

void http_pool_failed(struct http_origin *o, const struct kc_error *err)
{
        o->busy++;
        while (o->n_waiting > o->n_connecting) {
                struct kc_http_call *call = KC_LIST_FIRST(&o->waiting, struct kc_http_call, queue_node);
                kc_list_remove(&call->queue_node);
                call->origin = NULL;
                o->n_waiting--;
                http_call_finish(call, err);
                if (o->speaks_h1)
                        break; /* it was the connection of one call */
        }
        o->busy--;
}

void http_pool_free_all(struct kc_http_client *c)
{
        for (struct http_origin *o; (o = KC_LIST_FIRST(&c->origins, struct http_origin, node));) {
                o->busy++;
                for (struct http_link *l; (l = KC_LIST_FIRST(&o->links, struct http_link, node));)
                        http_link_free(l);
                free_origin(o);
        }
}

void kc_http_client_reconnect(struct kc_http_client *c)
{
        if (c->tls)
                kc_tls_client_recheck(c->tls);
        if (c->tls_proxy)
                kc_tls_client_recheck(c->tls_proxy);
        KC_LIST_FOREACH(&c->origins, o, struct http_origin, node)
        {
                o->busy++;
                KC_LIST_FOREACH(&o->links, l, struct http_link, node)
                {
                        l->draining = true;
                        http_link_enter(l);
                        http_link_leave(l); /* closes it when it has no calls */
                }
                close_idle(o);
                o->busy--;
                http_pool_dispatch(o);
        }
}
