/* getaddrinfo(3) on threads that all loops of the process share. A lookup that nobody waits for any more goes on until
 * its answer is in (the resolver cannot be interrupted) and is forgotten then; its loop may be gone by then. */
#include "net/lookup.h"

#include <errno.h>
#include <pthread.h>

#include "base/mem.h"
#include "event/worker.h"

enum { THREADS = 4, MAX_WAITING = 4096 };

struct net_lookup {
        pthread_mutex_t lock; /* innermost but for the loop's queue */
        struct kc_loop *loop; /* NULL: nobody waits; guarded by lock */
        int refs;             /* the thread's, then the posted answer's; guarded by lock */
        char *host, *port;
        int result;
        struct addrinfo *addrs;
        net_lookup_fn done;
        void *arg;
};

static struct kc_pool *pool; /* lives as long as the process: its threads end when they are idle */
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

static void make_pool(void)
{
        pool = kc_pool_new("resolver", THREADS, MAX_WAITING);
}

static int query(const char *host, const char *port, int flags, struct addrinfo **ret)
{
        struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
        return getaddrinfo(host, port, &hints, ret);
}

struct addrinfo *net_lookup_literal(const char *host, const char *port)
{
        struct addrinfo *addrs;
        return query(host, port, AI_NUMERICHOST, &addrs) == 0 ? addrs : NULL;
}

static void unref(struct net_lookup *k)
{
        pthread_mutex_lock(&k->lock);
        bool last = --k->refs == 0;
        pthread_mutex_unlock(&k->lock);
        if (!last)
                return;
        if (k->addrs)
                freeaddrinfo(k->addrs);
        pthread_mutex_destroy(&k->lock);
        kc_free(k->host);
        kc_free(k->port);
        kc_free(k);
}

/* A cancelled lookup whose answer was on its way ends here, too. */
static void deliver(void *arg)
{
        struct net_lookup *k = arg;
        pthread_mutex_lock(&k->lock);
        bool wanted = k->loop != NULL;
        k->loop = NULL;
        pthread_mutex_unlock(&k->lock);
        struct kc_error err = KC_ERROR_INIT;
        if (wanted && k->result != 0)
                kc_error_set(&err, EHOSTUNREACH, "lookup %s: %s", k->host,
                    k->result == EAI_NONAME ? "no such host" : gai_strerror(k->result));
        if (wanted)
                k->done(KC_TAKE(k->addrs), err.errnum ? &err : NULL, k->arg);
        kc_error_done(&err);
        unref(k);
}

static void run(void *arg)
{
        struct net_lookup *k = arg;
        k->result = query(k->host, k->port, 0, &k->addrs);
        if (k->result != 0)
                k->addrs = NULL;
        pthread_mutex_lock(&k->lock);
        if (k->loop) {
                k->refs++;
                kc_loop_post(k->loop, deliver, k);
        }
        pthread_mutex_unlock(&k->lock);
        unref(k);
}

struct net_lookup *net_lookup_start(
    struct kc_loop *l, const char *host, const char *port, net_lookup_fn done, void *arg, struct kc_error *err)
{
        pthread_once(&pool_once, make_pool);
        struct net_lookup *k = KC_NEW(struct net_lookup);
        pthread_mutex_init(&k->lock, NULL);
        k->loop = l;
        k->refs = 1;
        k->host = kc_strdup(host);
        k->port = kc_strdup(port);
        k->done = done;
        k->arg = arg;
        if (kc_pool_submit(pool, run, k) == 0)
                return k;
        unref(k);
        kc_error_set(err, EAGAIN, "lookup %s: too many lookups hang", host);
        return NULL;
}

void net_lookup_cancel(struct net_lookup *k)
{
        pthread_mutex_lock(&k->lock);
        k->loop = NULL;
        pthread_mutex_unlock(&k->lock);
}
