/* Roles compiled for the RBAC index. Pure functions: any thread. */
#include "auth/rbac_role.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authz.h"
#include "base/map.h"
#include "base/str.h"

enum { NAME_MAX_ON_STACK = 256 };
#define ALL UINT64_MAX

struct rbac_entry {
        uint64_t resource;      /* hash */
        uint64_t verbs, groups; /* bits, all for "*" */
        size_t rule;
};

static uint64_t hash(const char *s)
{
        return kc_hash_bytes(s, strlen(s));
}

static uint64_t bit(uint64_t h)
{
        return UINT64_C(1) << (h & 63);
}

static uint64_t bits_of(char *const *v)
{
        uint64_t bits = 0;
        for (; v && *v; v++)
                bits |= strcmp(*v, "*") == 0 ? ALL : bit(hash(*v));
        return bits;
}

static int by_resource(const void *a, const void *b)
{
        const struct rbac_entry *x = a, *y = b;
        if (x->resource != y->resource)
                return x->resource < y->resource ? -1 : 1;
        return x->rule < y->rule ? -1 : x->rule > y->rule;
}

static void add_entries(struct rbac_role *r, size_t rule)
{
        const struct rbac_rule *from = &r->rules.v[rule];
        size_t n = kc_strv_len(from->resources);
        uint64_t verbs = bits_of(from->verbs), groups = bits_of(from->groups);
        if (n == 0)
                return;
        r->entries = kc_reallocarray(r->entries, r->n_entries + n, sizeof(*r->entries));
        for (size_t i = 0; i < n; i++) {
                uint64_t h = hash(from->resources[i]);
                r->entries[r->n_entries++] =
                    (struct rbac_entry){.resource = h, .verbs = verbs, .groups = groups, .rule = rule};
                r->resources |= bit(h);
        }
}

struct rbac_role *rbac_role_new(const struct json_object *rules)
{
        struct rbac_role *r = KC_NEW(struct rbac_role);
        rbac_rules_compile(&r->rules, rules);
        for (size_t i = 0; i < r->rules.n; i++) {
                add_entries(r, i);
                r->urls = r->urls || kc_strv_len(r->rules.v[i].urls) > 0;
        }
        if (r->n_entries > 1)
                qsort(r->entries, r->n_entries, sizeof(*r->entries), by_resource);
        return r;
}

void rbac_role_free(struct rbac_role *r)
{
        if (!r)
                return;
        rbac_rules_done(&r->rules);
        kc_free(r->entries);
        kc_free(r);
}

/* --- asking */

/* Hash of a "/" b. */
static uint64_t hash_pair(const char *a, const char *b)
{
        size_t n = strlen(a), m = strlen(b), len = n + 1 + m;
        char small[NAME_MAX_ON_STACK];
        KC_CLEANUP(kc_freep) char *big = len > sizeof(small) ? kc_calloc(len, 1) : NULL;
        char *s = big ? big : small;
        memcpy(s, a, n);
        s[n] = '/';
        memcpy(s + n + 1, b, m);
        return kc_hash_bytes(s, len);
}

void rbac_ask_init(struct rbac_ask *q, const struct kc_authz_attrs *attrs)
{
        *q = (struct rbac_ask){.attrs = attrs};
        if (!attrs->resource_request)
                return;
        if (attrs->subresource[0] == '\0') {
                q->keys[q->n_keys++] = hash(attrs->resource);
        } else {
                q->keys[q->n_keys++] = hash_pair(attrs->resource, attrs->subresource);
                q->keys[q->n_keys++] = hash_pair("*", attrs->subresource);
        }
        q->keys[q->n_keys++] = hash("*");
        for (size_t i = 0; i < q->n_keys; i++)
                q->resources |= bit(q->keys[i]);
        q->verb = bit(hash(attrs->verb));
        q->group = bit(hash(attrs->group));
}

/* The first entry of the resource, or where it would be. */
static size_t find(const struct rbac_role *r, uint64_t resource)
{
        size_t low = 0, high = r->n_entries;
        while (low < high) {
                size_t mid = low + (high - low) / 2;
                if (r->entries[mid].resource < resource)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

static bool urls_allow(const struct rbac_role *r, const struct kc_authz_attrs *a)
{
        for (size_t i = 0; i < r->rules.n; i++)
                if (r->rules.v[i].urls && rbac_rule_allows(&r->rules.v[i], a))
                        return true;
        return false;
}

bool rbac_role_allows(const struct rbac_role *r, const struct rbac_ask *q)
{
        if (!q->attrs->resource_request)
                return r->urls && urls_allow(r, q->attrs);
        if (!(r->resources & q->resources))
                return false;
        for (size_t k = 0; k < q->n_keys; k++)
                for (size_t i = find(r, q->keys[k]); i < r->n_entries && r->entries[i].resource == q->keys[k]; i++) {
                        const struct rbac_entry *e = &r->entries[i];
                        if ((e->verbs & q->verb) && (e->groups & q->group) &&
                            rbac_rule_allows(&r->rules.v[e->rule], q->attrs))
                                return true;
                }
        return false;
}
