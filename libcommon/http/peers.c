/* Connections of each peer are counted, so that one cannot have all of them. Counted on loops[0], taken back on any. */
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http_internal.h"

enum { PREFIX_OF_A_PEER = 8 }; /* bytes of an IPv6 address that one network has */

struct http_peer {
        char key[KC_IP_LEN];
        size_t n; /* guarded by http_peers.lock */
};

struct http_peers {
        size_t max;
        pthread_mutex_t lock;  /* innermost */
        struct kc_map *by_key; /* guarded by lock */
};

struct http_peers *http_peers_new(size_t max)
{
        struct http_peers *p = KC_NEW(struct http_peers);
        p->max = max;
        pthread_mutex_init(&p->lock, NULL);
        p->by_key = kc_map_new(kc_free);
        return p;
}

void http_peers_free(struct http_peers *p)
{
        if (!p)
                return;
        kc_map_free(p->by_key);
        pthread_mutex_destroy(&p->lock);
        kc_free(p);
}

bool http_peers_enter(struct http_peers *p, const struct kc_ip *ip, struct http_peer **ret)
{
        struct kc_ip network = *ip;
        char key[KC_IP_LEN];
        *ret = NULL;
        if (ip->family == AF_INET6)
                memset(network.b + PREFIX_OF_A_PEER, 0, sizeof(network.b) - PREFIX_OF_A_PEER);
        else if (ip->family != AF_INET)
                return true;
        kc_ip_format(&network, key);
        pthread_mutex_lock(&p->lock);
        struct http_peer *peer = kc_map_get(p->by_key, key);
        if (!peer) {
                peer = KC_NEW(struct http_peer);
                memcpy(peer->key, key, strlen(key) + 1);
                kc_map_set(p->by_key, key, peer);
        }
        bool ok = peer->n < p->max;
        if (ok) {
                peer->n++;
                *ret = peer;
        }
        pthread_mutex_unlock(&p->lock);
        return ok;
}

void http_peers_leave(struct http_peers *p, struct http_peer *take_peer)
{
        if (!take_peer)
                return;
        pthread_mutex_lock(&p->lock);
        if (--take_peer->n == 0)
                kc_map_remove(p->by_key, take_peer->key);
        pthread_mutex_unlock(&p->lock);
}
