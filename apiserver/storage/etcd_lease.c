/* Leases for keys that go away by themselves. As upstream does, writes share a lease for up to a minute (5 % of the TTL
 * if that is less) and a thousand keys, for each lease costs etcd more than a key. Callers' threads. */
#include "base/clock.h"
#include "base/mem.h"
#include "storage/etcd_internal.h"

enum {
        LEASE_REUSE_SECONDS = 60,
        LEASE_REUSE_PERCENT = 5,
        LEASE_MAX_KEYS = 1000,
};

static int grant(struct etcd_store *s, int64_t ttl_seconds, int64_t *ret, struct kc_error *err)
{
        Etcdserverpb__LeaseGrantRequest req = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
        req.ttl = ttl_seconds;
        ProtobufCMessage *m;
        int r = etcd_call(s, "/etcdserverpb.Lease/LeaseGrant", &req.base,
            &etcdserverpb__lease_grant_response__descriptor, 0, true, &m, err);
        if (r < 0)
                return r;
        *ret = ((const Etcdserverpb__LeaseGrantResponse *)m)->id;
        protobuf_c_message_free_unpacked(m, NULL);
        return 0;
}

int etcd_lease_get(struct etcd_store *s, int64_t ttl_seconds, int64_t *ret, struct kc_error *err)
{
        int64_t reuse = KC_MIN((int64_t)LEASE_REUSE_SECONDS, ttl_seconds * LEASE_REUSE_PERCENT / 100);
        int r = 0;
        /* Held while granting: whoever comes meanwhile wants the same lease. */
        pthread_mutex_lock(&s->lease_lock);
        kc_mono now = kc_clock_mono(NULL);
        bool lives_long_enough = now + ttl_seconds * KC_SEC <= s->lease_expires;
        bool not_too_long = now + (ttl_seconds + reuse) * KC_SEC >= s->lease_expires;
        if (!s->lease_id || !lives_long_enough || !not_too_long || s->lease_keys >= LEASE_MAX_KEYS) {
                int64_t id;
                r = grant(s, ttl_seconds + reuse, &id, err);
                if (r == 0) {
                        s->lease_id = id;
                        s->lease_expires = now + (ttl_seconds + reuse) * KC_SEC;
                        s->lease_keys = 0;
                }
        }
        if (r == 0) {
                s->lease_keys++;
                *ret = s->lease_id;
        }
        pthread_mutex_unlock(&s->lease_lock);
        return r;
}

void etcd_lease_forget(struct etcd_store *s, int64_t lease)
{
        pthread_mutex_lock(&s->lease_lock);
        if (s->lease_id == lease)
                s->lease_id = 0;
        pthread_mutex_unlock(&s->lease_lock);
}
